"""Parameters and outputs of the extractors: plain values, no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from featx import Column, FeatureSpec, ParameterError, Resolved, param, params_class
from featx.neural import NetworkConfig

#: Rate in Hz, and samples between frames: 100 frames a second.
SR, HOP = 16000, 160
#: Samples that YIN compares with later ones.
WINDOW = 640
#: Samples of a frame of CREPE, its bins, and cents between them; the first lies at 31.7 Hz.
CREPE_FRAME, CREPE_BINS, CREPE_CENTS = 1024, 360, 20.0
CREPE_FIRST = 10.0 * 2.0 ** (1997.3794084376191 / 1200)

#: capacity -> filters of the six layers.
CAPACITIES: dict[str, tuple[int, ...]] = {
    "tiny": (128, 16, 16, 16, 32, 64),
    "full": (1024, 128, 128, 128, 256, 512),
}


@dataclass(frozen=True, kw_only=True)
class CrepeConfig(NetworkConfig):
    """The network of CREPE, in one of its sizes."""

    filters: tuple[int, ...] = CAPACITIES["tiny"]
    kernels: tuple[int, ...] = (512, 64, 64, 64, 64, 64)
    strides: tuple[int, ...] = (4, 1, 1, 1, 1, 1)


@params_class
class PitchParams:
    """What all extractors of pitch have."""

    fmin: float = param(65.0, "Lowest frequency in Hz, 32..1000.", ge=32, le=1000)
    fmax: float = param(1500.0, "Highest frequency in Hz, 100..2000.", ge=100, le=2000)
    shortest: float = param(0.08, "Shortest note in seconds, 0.03..1.", ge=0.03, le=1)

    def __post_init__(self) -> None:
        if not 1.2 * self.fmin <= self.fmax:
            raise ParameterError(
                f"fmax must be at least 1.2 * fmin, {1.2 * self.fmin:g} Hz, got {self.fmax:g}."
            )


@params_class
class YinParams(PitchParams):
    """Parameters of ``yin``."""

    trough: float = param(
        0.15, "Aperiodicity below which the first trough is the period, 0..1.", gt=0, le=1
    )
    voicing: float = param(0.7, "Confidence from which a frame is voiced, 0..1.", ge=0, le=1)


@params_class
class PyinParams(PitchParams):
    """Parameters of ``pyin``."""

    switch: float = param(
        0.01, "Probability that voicing changes from frame to frame, 0..0.5.", gt=0, le=0.5
    )


@params_class
class CrepeParams(PitchParams):
    """Parameters of ``crepe``."""

    model: str = param(
        "tiny", "Size of the network; full needs imported weights.", choices=tuple(CAPACITIES)
    )
    decoder: str = param(
        "viterbi", "The best path through the frames, or the highest bin of each.",
        choices=("viterbi", "argmax"),
    )  # fmt: skip
    voicing: float = param(
        0.5, "Activation at the pitch from which a frame is voiced, 0..1.", ge=0, le=1
    )


NOTES = FeatureSpec(
    name="notes",
    kind="events",
    columns=(
        Column("time", "s"),
        Column("end", "s"),
        Column("frequency", "Hz"),
        Column("confidence", "1"),
    ),
    description="Onset, offset, median frequency and mean confidence of every note.",
)


def _frames(
    name: str, *, length: int, description: str, unit: str = "1", dim: int = 1
) -> FeatureSpec:
    return FeatureSpec(
        name=name, kind="frames", dim=dim, unit=unit, hop=Fraction(HOP), frame_length=length,
        description=description,
    )  # fmt: skip


def _outputs(length: int, confidence: str) -> tuple[FeatureSpec, ...]:
    """Return what every extractor gives, of frames that look at ``length`` samples."""
    return (
        _frames(
            "f0", length=length, unit="Hz",
            description="Fundamental frequency; 0 where no pitch is heard.",
        ),
        _frames(
            "pitch", length=length, unit="Hz",
            description="Likeliest fundamental frequency, also where no pitch is heard.",
        ),
        _frames("confidence", length=length, description=confidence),
        NOTES,
    )  # fmt: skip


def longest_lag(fmin: float) -> int:
    """Return the period of the lowest frequency in samples, rounded up."""
    return -int(-SR // fmin)


def resolve_yin(params: YinParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``yin`` needs and gives."""
    outputs = _outputs(WINDOW + longest_lag(params.fmin), "One minus aperiodicity, 0..1.")
    return Resolved(sr=SR, outputs=outputs)


def resolve_pyin(params: PyinParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``pyin`` needs and gives."""
    outputs = _outputs(WINDOW + longest_lag(params.fmin), "Probability of any period, 0..1.")
    return Resolved(sr=SR, outputs=outputs)


def resolve_crepe(params: CrepeParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``crepe`` needs and gives."""
    outputs = (
        *_outputs(CREPE_FRAME, "Highest activation of the network, 0..1."),
        _frames(
            "activation", length=CREPE_FRAME, dim=CREPE_BINS,
            description="Activation of 360 bins of 20 cents from 31.7 Hz on.",
        ),
        _frames(
            "embedding", length=CREPE_FRAME, dim=4 * CAPACITIES[params.model][-1],
            description="What the last convolution gives, four steps in time side by side.",
        ),
    )  # fmt: skip
    return Resolved(sr=SR, outputs=outputs)
