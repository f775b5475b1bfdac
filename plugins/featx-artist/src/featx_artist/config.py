"""The shared audio model as plain values, and what the extractor gives; no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from featx import FeatureSpec, NoParams, ParameterError, Resolved, param, params_class
from featx.frontend import frames_spec
from featx.neural import NetworkConfig, pooled_spec

FRONT_END = "fe-artist"
#: The same of the recording at -20 dBFS: louder and quieter copies have the same spectrogram.
LEVELLED = "fe-artist-levelled"
SR = 22050

#: Scalars of the training set by which ``fe-artist`` is normalised: log10(1 + 10 x) magnitudes.
INPUT_MEAN = 0.22620339
INPUT_STD = 0.25794547


@dataclass(frozen=True, kw_only=True)
class ArtistConfig(NetworkConfig):
    """The trunk that artist, tag and track models share.

    Parameters
    ----------
    n_frames, n_bands : int > 0
        Shape of one input segment, time by mel band.
    filters, kernels, pools : tuples of int > 0, of one length
        Output channels, kernel and pooling size of every layer; a pooling size of 1 means none.
    bn_eps : float > 0
        Added to the variance in batch normalisation.
    dropout : float in [0, 1)
        On the last activation, while training. The released code does not apply it.
    """

    n_frames: int = 129
    n_bands: int = 128
    filters: tuple[int, ...] = (128, 128, 128, 128, 256)
    kernels: tuple[int, ...] = (4, 4, 4, 2, 1)
    pools: tuple[int, ...] = (4, 4, 4, 2, 1)
    bn_eps: float = 1e-3
    dropout: float = 0.5

    def __post_init__(self) -> None:
        lengths = {len(self.filters), len(self.kernels), len(self.pools)}
        if len(lengths) != 1 or min((*self.filters, *self.kernels, *self.pools), default=0) < 1:
            raise ParameterError(
                "filters, kernels and pools must be integers > 0 of one length, got "
                f"{self.filters}, {self.kernels}, {self.pools}."
            )


#: The published model: cosine of two embeddings is the artist similarity it was trained for.
SIAMESE = ArtistConfig(dropout=0.0)

#: The joint model: twice the filters in every layer.
JOINT = dataclasses.replace(SIAMESE, filters=tuple(2 * width for width in SIAMESE.filters))


@params_class
class JointParams:
    """What depends on the weights of the joint model."""

    front_end: str = param(
        FRONT_END,
        "Input, with the level of the recording or at -20 dBFS; comes with the weights.",
        choices=(FRONT_END, LEVELLED),
    )


def resolve(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Say what the models with the published trunk need and give, whatever rate a file has."""
    return _resolved(SIAMESE, FRONT_END)


def resolve_joint(params: JointParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Say what the joint model needs and gives, whatever rate a file has."""
    return _resolved(JOINT, params.front_end)


def _resolved(config: ArtistConfig, front_end: str) -> Resolved:
    return Resolved(
        sr=SR,
        front_ends=(front_end,),
        outputs=(
            FeatureSpec(
                name="embedding",
                kind="clip",
                dim=config.filters[-1],
                description="Last activation (not negative), mean over segments of 129 frames.",
            ),
            pooled_spec(
                frames_spec("mel", front_end),
                ratio=config.n_frames,
                name="segments",
                dim=config.filters[-1],
                description="The embedding of every segment.",
            ),
        ),
    )
