"""Published models that are run by ONNX Runtime: notes and pitch."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_onnx.config import BasicPitchParams, SwiftF0Params

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return ``basic-pitch`` and ``swift-f0``."""
    return [
        ExtractorSpec(
            name="basic-pitch",
            summary="Notes of polyphonic recordings by Basic Pitch of Spotify",
            version="1",
            factory="featx_onnx.basic_pitch:BasicPitch",
            resolve="featx_onnx.config:resolve_basic_pitch",
            api=API_VERSION,
            params=BasicPitchParams,
            weights=WeightsSpec(
                name="basic-pitch",
                licence="Apache-2.0",
                converter="featx_onnx.convert:basic_pitch",
                source=(
                    "nmp.onnx from https://github.com/spotify/basic-pitch/tree/main/basic_pitch/"
                    "saved_models/icassp_2022"
                ),
            ),
            short_input="No notes: silence, or input shorter than the shortest note.",
            tolerance=1e-4,  # the runtime adds in an order that depends on its threads
            licence="MIT; Basic Pitch Apache-2.0",
            reference=(
                "Bittner, Bosch, Rubinstein, Meseguer-Brocal, Ewert. A lightweight "
                "instrument-agnostic model for polyphonic note transcription and multipitch "
                "estimation. ICASSP 2022, arXiv:2203.09893"
            ),
        ),
        ExtractorSpec(
            name="swift-f0",
            summary="Fundamental frequency by SwiftF0",
            version="1",
            factory="featx_onnx.swift_f0:SwiftF0",
            resolve="featx_onnx.config:resolve_swift_f0",
            api=API_VERSION,
            params=SwiftF0Params,
            short_input="Frames without a pitch in silence; one frame for input below 16 ms.",
            tolerance=1e-2,  # Hz, as above
            licence="MIT",
            reference=(
                "Nieradzik. SwiftF0: fast and accurate monophonic pitch detection. 2025, "
                "arXiv:2508.18440"
            ),
        ),
    ]
