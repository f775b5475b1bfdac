"""A small embedding of music and sounds for featx, free of level."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_contrastive.config import ContrastiveParams
from featx_contrastive.training_params import CONTRAST, DISTIL

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the one extractor."""
    return [
        ExtractorSpec(
            name="contrastive",
            summary="Embedding of music and sounds by a small mel network, independent of level",
            version="1",
            factory="featx_contrastive.extractor:Contrastive",
            resolve="featx_contrastive.config:resolve",
            api=API_VERSION,
            params=ContrastiveParams,
            weights=WeightsSpec(
                name="contrastive",
                resource="featx_contrastive:weights/contrastive.safetensors",
                required=False,
                licence="MIT",
            ),
            short_input=(
                "The spectrogram of input shorter than 96 frames (3 s) is repeated; silence is an "
                "input like any other."
            ),
            tolerance=1e-4,
            devices=("cpu", "cuda"),
            licence="MIT",
            methods=(DISTIL, CONTRAST),
        )
    ]
