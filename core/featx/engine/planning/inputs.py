"""From what the user names to tracks: files, folders, globs, manifests, a list on stdin."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import itertools
import os
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, BinaryIO, TypeAlias

from featx import remote
from featx.audio import AUDIO_SUFFIXES
from featx.engine.planning.listing import RemoteFolder, common_parent
from featx.engine.planning.parts import Part
from featx.errors import ParameterError, listed, near, some
from featx.manifest import MANIFEST_SUFFIXES, read_manifest
from featx.store.catalogue import LedgerView
from featx.store.paths import is_store_folder
from featx.store.records import column_values

_MAGIC = frozenset("*?[")
_CHUNK = 1 << 16
_BATCH = 500
#: Values of a column that a message can choose from.
_KEPT_VALUES = 1000
_BOM, _BOMS_16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


#: Columns and the values that tracks must have there, such as ``{"artist": "Bach"}``.
Conditions: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class InputTrack:
    """One file to work on: its id, absolute path or URL, and what a manifest says about it.

    ``state`` is what a listing or server said of a remote file, see `featx.remote.states`.
    """

    track_id: str
    path: str
    tags: Mapping[str, str] = field(default_factory=dict)
    state: tuple[int, int] | None = None


class Inputs(Iterable[InputTrack]):
    """The tracks that some inputs name; may be walked any number of times, and is never a list.

    ``inputs`` are files, folders (every file below with a suffix of `featx.audio.AUDIO_SUFFIXES`,
    hidden ones skipped), globs, manifests, playlists, URLs of files and (not on the web) of
    folders, and ``-`` for a list of files on ``stdin``, one per line, or with ``null`` ended by NUL
    bytes, as ``find -print0`` writes them. ``exclude``
    are patterns such as ``*.wav``, ``live`` or ``demos/*``: files and folders are left out whose
    name, or whose path as in an id, one of them matches; rows of manifests are not. With ``where``,
    columns and values as in `TrackTable.where`, only tracks are taken to which the manifest, or
    what ``store`` knows of them, gives these values. With ``part``, a number from 1 and a count,
    only the tracks of this part are taken. An input that does not exist raises `ParameterError`.
    """

    def __init__(
        self,
        inputs: Iterable[str | os.PathLike[str]],
        *,
        stdin: BinaryIO | None = None,
        null: bool = False,
        exclude: Iterable[str] = (),
        where: Conditions = (),
        store: str | os.PathLike[str] | None = None,
        part: tuple[int, int] | None = None,
    ) -> None:
        #: Why files of the folders were left out in the last walk, and how many.
        self.left_out: Counter[str] = Counter()
        self._where = tuple(where.items()) if isinstance(where, Mapping) else tuple(where)
        self._store = store
        self.part = None if part is None else Part.checked(part)
        self._exclude = [pattern.rstrip("/") for pattern in exclude]
        self._lines: IO[bytes] | None = None
        names = [os.fspath(item) for item in inputs]
        if not names:
            raise ParameterError("inputs must name at least one file or folder, got none.")
        self.names = tuple(names)
        self._folders: list[str] = []
        self._files: list[str] = []
        self._remote_folders: list[RemoteFolder] = []
        self._remote_files: list[str] = []
        self._manifests: list[str] = []
        for item in names:
            if item == "-":
                self._spool(stdin or sys.stdin.buffer, b"\0" if null else b"\n")
            elif remote.is_url(item):
                self._add_url(item)
            else:
                for path in _expand(item):
                    self._add(path)
        self._root = self._common_parent()
        self._remote_root = common_parent(
            (folder.url for folder in self._remote_folders),
            itertools.chain(self._remote_files, filter(remote.is_url, self._listed())),
        )

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

        Raises `ParameterError` if two files claim one id, a manifest has wrong lines, or no track
        has the wanted labels.
        """
        self.left_out.clear()
        if self._exclude:
            self.left_out["excluded"] = 0  # is reported: the patterns may be wrong
        for track in self._labelled() if self._where else self._unique():
            if self.part is None or self.part.holds(track.track_id):
                yield track
            else:
                self.left_out["in other parts"] += 1

    def _labelled(self) -> Iterator[InputTrack]:
        """Yield the tracks that have the wanted labels."""
        chosen = False
        values: dict[str, dict[str, None]] = {name: {} for name, _ in self._where}
        with contextlib.ExitStack() as stack:
            view = None
            if self._store is not None and is_store_folder(Path(self._store)):
                view = stack.enter_context(LedgerView(self._store))
            for track in self._unique():
                record = None if view is None else view.track(track.track_id)
                labels = {**(record.tags if record else {}), **track.tags}
                held = {name: column_values(name, labels.get(name, "")) for name in values}
                if all(value in held[name] for name, value in self._where):
                    chosen = True
                    yield track
                    continue
                self.left_out["with other labels"] += 1
                for name, several in held.items():
                    if len(values[name]) < _KEPT_VALUES:
                        values[name].update(dict.fromkeys(several))
        if not chosen and self.left_out["with other labels"]:
            raise ParameterError(self._nothing_labelled(values))

    def _nothing_labelled(self, values: Mapping[str, Iterable[str]]) -> str:
        hints = []
        for name, value in self._where:
            known = sorted(values[name])
            close = near(value, known, most=3)
            hints.append(f"Values of {name}: {some(dict.fromkeys([*close, *known]))}.")
        texts = [f"{name}={value}" for name, value in self._where]
        return (
            f"where must hold for some file, got {listed(texts)}. {' '.join(dict.fromkeys(hints))} "
            "Labels come from manifests and, for files that STORE knows, from there; give a "
            "manifest, or run without it first."
        )

    def _unique(self) -> Iterator[InputTrack]:
        """Yield each track once."""
        others = (self._files, self._remote_files, self._manifests, self._lines)
        if len(self._folders) + len(self._remote_folders) == 1 and not any(others):
            yield from self._below_folders()
            return
        with _UniqueIds() as ids:
            for track in self._all():
                if ids.is_new(track):
                    yield track
                else:
                    self.left_out["named twice"] += 1

    def count(self) -> int:
        """Return the number of tracks, walking everything once."""
        return sum(1 for _ in self)

    def _all(self) -> Iterator[InputTrack]:
        for manifest in self._manifests:
            for row in read_manifest(manifest):
                yield InputTrack(track_id=row.track_id, path=row.path, tags=row.tags)
        yield from self._below_folders()
        for path in itertools.chain(self._files, self._remote_files, self._listed()):
            track = self._single(path)
            if self._is_excluded(track.track_id):
                self.left_out["excluded"] += 1
            else:
                yield track

    def _below_folders(self) -> Iterator[InputTrack]:
        for folder in self._folders:
            yield from self._walk(folder)
        for listing in self._remote_folders:
            for file in listing:
                if track := self._listed_track(listing.url, file):
                    yield track

    def _listed_track(self, url: str, file: remote.RemoteFile) -> InputTrack | None:
        """Return a file of a listing as a track, or None and count why it is left out."""
        track = self._single(f"{url}/{file.name}")
        if any(name.startswith(".") for name in file.name.split("/")):
            self.left_out["hidden"] += 1
        elif self._is_excluded(track.track_id):
            self.left_out["excluded"] += 1
        elif os.path.splitext(file.name)[1].lower() not in AUDIO_SUFFIXES:  # noqa: PTH122
            self.left_out["without a suffix of audio"] += 1
        else:
            return dataclasses.replace(track, state=(file.size, file.version))
        return None

    def _add_url(self, url: str) -> None:
        remote.check_url(url)
        suffix = os.path.splitext(url)[1].lower()  # noqa: PTH122
        if suffix in MANIFEST_SUFFIXES:
            raise ParameterError(f"manifests must be files of this machine, got {url}: copy it.")
        if remote.is_listed(url) and suffix not in AUDIO_SUFFIXES:
            self._remote_folders.append(RemoteFolder(url))
        else:
            self._remote_files.append(url)

    def _add(self, path: str) -> None:
        if os.path.isdir(path):  # noqa: PTH112  (names may be undecodable; strings keep them)
            self._folders.append(path)
        elif path.lower().endswith(MANIFEST_SUFFIXES):
            self._manifests.append(path)
        else:
            self._files.append(path)

    def _spool(self, stream: BinaryIO, end: bytes) -> None:
        """Copy stdin to disk: the common parent is known only after the last name."""
        if self._lines is not None:
            raise ParameterError("inputs must hold '-' once, got it twice.")
        self._lines = tempfile.TemporaryFile(prefix="featx-stdin-")  # noqa: SIM115
        for number, item in enumerate(_split(iter(lambda: stream.read(_CHUNK), b""), end)):
            name = item if end == b"\0" else item.rstrip(b"\r")
            if number == 0:
                if name.startswith(_BOMS_16):
                    raise ParameterError("stdin must be names in UTF-8, got UTF-16.")
                name = name.removeprefix(_BOM)
            if b"\0" in name:
                raise ParameterError("stdin must hold one name per line, got a NUL byte: add -0.")
            if name:
                text = os.fsdecode(name)
                if remote.is_url(text):
                    remote.check_url(text)
                path = text if remote.is_url(text) else _absolute(text)
                self._lines.write(os.fsencode(path) + b"\0")

    def _listed(self) -> Iterator[str]:
        if self._lines is None:
            return
        self._lines.flush()
        number = self._lines.fileno()
        places = itertools.count(0, _CHUNK)
        chunks = iter(lambda: os.pread(number, _CHUNK, next(places)), b"")
        yield from map(os.fsdecode, _split(chunks, b"\0"))

    def _common_parent(self) -> str:
        parent: str | None = None
        for path in self._folders:
            parent = path if parent is None else os.path.commonpath([parent, path])
        for source in (self._files, self._listed()):
            for path in itertools.filterfalse(remote.is_url, source):
                own = os.path.dirname(path)  # noqa: PTH120
                parent = own if parent is None else os.path.commonpath([parent, own])
        return parent or os.sep

    def _single(self, path: str) -> InputTrack:
        if remote.is_url(path):
            below = f"{self._remote_root}/" if self._remote_root else ""
            return InputTrack(track_id=path.removeprefix(below), path=path)
        name = os.path.relpath(path, self._root).replace(os.sep, "/")
        return InputTrack(track_id=name, path=path)

    def _walk(self, folder: str) -> Iterator[InputTrack]:
        prefix = os.path.relpath(folder, self._root).replace(os.sep, "/")
        yield from self._below(folder, "" if prefix == "." else f"{prefix}/", ())

    def _is_excluded(self, relative: str) -> bool:
        """Return whether a file or folder, or a folder above it, is to be left out."""
        if not self._exclude:
            return False
        names = relative.split("/")
        paths = itertools.accumulate(names, "{}/{}".format)
        known = {*names, *paths}
        return any(fnmatchcase(name, pattern) for pattern in self._exclude for name in known)

    def _below(
        self, folder: str, prefix: str, above: tuple[tuple[int, int], ...]
    ) -> Iterator[InputTrack]:
        """Yield the audio files below ``folder``; links to folders are followed unless they loop.

        A folder below the one given that cannot be read is yielded itself: it fails as a file does.
        """
        try:
            state = os.stat(folder)  # noqa: PTH116
            here = (state.st_dev, state.st_ino)
            if here in above:
                self.left_out["links in a circle"] += 1
                return
            with os.scandir(folder) as entries:
                names = sorted((entry.name, _is_folder(entry)) for entry in entries)
        except OSError as error:
            if not above:
                message = f"folder {folder} must be readable: {error.strerror}."
                raise ParameterError(message) from error
            yield InputTrack(track_id=prefix.rstrip("/"), path=folder)
            return
        for name, is_folder in names:
            path = f"{folder.rstrip(os.sep)}{os.sep}{name}"
            if name.startswith("."):
                self.left_out["hidden"] += 1
            elif self._is_excluded(f"{prefix}{name}"):
                self.left_out["excluded"] += 1
            elif is_folder:
                yield from self._below(path, f"{prefix}{name}/", (*above, here))
            elif name[name.rfind(".") :].lower() in AUDIO_SUFFIXES:
                yield InputTrack(track_id=f"{prefix}{name}", path=path)
            else:
                self.left_out["without a suffix of audio"] += 1


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


def batches(tracks: Iterable[InputTrack]) -> Iterator[list[InputTrack]]:
    """Yield some hundred tracks at once, so that one question to a catalogue serves all of them."""
    rest = iter(tracks)
    while batch := list(itertools.islice(rest, _BATCH)):
        yield batch


def with_states(tracks: Iterable[InputTrack]) -> Iterator[InputTrack]:
    """Yield the tracks; those behind URLs with what their server says of them."""
    for lacks_state, group in itertools.groupby(tracks, key=_lacks_state):
        if not lacks_state:
            yield from group
            continue
        for batch in batches(group):
            states = remote.states([track.path for track in batch])
            for track, state in zip(batch, states, strict=True):
                yield dataclasses.replace(track, state=state)


def _lacks_state(track: InputTrack) -> bool:
    return track.state is None and remote.is_url(track.path)


def left_out_note(left_out: Mapping[str, int]) -> str:
    """Return in a sentence which files of the folders are no inputs."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    return f"Left out: {reasons}."


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100  (Path.resolve would follow links)


def _expand(item: str) -> list[str]:
    if os.path.lexists(item):
        return [_absolute(item)]
    if not _MAGIC & set(item):
        raise ParameterError(f"no such file or folder: {item}")
    matches = sorted(glob.glob(item, recursive=True))  # noqa: PTH207
    if not matches:
        raise ParameterError(f"no file or folder matches {item}")
    return [_absolute(path) for path in matches]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links: no folder, and as a file it fails by itself
        return False


def _split(chunks: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    """Yield what lies between the bytes ``end`` of a stream that comes in chunks."""
    rest = b""
    for chunk in chunks:
        *items, rest = (rest + chunk).split(end)
        yield from items
    if rest:
        yield rest
