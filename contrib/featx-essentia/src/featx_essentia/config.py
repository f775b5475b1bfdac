"""Outputs of the extractors: plain values, no Essentia."""

from __future__ import annotations

from fractions import Fraction

from featx import Column, FeatureSpec, Resolved
from featx.params import NoParams

__all__ = [
    "KEYS",
    "resolve_beats",
    "resolve_key",
    "resolve_melodia",
    "resolve_onsets",
]

#: Rate in Hz for which the algorithms are made, and samples between frames of the melody.
SR, HOP = 44100, 128

_ROOTS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
#: N and the 24 keys.
KEYS = ("N", *(f"{root}:{mode}" for mode in ("major", "minor") for root in _ROOTS))

_TIME, _END, _CONFIDENCE = Column("time", "s"), Column("end", "s"), Column("confidence", "1")


def resolve_onsets(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``essentia-onset`` needs and gives."""
    onsets = FeatureSpec(
        name="onsets", kind="events", columns=(_TIME,), description="Where notes begin."
    )
    return Resolved(sr=SR, outputs=(onsets,))


def resolve_beats(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``essentia-beat`` needs and gives."""
    beats = FeatureSpec(name="beats", kind="events", columns=(_TIME,), description="Beats.")
    tempo = FeatureSpec(
        name="tempo",
        kind="events",
        columns=(_TIME, _END, Column("tempo", "1/min"), _CONFIDENCE),
        description="Tempo from the first beat to the last. Confidence is that of the beats, over "
        "its maximum of 5.32.",
    )
    return Resolved(sr=SR, outputs=(beats, tempo))


def resolve_key(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``essentia-key`` needs and gives."""
    key = FeatureSpec(
        name="key",
        kind="events",
        columns=(_TIME, _END, Column("key", labels=KEYS), _CONFIDENCE),
        description="The key of the recording, one row. Confidence is its correlation with the "
        "profile.",
    )
    return Resolved(sr=SR, outputs=(key,))


def resolve_melodia(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``essentia-melodia`` needs and gives."""

    def frames(name: str, unit: str, description: str) -> FeatureSpec:
        return FeatureSpec(
            name=name,
            kind="frames",
            dim=1,
            unit=unit,
            hop=Fraction(HOP),
            frame_length=2048,
            description=description,
        )

    return Resolved(
        sr=SR,
        outputs=(
            frames("f0", "Hz", "Fundamental frequency of the melody; 0 where there is none."),
            frames("confidence", "1", "Salience of the melody over that of a clear tone, >= 0."),
        ),
    )
