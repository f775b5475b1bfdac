"""Tags and embeddings of the published musicnn models."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_musicnn.config import MusicnnParams

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractor ``musicnn``."""
    return [
        ExtractorSpec(
            name="musicnn",
            summary="50 tags and an embedding by musically motivated convolutions",
            version="1",
            factory="featx_musicnn.extractor:MusicnnExtractor",
            resolve="featx_musicnn.config:resolve",
            api=API_VERSION,
            params=MusicnnParams,
            weights=WeightsSpec(
                name="musicnn",
                licence="ISC",
                converter="featx_musicnn.convert:wheel",
                source="musicnn-0.1.0-py3-none-any.whl, by: pip download --no-deps musicnn",
            ),
            short_input=(
                "The spectrogram of input shorter than 187 frames (3 s) is repeated to fill one "
                "segment; silence is an input like any other."
            ),
            tolerance=1e-4,
            devices=("cpu", "cuda"),
            licence="MIT",
            reference=(
                "Pons, Serra. musicnn: pre-trained convolutional neural networks for music audio "
                "tagging. ISMIR late-breaking 2019, arXiv:1909.06654"
            ),
        )
    ]
