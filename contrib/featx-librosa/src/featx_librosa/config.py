"""Parameters and outputs of the extractors: plain values, no librosa."""

from __future__ import annotations

from fractions import Fraction

from featx import Column, FeatureSpec, ParameterError, Resolved, param, params_class
from featx.params import NoParams

__all__ = [
    "CHORDS",
    "HOP",
    "KEYS",
    "N_MFCC",
    "ROOTS",
    "SR",
    "ChordParams",
    "PyinParams",
    "resolve_beat",
    "resolve_chords",
    "resolve_key",
    "resolve_mfcc",
    "resolve_onset",
    "resolve_pyin",
]

#: Rate in Hz, samples between frames, and samples of a frame: the defaults of librosa.
SR, HOP, FRAME = 22050, 512, 2048
N_MFCC = 20

ROOTS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
#: N, 12 major and 12 minor triads.
CHORDS = ("N", *(f"{root}:{quality}" for quality in ("maj", "min") for root in ROOTS))
#: N and the 24 keys.
KEYS = ("N", *(f"{root}:{mode}" for mode in ("major", "minor") for root in ROOTS))

_SPAN = (Column("time", "s"), Column("end", "s"))
_CONFIDENCE = Column("confidence", "1")


@params_class
class PyinParams:
    """Parameters of ``librosa-pyin``."""

    fmin: float = param(65.0, "Lowest frequency in Hz, 32..1000.", ge=32, le=1000)
    fmax: float = param(1500.0, "Highest frequency in Hz, 100..2000.", ge=100, le=2000)

    def __post_init__(self) -> None:
        if not 1.2 * self.fmin <= self.fmax:
            raise ParameterError(
                f"fmax must be at least 1.2 * fmin, {1.2 * self.fmin:g} Hz, got {self.fmax:g}."
            )


@params_class
class ChordParams:
    """Parameters of ``librosa-chords``."""

    sharpness: float = param(
        10.0, "Factor from the cosine of chroma and template to a logarithm, > 0.", gt=0
    )
    mean_duration: float = param(
        1.8, "Seconds that a chord lasts on average, 0.2..60.", ge=0.2, le=60
    )


def resolve_onset(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``librosa-onset`` needs and gives."""
    onsets = FeatureSpec(
        name="onsets",
        kind="events",
        columns=(Column("time", "s"), Column("strength", "1")),
        description="Where notes begin; strength is the onset strength over its maximum.",
    )
    return Resolved(sr=SR, outputs=(onsets,))


def resolve_beat(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``librosa-beat`` needs and gives."""
    beats = FeatureSpec(
        name="beats", kind="events", columns=(Column("time", "s"),), description="Beats."
    )
    tempo = FeatureSpec(
        name="tempo",
        kind="events",
        columns=(*_SPAN, Column("tempo", "1/min"), _CONFIDENCE),
        description="Tempo from the first beat to the last; there is one, of confidence 1.",
    )
    return Resolved(sr=SR, outputs=(beats, tempo))


def resolve_pyin(params: PyinParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``librosa-pyin`` needs and gives."""

    def frames(name: str, unit: str, description: str) -> FeatureSpec:
        return FeatureSpec(
            name=name,
            kind="frames",
            dim=1,
            unit=unit,
            hop=Fraction(HOP),
            frame_length=FRAME,
            description=description,
        )

    return Resolved(
        sr=SR,
        outputs=(
            frames("f0", "Hz", "Fundamental frequency; 0 where no pitch is heard."),
            frames("pitch", "Hz", "Likeliest fundamental frequency, also where no pitch is heard."),
            frames("confidence", "1", "Probability that a frame is voiced."),
        ),
    )


def resolve_chords(params: ChordParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``librosa-chords`` needs and gives."""
    chords = FeatureSpec(
        name="chords",
        kind="events",
        columns=(*_SPAN, Column("chord", labels=CHORDS), _CONFIDENCE),
        description="Chords in Harte notation without gaps; N where none sounds. Confidence is "
        "the mean posterior.",
    )
    return Resolved(sr=SR, outputs=(chords,))


def resolve_key(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``librosa-key`` needs and gives."""
    key = FeatureSpec(
        name="key",
        kind="events",
        columns=(*_SPAN, Column("key", labels=KEYS), _CONFIDENCE),
        description="The key of the recording, one row. Confidence is how far its correlation is "
        "above the next.",
    )
    return Resolved(sr=SR, outputs=(key,))


def resolve_mfcc(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``librosa-mfcc`` needs and gives."""
    statistics = ("mean", "std")
    summary = FeatureSpec(
        name="summary",
        kind="clip",
        columns=tuple(
            Column(f"mfcc_{index}_{statistic}", "1")
            for statistic in statistics
            for index in range(N_MFCC)
        ),
        aspects={"mean": (0, N_MFCC), "std": (N_MFCC, 2 * N_MFCC)},
        description="Mean of every coefficient over time, then its standard deviation.",
    )
    return Resolved(sr=SR, outputs=(summary,))
