"""Music similarity that can be weighted by notion, for featx."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_csn.config import CSNParams
from featx_csn.training_params import METHODS

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractor ``csn``."""
    return [
        ExtractorSpec(
            name="csn",
            summary="Embedding with a block for every notion of similarity, and tags",
            version="1",
            factory="featx_csn.extractor:CSNExtractor",
            resolve="featx_csn.config:resolve",
            api=API_VERSION,
            params=CSNParams,
            weights=WeightsSpec(
                name="csn",
                resource="featx_csn:weights/csn.safetensors",
                required=False,
                licence="MIT",
            ),
            short_input=(
                "The spectrogram of input shorter than 129 frames (3 s) is repeated to fill one "
                "segment; silence is an input like any other."
            ),
            tolerance=1e-4,
            devices=("cpu", "cuda"),
            licence="MIT",
            reference=(
                "Lee, Bryan, Salamon, Jin, Nam. Disentangled multidimensional metric learning for "
                "music similarity. ICASSP 2020, arXiv:2008.03720"
            ),
            methods=METHODS,
        )
    ]
