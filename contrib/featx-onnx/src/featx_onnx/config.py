"""Parameters and outputs of the extractors: plain values, no numpy."""

from __future__ import annotations

from fractions import Fraction

from featx import Column, FeatureSpec, ParameterError, Resolved, param, params_class

__all__ = [
    "BasicPitchParams",
    "SwiftF0Params",
    "resolve_basic_pitch",
    "resolve_swift_f0",
]

#: Lowest and highest frequency that SwiftF0 knows, in Hz.
FMIN, FMAX = 46.875, 2093.75


@params_class
class BasicPitchParams:
    """Parameters of ``basic-pitch``; the defaults are those of its authors."""

    onset_threshold: float = param(0.5, "Activation of an onset, 0..1.", gt=0, lt=1)
    frame_threshold: float = param(
        0.3, "Activation below which a note has ended, 0..1.", gt=0, lt=1
    )
    shortest: float = param(0.1277, "Shortest note in seconds, 0..1.", gt=0, le=1)


@params_class
class SwiftF0Params:
    """Parameters of ``swift-f0``; the defaults are those of its author."""

    fmin: float = param(FMIN, "Lowest frequency in Hz, 46.875..1000.", ge=FMIN, le=1000)
    fmax: float = param(FMAX, "Highest frequency in Hz, 100..2093.75.", ge=100, le=FMAX)
    voicing: float = param(0.5, "Confidence from which a frame is voiced, 0..1.", ge=0, le=1)

    def __post_init__(self) -> None:
        if not 1.2 * self.fmin <= self.fmax:
            raise ParameterError(
                f"fmax must be at least 1.2 * fmin, {1.2 * self.fmin:g} Hz, got {self.fmax:g}."
            )


def resolve_basic_pitch(params: BasicPitchParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``basic-pitch`` needs and gives."""
    notes = FeatureSpec(
        name="notes",
        kind="events",
        columns=(
            Column("time", "s"),
            Column("end", "s"),
            Column("frequency", "Hz"),
            Column("confidence", "1"),
        ),
        description="Onset, offset, frequency of the semitone and mean activation of every note.",
    )
    return Resolved(sr=22050, outputs=(notes,))


def resolve_swift_f0(params: SwiftF0Params, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``swift-f0`` needs and gives."""

    def frames(name: str, unit: str, description: str) -> FeatureSpec:
        return FeatureSpec(
            name=name,
            kind="frames",
            dim=1,
            unit=unit,
            hop=Fraction(256),
            frame_length=2 * 2815,  # what a frame of the network depends on
            description=description,
        )

    return Resolved(
        sr=16000,
        outputs=(
            frames("f0", "Hz", "Fundamental frequency; 0 where no pitch is heard."),
            frames("pitch", "Hz", "Likeliest fundamental frequency, also where no pitch is heard."),
            frames("confidence", "1", "How surely a frame has a pitch, 0..1."),
        ),
    )
