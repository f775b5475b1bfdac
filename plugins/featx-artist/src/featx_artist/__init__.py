"""Artist-label embeddings for featx: the published Siamese model."""

from __future__ import annotations

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl

__all__ = ["featx_extractors"]


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the extractor ``artist-siamese``."""
    return [
        ExtractorSpec(
            name="artist-siamese",
            summary="Embedding learned from artist labels by a Siamese network",
            version="1",
            factory="featx_artist.extractor:ArtistExtractor",
            resolve="featx_artist.config:resolve",
            api=API_VERSION,
            weights=WeightsSpec(
                name="artist-siamese",
                licence="MIT",
                converter="featx_artist.convert:keras_siamese",
                source=(
                    "model_siamese_10000.h5 from the repository jongpillee/ismir2018-artist, "
                    "folder models/model_siamese_10000_4_0.40"
                ),
            ),
            short_input=(
                "The spectrogram of input shorter than 129 frames (3 s) is repeated to fill one "
                "segment; silence is an input like any other."
            ),
            tolerance=1e-4,
            devices=("cpu", "cuda"),
            licence="MIT",
            reference=(
                "Park, Lee, Park, Ha, Nam. Representation learning of music using artist labels. "
                "ISMIR 2018, arXiv:1710.06648"
            ),
        )
    ]
