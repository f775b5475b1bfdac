"""Events from files: JAMS, MIDI, Audacity labels, and tables as the field writes them."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from featx.annotations.events import Events, events_from_columns, midi_to_hz
from featx.annotations.midi import read_midi
from featx.errors import ParameterError

#: Larger annotation files are refused; an hour of frame-wise annotations is far below.
MAX_BYTES = 64 * 2**20


def read_events(path: str | Path) -> list[Events]:
    """Read the events of one annotation file.

    ``.jams`` files give one group per annotation, ``.mid`` files one per track with notes.
    Everything else is read as a table, separated by tabs, commas, semicolons or blanks: with a
    header line the columns are found by name (see `events_from_columns`); without one they are
    ``time``, ``time label``, ``start end`` or ``start end label``, the last two being Audacity's
    labels and the ``.lab`` files of MIR. Lines that begin with ``#`` are comments.

    Parameters
    ----------
    path : str or Path
        At most 64 MiB, UTF-8.

    Returns
    -------
    list of Events
        Named after the file or track; in JAMS as featx wrote them, or else after the namespace,
        and the instrument if one is given.

    Raises
    ------
    ParameterError
        If the file does not exist, is too large, or a line is not what its neighbours are.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ParameterError(f"annotation file must be at most 64 MiB, got {path}.")
        if path.suffix.lower() in {".mid", ".midi"}:
            return read_midi(path)
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ParameterError(f"annotation file must exist, got {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(
            f"annotation file must be readable UTF-8, got {path}: {error}."
        ) from error
    if path.suffix.lower() == ".jams":
        return _from_jams(text, path)
    return [_from_table(text, path)]


def _from_table(text: str, path: Path) -> Events:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    lines, frequencies = _without_selections(lines)
    if not lines:
        return Events(name=path.stem, starts=_array([]))
    rows = _split(lines)
    if _number(rows[0][0]) is None:
        return _from_header(rows, path)
    width = len(rows[0])
    for number, row in enumerate(rows, start=1):
        if len(row) != width or _number(row[0]) is None:
            raise ParameterError(
                f"every line of {path} must have {width} columns and begin with a time in "
                f"seconds, got {row} as number {number}."
            )
    starts = _array([float(row[0]) for row in rows])
    if width == 1:
        return Events(name=path.stem, starts=starts)
    ends = [_number(row[1]) for row in rows]
    if width == 2 and not _are_ends(rows, ends):
        return Events(name=path.stem, starts=starts, labels=[row[1] for row in rows])
    if any(end is None for end in ends):
        raise ParameterError(
            f"the second column of {path} must hold times in seconds, got {rows[0][1]!r}."
        )
    labels = [" ".join(row[2:]) for row in rows] if width > 2 else []
    labels = labels if any(labels) else []
    points = bool((starts == _array(ends)).all())  # Audacity writes a point as an empty span
    return Events(
        name=path.stem,
        starts=starts,
        ends=None if points else _array(ends),
        labels=labels,
        frequencies=frequencies if frequencies is None else _array(frequencies),
    )


def _without_selections(lines: list[str]) -> tuple[list[str], list[float] | None]:
    """Part labels from the frequencies that Audacity writes below each in a line of its own."""
    selections = [line.split("\t") for line in lines if line.startswith("\\\t")]
    labels = [line for line in lines if not line.startswith("\\\t")]
    ranges = [[_number(cell) for cell in row[1:3]] for row in selections]
    edges = [[edge for edge in row if edge is not None and edge > 0] for row in ranges]
    if not labels or len(edges) != len(labels) or not all(edges):
        return labels, None
    return labels, [math.sqrt(row[0] * row[-1]) for row in edges]


def _from_header(rows: list[list[str]], path: Path) -> Events:
    names = [name.strip() for name in rows[0]]
    columns: dict[str, Any] = {}
    for index, name in enumerate(names):
        cells = [row[index] if index < len(row) else "" for row in rows[1:]]
        numbers = [_number(cell) for cell in cells]
        columns[name] = cells if any(value is None for value in numbers) else _array(numbers)
    return events_from_columns(columns, name=path.stem)


def _are_ends(rows: list[list[str]], ends: list[float | None]) -> bool:
    """Tell ``start end`` from ``time position``: positions are whole numbers."""
    if all(row[1].isdigit() for row in rows):
        return False
    return all(
        end is not None and end >= float(row[0]) for row, end in zip(rows, ends, strict=True)
    )


def _split(lines: list[str]) -> list[list[str]]:
    for separator in ("\t", ",", ";"):
        if separator in lines[0]:
            rows = csv.reader(lines, delimiter=separator)
            if separator == "\t":  # quotes are part of a label
                rows = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
            return [[cell.strip() for cell in row] for row in rows]
    return [line.split() for line in lines]


def _from_jams(text: str, path: Path) -> list[Events]:
    try:
        annotations = json.loads(text)["annotations"]
        return [_jams_annotation(annotation) for annotation in annotations]
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(
            f"{path} must be a JAMS file with a list of annotations: "
            f"{type(error).__name__}: {error}."
        ) from error


def _jams_annotation(annotation: dict[str, Any]) -> Events:
    namespace = str(annotation["namespace"])
    sandbox = annotation.get("sandbox") or {}
    extras = sandbox.get("featx") or {}
    data = annotation["data"]
    if isinstance(data, dict):  # a dense annotation keeps columns
        data = [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    starts = _array([float(item["time"]) for item in data])
    lengths = _array([float(item.get("duration") or 0.0) for item in data])
    values = [item.get("value") for item in data]
    sure = [_confidence(item.get("confidence")) for item in data]
    confident = extras.get("confidence", any(value is not None for value in sure))
    spans = bool((lengths > 0).any())
    columns = dict(extras.get("columns") or {})
    frequencies, labels = extras.get("frequencies"), extras.get("labels", [])
    if namespace in _PITCHES:
        frequencies = _jams_frequencies(namespace, values, columns)
    elif namespace == "tempo":
        columns["tempo"] = _array([float(value) for value in values])
    elif namespace == "vector":
        if not columns and values:
            rows = zip(*values, strict=True)
            columns = {f"value_{number}": _array(list(row)) for number, row in enumerate(rows)}
    elif namespace != "onset" and not labels:
        labels = [_text(value) for value in values]
    name = extras.get("name") or f"{namespace} {sandbox.get('instrument', '')}".strip()
    if namespace == "segment_open" and set(labels) == {name}:
        labels = []  # spans without labels were given their name
    return Events(
        name=name,
        starts=starts,
        ends=_array(extras.get("ends", starts + lengths)) if spans else None,
        labels=labels if any(labels) else [],
        frequencies=frequencies,
        confidences=_array(sure) if confident else None,
        columns=columns,
        namespace=namespace,
    )


_PITCHES = ("note_midi", "note_hz", "pitch_hz", "pitch_contour", "pitch_midi")


def _jams_frequencies(namespace: str, values: list[Any], columns: dict[str, Any]) -> Any:
    """Return frequencies in Hz; what else contours say goes to ``columns``."""
    contours = [value for value in values if isinstance(value, dict)]
    numbers = [value["frequency"] if isinstance(value, dict) else value for value in values]
    pitches = _array([float(number or 0.0) for number in numbers])
    if contours and any(item.get("index") for item in contours):
        columns["index"] = _array([float(item["index"]) for item in contours])
    if any(item.get("voiced") != (item["frequency"] > 0) for item in contours):
        columns["voiced"] = _array([float(item["voiced"]) for item in contours])
    return midi_to_hz(pitches) if namespace.endswith("midi") else pitches


def _confidence(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _array(values: list[Any]) -> Any:
    import numpy as np

    return np.asarray(values, dtype=np.float64)
