"""From what the user names to tracks: files, folders, globs, manifests, a list on stdin."""

from __future__ import annotations

import glob
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, BinaryIO

from featx.audio import AUDIO_SUFFIXES
from featx.errors import ParameterError
from featx.manifest import MANIFEST_SUFFIXES, read_manifest

_MAGIC = frozenset("*?[")


@dataclass(frozen=True, kw_only=True)
class InputTrack:
    """One file to work on: its id, absolute path, and what a manifest says about it."""

    track_id: str
    path: str
    tags: Mapping[str, str] = field(default_factory=dict)


class Inputs(Iterable[InputTrack]):
    """The tracks that some inputs name; may be walked any number of times, and is never a list.

    ``inputs`` are files, folders (every file below with a suffix of `featx.audio.AUDIO_SUFFIXES`,
    hidden ones skipped), globs, manifests, and ``-`` for a list of files, one per line, on
    ``stdin``. One that does not exist raises `ParameterError`.
    """

    def __init__(
        self, inputs: Iterable[str | os.PathLike[str]], *, stdin: BinaryIO | None = None
    ) -> None:
        self._lines: IO[bytes] | None = None
        names = [os.fspath(item) for item in inputs]
        if not names:
            raise ParameterError("inputs must name at least one file or folder, got none.")
        self.names = tuple(names)
        self._folders: list[str] = []
        self._files: list[str] = []
        self._manifests: list[str] = []
        for item in names:
            if item == "-":
                self._spool(stdin or sys.stdin.buffer)
            else:
                for path in _expand(item):
                    self._add(path)
        self._root = self._common_parent()

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders given, as absolute paths."""
        return tuple(self._folders)

    def __enter__(self) -> Inputs:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Drop the copy of stdin, if there is one."""
        if self._lines is not None:
            self._lines.close()

    def __iter__(self) -> Iterator[InputTrack]:
        """Yield each track once, folders in the order of their names.

        Raises `ParameterError` if two files claim one id, or a manifest has wrong lines.
        """
        if self._folders and not (
            len(self._folders) > 1 or self._files or self._manifests or self._lines
        ):
            yield from self._walk(self._folders[0])
            return
        with _UniqueIds() as ids:
            for track in self._all():
                if ids.is_new(track):
                    yield track

    def count(self) -> int:
        """Return the number of tracks, walking everything once."""
        return sum(1 for _ in self)

    def _all(self) -> Iterator[InputTrack]:
        for manifest in self._manifests:
            for row in read_manifest(manifest):
                yield InputTrack(track_id=row.track_id, path=row.path, tags=row.tags)
        for folder in self._folders:
            yield from self._walk(folder)
        for path in self._files:
            yield self._single(path)
        for path in self._listed():
            yield self._single(path)

    def _add(self, path: str) -> None:
        if os.path.isdir(path):  # noqa: PTH112  (names may be undecodable; strings keep them)
            self._folders.append(path)
        elif path.lower().endswith(MANIFEST_SUFFIXES):
            self._manifests.append(path)
        else:
            self._files.append(path)

    def _spool(self, stream: BinaryIO) -> None:
        """Copy stdin to disk: the common parent is known only after the last line."""
        if self._lines is not None:
            raise ParameterError("inputs must hold '-' once, got it twice.")
        self._lines = tempfile.TemporaryFile(prefix="featx-stdin-")  # noqa: SIM115
        for line in stream:
            name = line.rstrip(b"\r\n")
            if name:
                self._lines.write(os.fsencode(_absolute(os.fsdecode(name))) + b"\n")

    def _listed(self) -> Iterator[str]:
        if self._lines is None:
            return
        position = 0
        while True:
            self._lines.seek(position)
            line = self._lines.readline()
            if not line:
                return
            position += len(line)
            yield os.fsdecode(line[:-1])

    def _common_parent(self) -> str:
        parent: str | None = None
        for path in self._folders:
            parent = path if parent is None else os.path.commonpath([parent, path])
        for source in (self._files, self._listed()):
            for path in source:
                own = os.path.dirname(path)  # noqa: PTH120
                parent = own if parent is None else os.path.commonpath([parent, own])
        return parent or os.sep

    def _single(self, path: str) -> InputTrack:
        name = os.path.relpath(path, self._root).replace(os.sep, "/")
        return InputTrack(track_id=name, path=path)

    def _walk(self, folder: str) -> Iterator[InputTrack]:
        prefix = os.path.relpath(folder, self._root).replace(os.sep, "/")
        yield from _walk(folder, "" if prefix == "." else f"{prefix}/", ())


class _UniqueIds:
    """The ids of an iteration, on disk: memory does not grow with their number."""

    def __enter__(self) -> _UniqueIds:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE tracks (id BLOB PRIMARY KEY, path BLOB) WITHOUT ROWID")
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def is_new(self, track: InputTrack) -> bool:
        """Return False for a file met before; raise `ParameterError` for another of this id."""
        name, path = os.fsencode(track.track_id), os.fsencode(track.path)
        insertion = self._database.execute(
            "INSERT OR IGNORE INTO tracks VALUES (?, ?)", (name, path)
        )
        if insertion.rowcount == 1:
            return True
        row = self._database.execute("SELECT path FROM tracks WHERE id = ?", (name,)).fetchone()
        if row[0] != path:
            raise ParameterError(
                f"track_id must differ between files, got {track.track_id!r} for both "
                f"{os.fsdecode(row[0])} and {track.path}. Give both in one manifest with a column "
                "track_id, or run them into two stores."
            )
        return False


def discover(inputs: Iterable[str | os.PathLike[str]], *, stdin: BinaryIO | None = None) -> Inputs:
    """Return the tracks that ``inputs`` name; arguments and errors are those of `Inputs`."""
    return Inputs(inputs, stdin=stdin)


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100  (Path.resolve would follow links)


def _expand(item: str) -> list[str]:
    if os.path.lexists(item):
        return [_absolute(item)]
    if not _MAGIC & set(item):
        raise ParameterError(f"inputs must exist, got {item!r}.")
    matches = sorted(glob.glob(item, recursive=True))  # noqa: PTH207
    if not matches:
        raise ParameterError(f"inputs must exist, got {item!r}, which nothing matches.")
    return [_absolute(path) for path in matches]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links: no folder, and as a file it fails by itself
        return False


def _walk(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[InputTrack]:
    """Yield the audio files below ``folder``; links to folders are followed unless they loop."""
    try:
        state = os.stat(folder)  # noqa: PTH116
        here = (state.st_dev, state.st_ino)
        if here in above:
            return
        names: list[tuple[str, bool]] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                is_folder = _is_folder(entry)
                if is_folder or os.path.splitext(entry.name)[1].lower() in AUDIO_SUFFIXES:  # noqa: PTH122
                    names.append((entry.name, is_folder))
    except OSError as error:
        raise ParameterError(f"folder {folder} must be readable: {error.strerror}.") from error
    for name, is_folder in sorted(names):
        path = f"{folder.rstrip(os.sep)}{os.sep}{name}"
        if is_folder:
            yield from _walk(path, f"{prefix}{name}/", (*above, here))
        else:
            yield InputTrack(track_id=f"{prefix}{name}", path=path)
