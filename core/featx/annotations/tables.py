"""The values of an events feature: what extractors may return, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from featx.errors import ParameterError, listed
from featx.types import AnyArray, Column, FeatureSpec, check_label

#: Seconds by which an event may lie behind the end: resampling rounds up to whole samples.
TIME_TOLERANCE = 0.001

_ENDS = ("end", "offset", "stop")


def as_table(spec: FeatureSpec, values: Any) -> AnyArray:
    """Return events as they are kept: ``(N, k)`` float64, or a structured array with labels.

    ``values`` map column names to arrays or lists, or are a structured array, or, where no column
    holds labels, an array of shape (N, k). With labels the result has shape (N,) and a field per
    column, float64 or text. It is never the array given. Values that do not fit ``spec`` raise
    `ParameterError`.
    """
    if isinstance(values, np.ndarray) and values.dtype.names is None:
        if spec.has_labels:
            raise ParameterError(
                f"{spec.name} has labels and must be a mapping of its columns "
                f"{listed(spec.column_names)}, got an array of shape {values.shape}."
            )
        if values.ndim != 2 or values.shape[1] != spec.dim or values.dtype != np.float64:
            raise ParameterError(
                f"{spec.name} must have shape (N, {spec.dim}) and dtype float64, "
                f"got {values.shape} and {values.dtype}."
            )
        return values.copy()
    columns = _columns(spec, values)
    if not spec.has_labels:
        return np.stack([columns[name] for name in spec.column_names], axis=1)
    return label_table(spec, columns)


def label_table(spec: FeatureSpec, columns: Mapping[str, AnyArray]) -> AnyArray:
    """Return a structured array of columns, float64 or text, that fit ``spec``."""
    kinds = [(name, columns[name].dtype) for name in spec.column_names]
    table = np.empty(len(columns[spec.column_names[0]]), kinds)
    for name in spec.column_names:
        table[name] = columns[name]
    return table


def _columns(spec: FeatureSpec, values: Any) -> dict[str, AnyArray]:
    if isinstance(values, np.ndarray):
        values = {name: values[name] for name in values.dtype.names or ()}
    if not isinstance(values, Mapping):
        raise ParameterError(
            f"{spec.name} must be a mapping of its columns {listed(spec.column_names)} or an "
            f"array, got {type(values).__name__}."
        )
    if set(values) != set(spec.column_names):
        given, declared = list(map(str, values)), spec.column_names
        missing = [name for name in declared if name not in given]
        unknown = [name for name in given if name not in declared]
        raise ParameterError(
            f"{spec.name} must have the columns {listed(declared)}, got {listed(given)}; "
            f"missing: {listed(missing)}; unknown: {listed(unknown)}."
        )
    columns = {}
    for column in spec.columns:
        entries = values[column.name]
        columns[column.name] = (
            _texts(spec, column, entries) if column.is_label else _numbers(spec, column, entries)
        )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ParameterError(f"columns of {spec.name} must have one length, got {lengths}.")
    return columns


def _numbers(spec: FeatureSpec, column: Column, entries: Any) -> AnyArray:
    try:
        numbers = np.asarray(entries)
    except ValueError as error:
        raise ParameterError(f"{spec.name}.{column.name} must be numbers: {error}.") from error
    if numbers.size == 0:
        numbers = np.zeros(0)
    if numbers.ndim != 1 or numbers.dtype.kind not in "fiub":
        raise ParameterError(
            f"{spec.name}.{column.name} must be one-dimensional numbers, "
            f"got shape {numbers.shape}, dtype {numbers.dtype}."
        )
    return np.array(numbers, np.float64)


def _texts(spec: FeatureSpec, column: Column, entries: Any) -> AnyArray:
    if isinstance(entries, str) or not isinstance(entries, Sequence | np.ndarray):
        raise ParameterError(
            f"{spec.name}.{column.name} must be a list of labels, got {type(entries).__name__}."
        )
    labels = [str(label) if isinstance(label, np.str_) else label for label in entries]
    check_labels(spec.name, column, labels)
    return np.array(labels, dtype=str) if labels else np.zeros(0, "U1")


def check_labels(feature: str, column: Column, labels: Sequence[Any]) -> None:
    """Raise `ParameterError` unless all labels are text, and in the vocabulary if it is closed."""
    closed = None if column.labels in {None, "open"} else column.labels
    for label in dict.fromkeys(labels):
        check_label(label, f"{feature}.{column.name}")
        if closed is not None and label not in closed:
            some = listed(closed[:8]) + ", ..." * (len(closed) > 8)
            raise ParameterError(
                f"{feature}.{column.name} must be one of the {len(closed)} labels of its column "
                f"({some}), got {label!r}."
            )


def check_times(spec: FeatureSpec, table: AnyArray, duration: float) -> None:
    """Raise `ParameterError` unless events are finite, in order, and inside the recording.

    Every column in seconds lies within 0 and ``duration``, give or take `TIME_TOLERANCE`; rows
    ascend by the first of them, and none ends before it starts.
    """
    seconds: dict[str, AnyArray] = {}
    for number, column in enumerate(spec.columns):
        if column.is_label:
            continue
        values = table[column.name] if spec.has_labels else table[:, number]
        if not np.isfinite(values).all():
            count = int(np.count_nonzero(~np.isfinite(values)))
            raise ParameterError(
                f"{spec.name}.{column.name} must be finite, got {count} NaN or infinite of "
                f"{len(values)}."
            )
        if column.unit == "s":
            seconds[column.name] = values
    first, times = next(iter(seconds.items()))
    steps = np.flatnonzero(np.diff(times) < 0)
    if steps.size:
        row = int(steps[0])
        raise ParameterError(
            f"{spec.name} must be sorted by {first}, got {times[row + 1]:.3f} s (row {row + 1}) "
            f"after {times[row]:.3f} s."
        )
    for name in [column for column in seconds if column in _ENDS and column != first]:
        early = np.flatnonzero(seconds[name] < times)
        if early.size:
            row = int(early[0])
            raise ParameterError(
                f"{spec.name}.{name} must not lie before {first}, got {seconds[name][row]:.3f} s "
                f"for an event at {times[row]:.3f} s (row {row})."
            )
    for name, values in seconds.items():
        outside = np.flatnonzero((values < 0) | (values > duration + TIME_TOLERANCE))
        if outside.size:
            row = int(outside[0])
            late = values[row] > 0
            raise ParameterError(
                f"{spec.name}.{name} must lie within 0..{duration:.3f} s, got {values[row]:.3f} "
                f"(row {row}). Events are in seconds from the start of the recording"
                f"{'; clip the last one to Track.duration' * bool(late)}."
            )
