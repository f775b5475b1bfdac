"""Manifests: CSV or Parquet tables with a ``path`` column and what is known about each track."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featx.errors import ParameterError, listed

MANIFEST_SUFFIXES = (".csv", ".parquet", ".pq")

#: Columns with a meaning, besides ``path`` and ``track_id``; others are read when asked for.
#: ``annotation`` is a file of events, relative to the manifest's folder like ``path``.
MANIFEST_COLUMNS = ("artist", "album", "title", "tags", "split", "tempo", "annotation")

#: Wrong lines that one error names at most.
_TOLD = 10


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One line: absolute path, id, and the columns of `MANIFEST_COLUMNS` that are not empty.

    Further columns that `read_manifest` was asked for are in ``tags`` as well.
    ``where`` is ``line 7`` of a CSV or ``row 6`` of a Parquet file, for messages.
    """

    track_id: str
    path: str
    where: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def read_manifest(
    path: str | os.PathLike[str], *, columns: Sequence[str] = ()
) -> Iterator[ManifestRow]:
    """Yield the rows of a manifest, reading it piece by piece.

    Paths are relative to the manifest's folder, and so is the ``track_id`` of rows that give none.

    Parameters
    ----------
    path : path
        CSV or Parquet.
    columns : sequence of str
        Columns to read besides those of `MANIFEST_COLUMNS`; the file must have them.

    Raises
    ------
    ParameterError
        If the file cannot be read, lacks the column ``path`` or one of ``columns``, or holds wrong
        lines: after the last row (or ten wrong ones) all of them are named by their numbers.
    """
    path = Path(path)
    folder = os.path.abspath(path.parent)  # noqa: PTH100  (no link is followed)
    wrong: list[str] = []
    for where, cells in _rows(path, extra=columns):
        try:
            row = _row(cells, folder, where, columns)
        except ParameterError as error:
            wrong.append(f"{where}: {error}")
            if len(wrong) == _TOLD:
                break
            continue
        missing = [name for name in columns if name not in cells]
        if missing:
            raise ParameterError(
                f"manifest {path} must have a column {missing[0]!r}, got {listed(cells)}."
            )
        if not wrong:
            yield row
    if wrong:
        raise ParameterError(
            f"manifest {path} must have valid lines, got {len(wrong)} wrong ones"
            f"{' or more' if len(wrong) == _TOLD else ''}:\n  " + "\n  ".join(wrong)
        )


def manifest_column(path: str | os.PathLike[str], name: str) -> dict[str, str]:
    """Return one column of a manifest by track id, whatever it is called; empty where it is.

    Raises `ParameterError` as `read_manifest`, or if there is no such column.
    """
    path = Path(path)
    folder = os.path.abspath(path.parent)  # noqa: PTH100  (no link is followed)
    column: dict[str, str] = {}
    for where, cells in _rows(path, extra=(name,)):
        try:
            row = _row(cells, folder, where)
        except ParameterError as error:
            raise ParameterError(f"manifest {path}, {where}: {error}.") from error
        if name not in cells:
            raise ParameterError(f"column must be one of {listed(cells)}, got {name!r}.")
        column[row.track_id] = _text(cells[name])
    return column


def manifest_columns(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the names of all columns of a manifest, in their order.

    Raises
    ------
    ParameterError
        If the file cannot be read, or lacks the column ``path``.
    """
    path = Path(path)
    next(_rows(path), None)  # raises where it cannot be read
    if path.suffix.lower() != ".csv":
        import pyarrow.parquet

        return tuple(pyarrow.parquet.read_schema(path).names)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return tuple(name.strip() for name in next(csv.reader(stream), []))


def _rows(path: Path, *, extra: Sequence[str] = ()) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield place and cells of every line; of a Parquet file the known columns and ``extra``."""
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _parquet_rows(path, extra)
    try:
        yield from rows
    except OSError as error:
        raise ParameterError(
            f"manifest {path} must be readable: {error.strerror or error}."
        ) from error
    except UnicodeDecodeError as error:
        raise ParameterError(f"manifest {path} must be UTF-8 text: {error}.") from error


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            columns = [name.strip() for name in next(reader, [])]
            _check_columns(path, columns)
            for cells in reader:
                where = f"line {reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(columns):
                    problem = f"has {len(cells)} fields, the header {len(columns)}"
                    yield where, {"": problem}
                else:
                    yield where, dict(zip(columns, cells, strict=True))
        except csv.Error as error:
            raise ParameterError(f"manifest {path}, line {reader.line_num}: {error}.") from error


def _parquet_rows(path: Path, extra: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ParameterError(
            f"manifest {path} needs pyarrow. Install it with: pip install featx[tables]"
        ) from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            known = ["path", "track_id", *MANIFEST_COLUMNS, *extra]
            columns = [name for name in file.schema_arrow.names if name in known]
            _check_columns(path, columns)
            number = 0
            for batch in file.iter_batches(batch_size=1024, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except pyarrow.ArrowException as error:
        raise ParameterError(f"manifest {path} must be a Parquet file: {error}.") from error


def _check_columns(path: Path, columns: list[str]) -> None:
    if "path" not in columns:
        raise ParameterError(
            f"manifest {path} must have a column 'path' in its first line, got {listed(columns)}."
        )
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ParameterError(
            f"manifest {path} must name each column once, got {listed(twice)} twice."
        )


def _row(
    cells: Mapping[str, Any], folder: str, where: str, extra: Sequence[str] = ()
) -> ManifestRow:
    if "" in cells and len(cells) == 1:
        raise ParameterError(str(cells[""]))
    named = {name: _text(cells[name]) for name in cells}
    if not named["path"]:
        raise ParameterError("path is empty")
    if any("\0" in text for text in named.values()):
        raise ParameterError("a field holds a NUL byte")
    path = os.path.normpath(os.path.join(folder, named["path"]))  # noqa: PTH118
    tempo = named.get("tempo", "")
    if tempo and not _positive(tempo):
        raise ParameterError(f"tempo must be a number > 0, got {tempo!r}")
    return ManifestRow(
        track_id=named.get("track_id") or os.path.relpath(path, folder).replace(os.sep, "/"),
        path=path,
        where=where,
        tags={name: named[name] for name in (*MANIFEST_COLUMNS, *extra) if named.get(name)},
    )


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list):
        return ";".join(map(str, value))
    return str(value).strip()


def _positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False
