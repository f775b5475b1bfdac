"""Events: things that happen at, or last for, some time, with labels, pitches and more."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import FeatxError, ParameterError, listed
from featx.installed import install_extra
from featx.types import AnyArray, DoubleArray, FeatureSpec

if TYPE_CHECKING:
    import pandas as pd

_START = ("time", "start", "onset", "start_time", "time_start")
_END = ("end", "offset", "stop", "end_time", "time_end")
_DURATION = ("duration", "dur", "length")
_MIDI = ("pitch", "midi", "note", "pitch_midi", "midi_pitch")
_HERTZ = ("frequency", "f0", "hz", "pitch_hz")
_LABEL = ("label", "position", "beat", "chord", "key", "class", "segment", "name", "value", "text")
_CONFIDENCE = ("confidence", "probability", "salience", "strength")

#: JAMS namespace of what a label column, or else the events, are called (singular).
_NAMESPACES = {
    **dict.fromkeys(("beat", "downbeat", "position"), "beat"),
    "chord": "chord",
    "key": "key_mode",
    **dict.fromkeys(("segment", "section", "structure"), "segment_open"),
    "tag": "tag_open",
    "onset": "onset",
}

#: Labels of the events that are stressed.
_STRONG = ("1", "downbeat")


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """Things that happen at, or last for, some time.

    Without ``ends`` they are drawn as vertical lines, ``strong`` ones bolder; with ``ends`` as
    a labelled strip; with ``frequencies`` as notes in the first panel that has a frequency axis.
    Two groups are equal if all of their arrays and labels are, whatever their names.

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
    confidences : array, shape (N,), optional
        Dimensionless.
    columns : mapping of str to array or sequence of str, each of length N
        What else is known, by name, such as ``velocity`` or ``tempo``.
    namespace : str
        What JAMS calls such events (``beat``, ``chord``, ``key_mode`` ...); empty if that follows
        from what they have.
    strong : array of bool, shape (N,), optional
        Which ones to stress. By default those labelled ``1`` or ``downbeat`` among others.
    """

    name: str
    starts: DoubleArray
    ends: DoubleArray | None = None
    labels: Sequence[str] = ()
    frequencies: DoubleArray | None = None
    confidences: DoubleArray | None = None
    columns: Mapping[str, AnyArray | Sequence[str]] = field(default_factory=dict)
    namespace: str = ""
    strong: AnyArray | None = None

    def __post_init__(self) -> None:
        starts = np.asarray(self.starts, dtype=np.float64).reshape(-1)
        labels = tuple(printable(str(label)) for label in self.labels)
        strong: Any = self.strong
        if strong is None:
            counted = len(set(labels)) > 1
            strong = [counted and label in _STRONG for label in labels or ("",) * len(starts)]
        columns = {key: _column(column) for key, column in self.columns.items()}
        values: dict[str, Any] = {
            "name": printable(self.name),
            "starts": starts,
            "labels": labels,
            "strong": np.asarray(strong, dtype=bool),
            "columns": columns,
        }
        for key in ("ends", "frequencies", "confidences"):
            array = getattr(self, key)
            values[key] = None if array is None else np.asarray(array, np.float64)
        for key, value in values.items():
            object.__setattr__(self, key, value)
        for key, column in {**columns, **self._arrays()}.items():
            if len(column) != len(starts):
                raise ParameterError(
                    f"{key} of {self.name!r} must have one entry for each of the "
                    f"{len(starts)} events, got {len(column)}."
                )
        if self.ends is not None and np.any(self.ends < starts):
            raise ParameterError(f"ends of {self.name!r} must not lie before their starts.")

    @classmethod
    def of(cls, spec: FeatureSpec, values: AnyArray, *, name: str = "") -> Events:
        """Return the events of an ``events`` feature; the names of its columns say what they mean.

        The first column in seconds is the start; ``end`` or ``offset`` the end, ``duration`` the
        length; a column in Hz, ``f0`` or ``frequency`` the frequency, one in ``midi``, or
        ``pitch``, its MIDI number; the first label, or a number called ``position``, the label;
        ``confidence``, ``probability``, ``salience`` or ``strength`` the confidence. All others
        are further columns.

        Raises
        ------
        ParameterError
            If ``spec`` is not of kind ``events``.
        """
        if spec.kind != "events":
            raise ParameterError(f"feature {spec.name!r} must be events, got {spec.kind}.")
        table = values if spec.has_labels else np.asarray(values).reshape(-1, spec.dim)
        columns = {
            column.name: table[column.name] if spec.has_labels else table[:, number]
            for number, column in enumerate(spec.columns)
        }
        units = {column.name: column.unit for column in spec.columns}
        return events_from_columns(columns, name=name or spec.name, units=units)

    @property
    def times(self) -> DoubleArray:
        """When they begin, in seconds; the same as ``starts``."""
        return self.starts

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        parts = [name for name in ("ends", "frequencies", "confidences") if self._has(name)]
        parts += ["labels"] * bool(self.labels) + list(self.columns)
        return f"<{len(self)} events {self.name!r}{' with ' * bool(parts)}{', '.join(parts)}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Events):
            return NotImplemented
        mine, theirs = {**self.to_columns()}, {**other.to_columns()}
        return mine.keys() == theirs.keys() and all(
            np.array_equal(mine[key], theirs[key], equal_nan=mine[key].dtype.kind == "f")
            for key in mine
        )

    __hash__ = None  # type: ignore[assignment]

    def to_columns(self) -> dict[str, AnyArray]:
        """Return ``time``, ``end``, ``frequency``, ``label``, ``confidence`` and further columns.

        `events_from_columns` reads them back.
        """
        columns: dict[str, Any] = {"time": self.starts}
        for key, name in (("ends", "end"), ("frequencies", "frequency")):
            if self._has(key):
                columns[name] = getattr(self, key)
        if self.labels:
            columns["label"] = np.array(self.labels, dtype=str)
        if self.confidences is not None:
            columns["confidence"] = self.confidences
        for name, column in self.columns.items():
            columns[name] = np.asarray(column)
        return columns

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas table, one row per event, with the columns of `to_columns`.

        Raises
        ------
        FeatxError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise FeatxError(
                f"to_frame needs pandas, which is not installed. Run: {install_extra('tables')}"
            ) from error
        columns = self.to_columns()
        return pd.DataFrame(
            {key: c.astype(object) if c.dtype.kind == "U" else c for key, c in columns.items()}
        )

    def between(self, start: float, end: float) -> Events:
        """Return the events that touch ``start`` to ``end`` in seconds, spans cut to it."""
        ends = self.starts if self.ends is None else self.ends
        inside = (ends >= start) & (self.starts <= end)
        if self.ends is not None:
            inside &= (ends > start) & (self.starts < end)
        part = self.rows(inside)
        if part.ends is None:
            return part
        starts, ends = np.maximum(part.starts, start), np.minimum(part.ends, end)
        return dataclasses.replace(part, starts=starts, ends=ends)

    def rows(self, chosen: AnyArray) -> Events:
        """Return the events that ``chosen`` picks, numbers in any order or a mask."""
        changes: dict[str, Any] = {key: np.asarray(c)[chosen] for key, c in self._arrays().items()}
        columns = {key: np.asarray(column)[chosen] for key, column in self.columns.items()}
        return dataclasses.replace(self, columns=columns, **changes)

    @classmethod
    def joined(cls, name: str, groups: Sequence[Events]) -> Events:
        """Return the events of several groups one after the other, with what all of them have."""
        shared = set.intersection(*(set(group._arrays()) for group in groups)) - {"strong"}
        arrays: dict[str, Any] = {
            key: np.concatenate([group._arrays()[key] for group in groups]) for key in shared
        }
        return cls(name=name, **arrays)

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not None

    def _arrays(self) -> dict[str, Any]:
        """Return the fields that have one entry per event."""
        names = ("starts", "ends", "labels", "frequencies", "confidences", "strong")
        return {
            name: getattr(self, name)
            for name in names
            if self._has(name) and (name != "labels" or self.labels)
        }


def events_from_columns(
    columns: Mapping[str, Any], *, name: str, units: Mapping[str, str] | None = None
) -> Events:
    """Return the events of a table whose columns are found by their names, as `Events.of` does.

    Parameters
    ----------
    columns : mapping of str to array or sequence of str
        Numbers or texts, one per event.
    name : str
        What the events are called.
    units : mapping of str to str, optional
        Units of the columns: the first one in ``s`` is then the start, whatever its name.

    Raises
    ------
    ParameterError
        If no column says when an event starts.
    """
    rest = {key.strip(): _column(column) for key, column in columns.items()}
    units = {key: unit.lower() for key, unit in (units or {}).items()}

    def take(names: Sequence[str], unit: str = "") -> Any:
        by_name = (key for candidate in names for key in rest if key.lower() == candidate)
        by_unit = (key for key in rest if unit and units.get(key) == unit)
        key = next(by_unit, None) or next(by_name, None)
        return None if key is None or _is_text(rest[key]) else rest.pop(key)

    starts = take(_START, "s")
    if starts is None:
        raise ParameterError(
            f"columns of {name!r} must hold one of {listed(_START)}, got {listed(columns)}."
        )
    ends, duration = take(_END), take(_DURATION)
    if ends is None and duration is not None:
        ends = starts + duration
    hertz = take(_HERTZ, "hz")
    if hertz is None:
        midi = take(_MIDI, "midi")
        hertz = None if midi is None else midi_to_hz(midi)
    confidences = take(_CONFIDENCE)
    texts = [key for key in rest if _is_text(rest[key])]
    key = next((key for candidate in _LABEL for key in rest if key.lower() == candidate), None)
    key = key if key in texts else next(iter(texts), key)
    labels = () if key is None else [_label_text(label) for label in rest.pop(key)]
    return Events(
        name=name,
        starts=starts,
        ends=ends,
        labels=labels,
        frequencies=hertz,
        confidences=confidences,
        columns=rest,
        namespace=_namespace(key or "") or _namespace(name),
    )


def printable(text: str) -> str:
    """Return ``text`` without the parts of a file name that are no characters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def midi_to_hz(pitch: DoubleArray) -> DoubleArray:
    """Return the frequencies in Hz of MIDI pitches (69 is 440 Hz)."""
    return np.asarray(440.0 * 2.0 ** ((pitch - 69.0) / 12.0), dtype=np.float64)


def hz_to_midi(frequencies: DoubleArray) -> DoubleArray:
    """Return the MIDI pitches of frequencies in Hz, with fractions; 0 for what is not positive."""
    positive = np.maximum(np.asarray(frequencies, np.float64), 1e-300)
    pitches = np.maximum(69.0 + 12.0 * np.log2(positive / 440.0), 0.0)
    return np.asarray(np.round(pitches, 9), dtype=np.float64)


def _namespace(text: str) -> str:
    words = re.findall(r"[a-z]+", text.lower())
    return next((_NAMESPACES[w.rstrip("s")] for w in words if w.rstrip("s") in _NAMESPACES), "")


def _column(column: Any) -> AnyArray:
    """Return numbers as float64 and everything else as text."""
    array = np.asarray(column)
    if array.dtype.kind in "fiub":
        return np.asarray(array, np.float64)
    return np.array([printable(str(item)) for item in column], dtype=str)


def _is_text(column: AnyArray) -> bool:
    return column.dtype.kind == "U"


def _label_text(label: Any) -> str:
    return f"{label:g}" if isinstance(label, float | np.floating) else str(label)
