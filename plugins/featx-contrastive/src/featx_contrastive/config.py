"""The network as plain values, and what the extractor gives; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from featx import Column, FeatureSpec, ParameterError, Resolved, param, params_class
from featx.frontend import frames_spec
from featx.neural import NetworkConfig, pooled_spec

#: 80 mel bands in dB of the waveform at -20 dBFS, 31 frames a second.
FRONT_END = "fe-contrastive"
SR = 16000
#: Input frames of one output frame.
RATIO = 4
#: Input frames of a training crop, 3 s.
LENGTH = 96
#: Output frames over which the embedding takes mean and maximum; odd, so that they have a centre.
WINDOW = LENGTH // RATIO + 1
#: The input is shifted and scaled by these, dB; about mean and deviation of music.
INPUT_MEAN = -25.0
INPUT_STD = 20.0


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig(NetworkConfig):
    """The trunk.

    Parameters
    ----------
    n_bands : int > 0
        Mel bands, a multiple of 8.
    channels : tuple of three ints > 0
        Channels of the convolutions over time and frequency.
    hidden : int > 0
        Channels of the convolutions over time alone.
    blocks : int >= 0
        Number of residual convolutions over time.
    """

    n_bands: int = 80
    channels: tuple[int, ...] = (32, 48, 64)
    hidden: int = 256
    blocks: int = 3

    def __post_init__(self) -> None:
        if len(self.channels) != 3 or min((*self.channels, self.hidden, self.blocks + 1)) < 1:
            raise ParameterError(
                "channels must be three integers > 0, hidden > 0 and blocks >= 0, got "
                f"{self.channels}, {self.hidden} and {self.blocks}."
            )
        if self.n_bands < 8 or self.n_bands % 8:
            raise ParameterError(f"n_bands must be a multiple of 8, got {self.n_bands}.")

    @property
    def dim(self) -> int:
        """Dimension of the embedding: mean and maximum of every channel."""
        return 2 * self.hidden

    @property
    def reach(self) -> int:
        """Input frames on either side that an output frame depends on."""
        # two strided convolutions of 5 and 3, two of 3 at a quarter of the rate, blocks of 3
        return 2 + 2 + 4 * (2 + self.blocks)


#: The one network of this package.
NETWORK = ContrastiveConfig()


@params_class
class ContrastiveParams:
    """What depends on the weights."""

    numbers: int = param(
        0, "Numbers of teachers that the network predicts, >= 0; comes with the weights.", ge=0
    )
    tags: tuple[str, ...] = param((), "Tags that the network predicts; come with the weights.")


def resolve(params: ContrastiveParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return rate, front end and outputs, whatever rate a file has."""
    mel = frames_spec("mel", FRONT_END)
    outputs = [
        FeatureSpec(
            name="embedding",
            kind="clip",
            dim=NETWORK.dim,
            description=(
                "Mean and maximum of the last layer within 3 s, relative to mean and deviation of "
                "the training data, mean over the track."
            ),
        ),
        pooled_spec(
            mel, ratio=RATIO, name="frames", dim=NETWORK.hidden, first=mel.first,
            description="Last layer over time, not negative.",
        ),
    ]  # fmt: skip
    if params.numbers:
        similar = FeatureSpec(
            name="similarity",
            kind="clip",
            dim=params.numbers,
            description="Standardised numbers of the teachers, as predicted; compare by cosine.",
        )
        outputs.append(similar)
    if params.tags:
        tags = FeatureSpec(
            name="tags",
            kind="clip",
            columns=tuple(Column(name) for name in params.tags),
            description="Probability of every tag as its teacher would give it, mean over time.",
        )
        outputs.append(tags)
    return Resolved(sr=SR, front_ends=(FRONT_END,), outputs=tuple(outputs))
