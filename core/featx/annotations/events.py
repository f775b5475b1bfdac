"""Events: things that happen at, or last for, some time, with labels and pitches."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx.types import AnyArray, DoubleArray

__all__ = ["Events", "events_from_columns", "midi_to_hz", "printable"]

_START = ("time", "start", "onset", "start_time", "time_start")
_END = ("end", "offset", "stop", "end_time", "time_end")
_DURATION = ("duration", "dur", "length")
_MIDI = ("pitch", "midi", "note", "pitch_midi", "midi_pitch")
_HERTZ = ("frequency", "f0", "hz", "pitch_hz")
_LABEL = ("label", "position", "beat", "chord", "key", "class", "segment", "name", "value", "text")


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """Things that happen at, or last for, some time.

    Without ``ends`` they are drawn as vertical lines, ``strong`` ones bolder; with ``ends`` as
    a labelled strip; with ``frequencies`` as notes in the first panel that has a frequency axis.

    Parameters
    ----------
    name : str
        What they are, for the legend.
    starts : array, shape (N,)
        Seconds.
    ends : array, shape (N,), optional
        Seconds, not before ``starts``.
    labels : sequence of str
        One per event; empty for none.
    frequencies : array, shape (N,), optional
        Hz.
    strong : array of bool, shape (N,), optional
        Which ones to stress, such as downbeats. By default those labelled ``1`` among others.
    """

    name: str
    starts: DoubleArray
    ends: DoubleArray | None = None
    labels: Sequence[str] = ()
    frequencies: DoubleArray | None = None
    strong: AnyArray | None = None

    def __post_init__(self) -> None:
        starts = np.asarray(self.starts, dtype=np.float64).reshape(-1)
        labels = tuple(printable(str(label)) for label in self.labels)
        strong = self.strong
        if strong is None:
            counted = len(set(labels)) > 1
            strong = np.array([counted and label == "1" for label in labels or ("",) * len(starts)])
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "starts", starts)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "strong", np.asarray(strong, dtype=bool))
        for name in ("ends", "frequencies"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        for name in ("ends", "labels", "frequencies", "strong"):
            given = getattr(self, name)
            if given is None or (name == "labels" and not given):
                continue
            if len(given) != len(starts):
                raise ParameterError(
                    f"{name} of {self.name!r} must have one entry for each of the "
                    f"{len(starts)} events, got {len(given)}."
                )
        if self.ends is not None and np.any(self.ends < starts):
            raise ParameterError(f"ends of {self.name!r} must not lie before their starts.")

    def between(self, start: float, end: float) -> Events:
        """Return the events that touch ``start`` to ``end`` in seconds, spans cut to it."""
        ends = self.starts if self.ends is None else self.ends
        kept = (ends >= start) & (self.starts <= end)
        if self.ends is not None:
            kept &= (ends > start) & (self.starts < end)
        strong = np.asarray(self.strong, dtype=bool)
        return dataclasses.replace(
            self,
            starts=self.starts[kept] if self.ends is None else np.maximum(self.starts[kept], start),
            ends=None if self.ends is None else np.minimum(self.ends[kept], end),
            labels=[label for label, keep in zip(self.labels, kept, strict=False) if keep],
            frequencies=None if self.frequencies is None else self.frequencies[kept],
            strong=strong[kept],
        )


def events_from_columns(columns: dict[str, Any], *, name: str) -> Events:
    """Return the events of a table whose columns are found by their names."""
    lower = {key.strip().lower(): column for key, column in columns.items()}

    def find(names: Sequence[str]) -> Any:
        return next((lower[key] for key in names if key in lower), None)

    starts = find(_START)
    if starts is None:
        raise ParameterError(
            f"columns of {name!r} must hold one of {listed(_START)}, got {listed(columns)}."
        )
    starts = np.asarray(starts, dtype=np.float64)
    ends, duration = find(_END), find(_DURATION)
    if ends is None and duration is not None:
        ends = starts + np.asarray(duration, dtype=np.float64)
    midi, hertz, labels = find(_MIDI), find(_HERTZ), find(_LABEL)
    if hertz is None and midi is not None and ends is not None:
        hertz = midi_to_hz(np.asarray(midi, dtype=np.float64))
    return Events(
        name=name,
        starts=starts,
        ends=ends,
        labels=() if labels is None else [_label_text(label) for label in labels],
        frequencies=hertz,
    )


def printable(text: str) -> str:
    """Return ``text`` without the parts of a file name that are no characters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def midi_to_hz(pitch: DoubleArray) -> DoubleArray:
    """Return the frequencies in Hz of MIDI pitches (69 is 440 Hz)."""
    return np.asarray(440.0 * 2.0 ** ((pitch - 69.0) / 12.0), dtype=np.float64)


def _label_text(label: Any) -> str:
    if isinstance(label, float | np.floating):
        return f"{label:g}"
    return str(label)
