"""Manifests: tables with a ``path`` column and what is known about each track, and playlists."""

from __future__ import annotations

import csv
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from featx.errors import ParameterError, listed
from featx.folders import replacing
from featx.installed import install_extra
from featx.remote import check_url, is_url

_PLAYLISTS = (".m3u", ".m3u8")
MANIFEST_SUFFIXES = (".csv", ".tsv", ".parquet", ".pq", *_PLAYLISTS)
_DELIMITERS = ",;\t"
_BOM, _BOMS_16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")

#: Columns with a meaning, besides ``path`` and ``track_id``; others are read when asked for.
#: ``annotation`` is a file of events, relative to the manifest's folder like ``path``.
MANIFEST_COLUMNS = ("artist", "album", "title", "tags", "split", "tempo", "annotation")

#: Wrong lines that one error names at most.
_TOLD = 10


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One line: absolute path or URL, id, and the columns of `MANIFEST_COLUMNS` that are not empty.

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
    A path may be a URL, which is then the ``track_id`` as well.

    Parameters
    ----------
    path : path
        CSV (fields between commas, semicolons or tabs), Parquet, or a playlist (m3u, m3u8).
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
    suffix = path.suffix.lower()
    if suffix in _PLAYLISTS:
        return ("path",)
    if suffix in (".parquet", ".pq"):
        import pyarrow.parquet

        return tuple(pyarrow.parquet.read_schema(path).names)
    with _open_csv(path) as stream:
        return tuple(name for name in _csv_header(stream)[0] if name)


def _rows(path: Path, *, extra: Sequence[str] = ()) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield place and cells of every line; of a Parquet file the known columns and ``extra``."""
    suffix = path.suffix.lower()
    if suffix in _PLAYLISTS:
        rows = _playlist_rows(path)
    else:
        rows = _parquet_rows(path, extra) if suffix in (".parquet", ".pq") else _csv_rows(path)
    try:
        yield from rows
    except OSError as error:
        raise ParameterError(
            f"manifest {path} must be readable: {error.strerror or error}."
        ) from error
    except UnicodeDecodeError as error:
        raise ParameterError(
            f"manifest {path} must be UTF-8 text: {error}. Spreadsheets save it as 'CSV UTF-8'."
        ) from error


def _open_csv(path: Path) -> IO[str]:
    with path.open("rb") as stream:
        wide = stream.read(2) in _BOMS_16
    return path.open(encoding="utf-16" if wide else "utf-8-sig", newline="")


def _csv_header(stream: IO[str]) -> tuple[list[str], Any, int]:
    """Return the column names, a reader of the lines below, and the number of lines before it.

    Spreadsheets separate fields by semicolons or tabs as well, and may say so in a first line
    ``sep=;``. Columns with a meaning are found in any case.
    """
    first, skipped = stream.readline(), 0
    delimiter = ""
    if first[:4].lower() == "sep=":
        delimiter, first, skipped = first[4:5], stream.readline(), 1
    marks = delimiter or _DELIMITERS
    fitting = (mark for mark in marks if "path" in _columns(csv.reader([first], delimiter=mark)))
    mark = next(fitting, marks[0])
    reader = csv.reader(itertools.chain([first], stream), delimiter=mark, strict=True)
    return _columns(reader), reader, skipped


def _columns(reader: Iterator[list[str]]) -> list[str]:
    meanings = ("path", "track_id", *MANIFEST_COLUMNS)
    names = [name.strip() for name in next(reader, [])]
    return [name.lower() if name.lower() in meanings else name for name in names]


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with _open_csv(path) as stream:
        number = 1
        try:
            columns, reader, skipped = _csv_header(stream)
            _check_columns(path, columns)
            for cells in reader:
                number = reader.line_num + skipped
                where = f"line {number}"
                if not any(cells):
                    continue
                if len(cells) != len(columns):
                    problem = f"has {len(cells)} fields, the header {len(columns)}"
                    yield where, {"": problem}
                else:
                    yield (
                        where,
                        {name: c for name, c in zip(columns, cells, strict=True) if name},
                    )
        except csv.Error as error:
            raise ParameterError(f"manifest {path}, line {number + 1}: {error}.") from error


def _playlist_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    folder = os.path.abspath(path.parent)  # noqa: PTH100  (no link is followed)
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            entry = (line.removeprefix(_BOM) if number == 1 else line).strip()
            if entry and not entry.startswith(b"#"):
                yield f"line {number}", {"path": _playlist_path(entry, folder)}


def _playlist_path(entry: bytes, folder: str) -> str:
    """Return the path that an entry means: the first reading of it that is there, or else as is.

    Players write UTF-8 or Windows' encoding, slashes or backslashes, and ``file:`` addresses.
    """
    if entry.lower().startswith(b"file://"):
        entry = unquote_to_bytes(entry[7:]).removeprefix(b"localhost")
    readings = [os.fsdecode(entry)]
    try:
        entry.decode()
    except UnicodeDecodeError:
        readings.append(entry.decode("cp1252", "replace"))
    readings += [text.replace("\\", "/") for text in readings]
    for text in readings:
        if os.path.lexists(os.path.join(folder, text)):  # noqa: PTH118
            return text
    return readings[0]


def playlist_entry(path: str, *, folder: str | os.PathLike[str] | None = None) -> str:
    """Return a line of a playlist that means a file: its path, or an address where that is none.

    Names that a line of UTF-8 cannot hold, or that would be read as something else, become
    ``file:`` addresses.

    Parameters
    ----------
    path : str
        Absolute.
    folder : path, optional
        Where the playlist lies, for a relative path; by default the path stays absolute.
    """
    entry = path if folder is None else os.path.relpath(path, os.path.abspath(folder))  # noqa: PTH100
    text = entry.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    plain = text == entry == entry.strip() and entry.isprintable()
    if plain and not entry.startswith(("#", "file:", "\ufeff")):
        return entry.replace(os.sep, "/")
    return f"file://{quote_from_bytes(os.fsencode(path))}"


def write_playlist(
    path: str | os.PathLike[str], tracks: Iterable[tuple[str, float | None, str]]
) -> None:
    """Write an extended M3U playlist in UTF-8.

    Files below the folder of the playlist are named relative to it, so that both can be moved
    together; others by their absolute path.

    Parameters
    ----------
    path : path
        Replaced if it exists.
    tracks : iterable of (path, duration, name)
        Absolute path, seconds or None, and what players show.
    """
    folder = os.path.abspath(Path(path).parent)  # noqa: PTH100
    lines = ["#EXTM3U"]
    for file, seconds, name in tracks:
        below = file.startswith(os.path.join(folder, ""))  # noqa: PTH118
        title = "".join(mark if mark.isprintable() else " " for mark in name).strip()
        lines.append(f"#EXTINF:{-1 if seconds is None else round(seconds)},{title}")
        lines.append(playlist_entry(file, folder=folder if below else None))
    with replacing(Path(path)) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _parquet_rows(path: Path, extra: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ParameterError(
            f"manifest {path} needs pyarrow, which is not installed. Run: {install_extra('tables')}"
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
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
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
    path, track_id = named["path"], named.get("track_id")
    if is_url(path):
        check_url(path)
        track_id = track_id or path
    else:
        path = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118
    tempo = named.get("tempo", "")
    if tempo and not _positive(tempo):
        raise ParameterError(f"tempo must be a number > 0, got {tempo!r}")
    return ManifestRow(
        track_id=track_id or os.path.relpath(path, folder).replace(os.sep, "/"),
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
