"""Outputs of the extractors: plain values, no aubio."""

from __future__ import annotations

from featx import Column, FeatureSpec, Resolved
from featx.params import NoParams

__all__ = ["resolve_beats", "resolve_onsets"]

#: Rate in Hz.
SR = 44100

_TIME = Column("time", "s")


def resolve_onsets(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``aubio-onset`` needs and gives."""
    onsets = FeatureSpec(
        name="onsets", kind="events", columns=(_TIME,), description="Where notes begin."
    )
    return Resolved(sr=SR, outputs=(onsets,))


def resolve_beats(params: NoParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``aubio-beat`` needs and gives."""
    beats = FeatureSpec(name="beats", kind="events", columns=(_TIME,), description="Beats.")
    columns = (_TIME, Column("end", "s"), Column("tempo", "1/min"), Column("confidence", "1"))
    tempo = FeatureSpec(
        name="tempo",
        kind="events",
        columns=columns,
        description="Tempo at the end of the recording, from the first beat to the last.",
    )
    return Resolved(sr=SR, outputs=(beats, tempo))
