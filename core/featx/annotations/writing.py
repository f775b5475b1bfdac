"""Events to files: JAMS, ``.lab``, Audacity labels, tables and MIDI; `read_events` reads them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featx.annotations.events import Events, hz_to_midi
from featx.annotations.midi import midi_bytes
from featx.errors import ParameterError, listed
from featx.types import DoubleArray

JAMS_VERSION = "0.3.5"


def write_events(
    path: str | Path, events: Events | Sequence[Events], *, duration: float | None = None
) -> Path:
    """Write events to a file whose suffix names the format.

    Parameters
    ----------
    path : path
        ``.jams`` and ``.mid`` take any number of groups, the others one: ``.lab`` (start, end and
        label between tabs; without ends time and label), ``.txt`` (Audacity labels), ``.csv``
        (a header and all columns). A file that exists is replaced.
    events : Events or sequence of Events
        In MIDI all must have frequencies and ends; pitches are rounded to semitones and times to
        tenths of milliseconds.
    duration : float, optional
        Of the recording, in seconds, for JAMS; by default the end of the last event.

    Returns
    -------
    Path
        ``path``. `featx.annotations.read_events` gives back what was written.

    Raises
    ------
    ParameterError
        If the suffix is unknown, or the format cannot hold these events.
    """
    path = Path(path)
    groups = [events] if isinstance(events, Events) else list(events)
    suffix = path.suffix.lower()
    data: str | bytes
    if suffix == ".jams":
        data = jams_text(jams_document(groups, duration=duration))
    elif suffix in {".mid", ".midi"}:
        data = midi_bytes(groups)
    elif suffix not in _TEXTS:
        raise ParameterError(
            f"events must be written to one of {listed(['.jams', '.mid', *_TEXTS])}, "
            f"got {path.name!r}."
        )
    elif len(groups) != 1:
        raise ParameterError(
            f"a {suffix} file holds one group of events, got {len(groups)}. Use .jams for several."
        )
    else:
        data = _TEXTS[suffix](groups[0])
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return path


def namespace_of(events: Events) -> str:
    """Return the JAMS namespace of events: the one that they name, or what fits their columns.

    ``tempo`` with that column; ``note_hz`` (with ends) or ``pitch_contour`` with frequencies;
    ``tag_open`` with labels; ``segment_open`` with ends; ``vector`` with other numbers; ``onset``.
    """
    if events.namespace == "beat" and not all(map(_is_number, events.labels)):
        return "tag_open"  # a beat is a number in JAMS
    if events.namespace:
        return events.namespace
    lasting = events.ends is not None
    if "tempo" in events.columns:
        return "tempo"
    if events.frequencies is not None:
        return "note_hz" if lasting else "pitch_contour"
    if events.labels:
        return "tag_open"
    if lasting:
        return "segment_open"
    return "vector" if any(map(_is_numeric, events.columns.values())) else "onset"


def jams_annotation(
    events: Events,
    *,
    metadata: Mapping[str, Any] | None = None,
    sandbox: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one JAMS annotation of plain values; what has no place in JAMS is in its sandbox."""
    namespace = namespace_of(events)
    values, used = _jams_values(events, namespace)
    lengths = [0.0] * len(events) if events.ends is None else list(map(_length, *_spans(events)))
    sure = [None] * len(events) if events.confidences is None else events.confidences.tolist()
    if namespace == "tempo" and events.confidences is None:
        sure = [1.0] * len(events)  # the namespace asks for a number
    rest = {name: column for name, column in events.columns.items() if name not in used}
    sandbox = dict(sandbox or {})
    extras: dict[str, Any] = {}
    if events.name != f"{namespace} {sandbox.get('instrument', '')}".strip():
        extras["name"] = events.name
    if namespace == "tempo":
        extras["confidence"] = events.confidences is not None
    if events.ends is not None and (events.starts + np.array(lengths) != events.ends).any():
        extras["ends"] = events.ends.tolist()  # no duration gives them back
    if rest:
        extras["columns"] = {name: np.asarray(column).tolist() for name, column in rest.items()}
    if events.labels and namespace not in _LABELLED:
        extras["labels"] = list(events.labels)
    if events.frequencies is not None and not namespace.startswith(("note", "pitch")):
        extras["frequencies"] = events.frequencies.tolist()
    return {
        "namespace": namespace,
        "data": [
            {"time": time, "duration": length, "value": value, "confidence": confidence}
            for time, length, value, confidence in zip(
                events.starts.tolist(), lengths, values, sure, strict=True
            )
        ],
        "annotation_metadata": {
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "version": "1",
            "corpus": "",
            "annotation_tools": "featx",
            "annotation_rules": "",
            "validation": "",
            "data_source": "program",
            **(metadata or {}),
        },
        "sandbox": {**sandbox, "featx": extras} if extras else sandbox,
        "time": 0.0,
        "duration": None,
    }


def jams_document(
    groups: Sequence[Events | dict[str, Any]],
    *,
    duration: float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a JAMS document of groups of events, or of annotations that are made already.

    ``metadata`` are fields of ``file_metadata``, such as title, artist and release.
    """
    made = [jams_annotation(item) if isinstance(item, Events) else item for item in groups]
    if duration is None:
        ends = [item["time"] + item["duration"] for part in made for item in part["data"]]
        duration = max(ends, default=0.0)
    for part in made:
        part["duration"] = duration
    fields = {"title": "", "artist": "", "release": "", "identifiers": {}}
    return {
        "annotations": made,
        "file_metadata": {
            **fields,
            "duration": duration,
            "jams_version": JAMS_VERSION,
            **(metadata or {}),
        },
        "sandbox": {},
    }


def jams_text(document: Mapping[str, Any]) -> str:
    """Return the text of a JAMS file."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


#: Namespaces whose values are the labels.
_LABELLED = ("beat", "chord", "key_mode", "segment_open", "tag_open")


def _jams_values(events: Events, namespace: str) -> tuple[list[Any], tuple[str, ...]]:
    """Return the values of a namespace, and the columns that they hold."""
    nothing: list[Any] = [None] * len(events)
    columns = events.columns
    if namespace == "beat":
        return [_plain(label) for label in events.labels] or nothing, ()
    if namespace in _LABELLED:
        return list(events.labels) or [events.name] * len(events), ()
    if namespace in {"note_hz", "pitch_hz"} and events.frequencies is not None:
        return events.frequencies.tolist(), ()
    if namespace in {"note_midi", "pitch_midi"} and events.frequencies is not None:
        return [_plain(pitch) for pitch in hz_to_midi(events.frequencies).tolist()], ()
    if namespace == "pitch_contour" and events.frequencies is not None:
        voiced = np.asarray(columns.get("voiced", events.frequencies > 0), bool)
        index = np.asarray(columns.get("index", np.zeros(len(events))), np.int64)
        values = [
            {"index": i, "frequency": hertz, "voiced": voice}
            for i, hertz, voice in zip(
                index.tolist(), events.frequencies.tolist(), voiced.tolist(), strict=True
            )
        ]
        return values, ("index", "voiced")
    if namespace == "tempo":
        return np.asarray(columns["tempo"]).tolist(), ("tempo",)
    if namespace == "vector":
        names = tuple(name for name, column in columns.items() if _is_numeric(column))
        return np.stack([np.asarray(columns[name]) for name in names], axis=1).tolist(), ()
    return nothing, ()


def _spans(events: Events) -> tuple[list[float], list[float]]:
    ends: DoubleArray = events.starts if events.ends is None else events.ends
    return events.starts.tolist(), ends.tolist()


def _length(start: float, end: float) -> float:
    """Return the duration that gives ``end`` back when it is added to ``start``."""
    length = end - start
    near = (length, math.nextafter(length, math.inf), math.nextafter(length, 0.0))
    return next((item for item in near if start + item == end), length)


def _plain(number: float | str) -> float | int:
    value = float(number)
    return int(value) if value.is_integer() else value


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_numeric(column: Any) -> bool:
    return np.asarray(column).dtype.kind == "f"


def lab_text(events: Events) -> str:
    """Return lines of start, end and label between tabs; of time and label without ends.

    Where spans have no labels, their frequency in Hz stands in the third place, or else all further
    columns and the confidence, as in a tempo.
    """
    columns = [events.starts] if events.ends is None else [events.starts, events.ends]
    cells = [[_seconds(value) for value in column.tolist()] for column in columns]
    if events.labels:
        cells.append([_one_line(label) for label in events.labels])
    elif events.ends is not None:
        cells += _lab_values(events)
    return "".join("\t".join(row) + "\n" for row in zip(*cells, strict=True))


def _lab_values(events: Events) -> list[list[str]]:
    """Return what spans without labels have instead, column by column."""
    values: list[Any] = [np.asarray(column) for column in events.columns.values()]
    if events.confidences is not None:
        values.append(events.confidences)
    if events.frequencies is not None:  # three columns are what readers of notes take
        values = [events.frequencies]
    return [
        [_seconds(item) if isinstance(item, float) else _one_line(item) for item in value.tolist()]
        for value in values
    ]


def audacity_text(events: Events) -> str:
    """Return Audacity labels: start, end and text; frequencies as spectral selections."""
    lines = []
    labels = events.labels or [""] * len(events)
    for row, (start, end, label) in enumerate(zip(*_spans(events), labels, strict=True)):
        lines.append(f"{_seconds(start)}\t{_seconds(end)}\t{_one_line(label)}\n")
        if events.frequencies is not None:
            hertz = _seconds(events.frequencies[row])
            lines.append(f"\\\t{hertz}\t{hertz}\n")
    return "".join(lines)


def csv_text(events: Events) -> str:
    """Return a table with a header line and all columns."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = events.to_columns()
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return stream.getvalue()


def _seconds(value: float) -> str:
    """Return the shortest decimal that reads back equal, never with an exponent."""
    return np.format_float_positional(value, trim="0")


def _one_line(label: str) -> str:
    return " ".join(label.split())


_TEXTS: dict[str, Callable[[Events], str]] = {
    ".lab": lab_text,
    ".txt": audacity_text,
    ".csv": csv_text,
}
