"""Embeddings from artist, album, track and tag labels for featx."""

from __future__ import annotations

from typing import Any

from featx import API_VERSION, ExtractorSpec, WeightsSpec, hookimpl
from featx_artist.config import JointParams
from featx_artist.training_params import BASIC, DISTIL, JOINT, SIAMESE, TAGS

__all__ = ["featx_extractors"]

_PARK = (
    "Park, Lee, Park, Ha, Nam. Representation learning of music using artist labels. "
    "ISMIR 2018, arXiv:1710.06648"
)
_LEE = (
    "Lee, Park, Nam. Representation learning of music using artist, album, and track information. "
    "2019"
)


def _spec(name: str, summary: str, **more: Any) -> ExtractorSpec:
    """Return what the models have in common."""
    values: dict[str, Any] = {
        "version": "1",
        "factory": "featx_artist.extractor:ArtistExtractor",
        "resolve": "featx_artist.config:resolve",
        "weights": WeightsSpec(name=name, required=False, licence="MIT"),
        "reference": _PARK,
    }
    return ExtractorSpec(
        name=name,
        summary=summary,
        api=API_VERSION,
        short_input=(
            "The spectrogram of input shorter than 129 frames (3 s) is repeated to fill one "
            "segment; silence is an input like any other."
        ),
        tolerance=1e-4,
        devices=("cpu", "cuda"),
        licence="MIT",
        **{**values, **more},
    )


@hookimpl
def featx_extractors() -> list[ExtractorSpec]:
    """Return the published Siamese model, and three that are trained with `featx train`."""
    return [
        _spec(
            "artist-siamese",
            "Embedding of a Siamese network, trained with artist labels",
            weights=WeightsSpec(
                name="artist-siamese",
                licence="MIT",
                converter="featx_artist.convert:keras_siamese",
                source=(
                    "model_siamese_10000.h5 from the repository jongpillee/ismir2018-artist, "
                    "folder models/model_siamese_10000_4_0.40"
                ),
            ),
            methods=(SIAMESE,),
        ),
        _spec(
            "artist-basic",
            "Embedding trained to classify artists with a softmax",
            methods=(BASIC,),
        ),
        _spec(
            "artist-tag",
            "Embedding of the same network, trained to predict tags",
            methods=(TAGS,),
        ),
        _spec(
            "artist-joint",
            "Embedding trained with artist, album and track labels together",
            factory="featx_artist.extractor:JointExtractor",
            resolve="featx_artist.config:resolve_joint",
            params=JointParams,
            weights=WeightsSpec(
                name="artist-joint",
                licence="MIT",
                resource="featx_artist:weights/artist-joint.safetensors",
                required=False,
            ),
            reference=_LEE,
            methods=(JOINT, DISTIL),
        ),
    ]
