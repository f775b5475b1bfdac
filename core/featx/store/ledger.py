"""Ledger files: JSON lines with a checksum, one file per writer, one transaction per line."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import socket
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from featx.errors import StoreError
from featx.store.paths import LEDGER_SUFFIX, LEDGERS, LOCK, plain_folder, regular_file, sync_folder

LEDGER_FORMAT = "featx-ledger"
LEDGER_VERSION = 1

#: Bytes and JSON values of a line: reading one takes at most some 300 MB. A shard of 256 tracks,
#: the largest in a run, has 10,000 values and mostly less than 1 MB.
LINE_LIMIT = 32 * 2**20
VALUES_LIMIT = 2_000_000
RUN_LIMIT = 2**22
_PART = 250  # with the longest names that file systems allow, 6 MB

_TAIL = re.compile(rb',"crc":"([0-9a-f]{8})"\}\n\Z')
_TAIL_LENGTH = 19
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,80}\Z")
_EPOCH_MS = 1_577_836_800_000  # 2020-01-01, so that run and milliseconds fit 63 bits

_last_tick = 0


class BadLineError(StoreError):
    """A ledger line is cut off or damaged."""


def encode_line(entry: Mapping[str, Any]) -> bytes:
    """Return ``entry`` as one line whose last member is the CRC-32 of all before it.

    Raises `StoreError` if it would be too long to be read again.
    """
    body = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode("ascii")[:-1]
    if len(body) + _TAIL_LENGTH > LINE_LIMIT or body.count(b",") > VALUES_LIMIT // 2:
        raise StoreError(
            f"a transaction must have at most {LINE_LIMIT} bytes, got {len(body)}. Commit fewer "
            "tracks at once."
        )
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def decode_line(line: bytes) -> dict[str, Any]:
    """Read what `encode_line` wrote; raise `BadLineError` for anything else."""
    tail = _TAIL.search(line[-_TAIL_LENGTH:])
    if tail is None:
        raise BadLineError("the line is cut off")
    if zlib.crc32(line[:-_TAIL_LENGTH]) != int(tail.group(1), 16):
        raise BadLineError("the checksum does not fit the line")
    if (count := line.count(b",") + line.count(b"[")) > VALUES_LIMIT:
        raise BadLineError(f"the line must hold at most {VALUES_LIMIT} values, got {count}")
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"the line is not valid JSON ({error})") from error
    if not isinstance(entry, dict):
        raise BadLineError("the line is not a JSON object")
    return entry


def next_stamp(run: int) -> int:
    """Return a number that orders commits: by run first, then by time, strictly rising here."""
    global _last_tick  # noqa: PLW0603  (one clock per process)
    _last_tick = max(_last_tick + 1, time.time_ns() // 1_000_000 - _EPOCH_MS) & (2**40 - 1)
    return (run << 40) | _last_tick


@dataclass(frozen=True)
class LedgerFile:
    """One ledger on disk: its file name and size in bytes."""

    name: str
    size: int


def ledger_files(folder: Path) -> list[LedgerFile]:
    """Return the ledgers of the store in ``folder`` in the order of their names."""
    base = plain_folder(folder, LEDGERS)
    files = []
    try:
        with os.scandir(base) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        raise StoreError(f"{base} cannot be listed: {error.strerror}.") from error
    for name in names:
        if not name.endswith(LEDGER_SUFFIX) or not _NAME.match(name):
            continue
        files.append(LedgerFile(name, regular_file(folder, f"{LEDGERS}/{name}").st_size))
    return files


def read_lines(folder: Path, name: str, start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(offset after the line, entry)`` of a ledger from byte ``start`` on.

    A last line that is cut off, or was torn by a power cut, ends the iteration without a word.
    Raises `StoreError` if any other line is damaged; the message names file and byte.
    """
    regular_file(folder, f"{LEDGERS}/{name}")
    path = folder / LEDGERS / name
    try:
        with path.open("rb") as stream:
            stream.seek(start)
            offset = start
            while line := stream.readline(LINE_LIMIT):
                try:
                    entry = decode_line(line)
                except BadLineError as error:
                    if _torn(stream, line):
                        return
                    raise StoreError(
                        f"ledger {path} is damaged at byte {offset}: {error}. "
                        "Restore the file from a copy, or run featx verify."
                    ) from error
                offset += len(line)
                yield offset, entry
    except OSError as error:
        raise StoreError(f"ledger {path} cannot be read: {error.strerror}.") from error


def _torn(stream: BinaryIO, line: bytes) -> bool:
    """Return whether a bad line is what a kill or a power cut leaves at the end of a file.

    A kill leaves the beginning of a line, a power cut may leave zeros in place of any part.
    """
    begun = not line.endswith(b"\n") and len(line) < LINE_LIMIT  # a longer one is damage
    return begun or (b"\0" in line and not stream.read(1))


def read_header(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the first line of a ledger, or None if it was cut off."""
    for _, entry in read_lines(folder, name):
        return entry
    return None


def current_run(folder: Path) -> int:
    """Return the number of the run that is going on, or the next one where none was announced."""
    announced = read_announcement(folder)
    if isinstance(announced.get("run"), int):
        return min(int(announced["run"]), RUN_LIMIT - 1)
    return next_run(folder)


def next_run(folder: Path) -> int:
    """Return one more than the highest run number in any ledger."""
    highest = 0
    for ledger in ledger_files(folder):
        header = read_header(folder, ledger.name) or {}
        run = header.get("run")
        if isinstance(run, int) and 0 <= run < RUN_LIMIT - 1:
            highest = max(highest, run)
    return highest + 1


def read_announcement(folder: Path, name: str = LOCK) -> dict[str, Any]:
    """Return what the holder of a lock file says of itself; empty if nobody does."""
    try:
        size = regular_file(folder, name).st_size
    except StoreError:
        if os.path.lexists(folder / name):
            raise
        return {}
    try:
        announced = json.loads((folder / name).read_bytes()) if 0 < size < 4096 else {}
    except (FileNotFoundError, ValueError):
        return {}
    except OSError as error:
        raise StoreError(f"{folder / name} cannot be read: {error.strerror}.") from error
    return announced if isinstance(announced, dict) else {}


def in_parts(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Cut what one transaction cannot hold into lists of some hundred items."""
    rest = iter(items)
    while part := list(itertools.islice(rest, _PART)):
        yield part


class LedgerWriter:
    """Appends transactions to a new ledger file; a line is durable when `append` returns.

    The file appears with the first line, so that idle workers leave no trace. Its name begins with
    the number of the run, which is taken then: it is not smaller than that of any ledger which the
    line may refer to, and catalogues read ledgers in the order of their names.
    """

    def __init__(self, folder: Path, *, provenance: Mapping[str, Any]) -> None:
        self.folder = folder
        self._provenance = dict(provenance)
        self._descriptor: int | None = None
        self._broken = ""

    @functools.cached_property
    def run(self) -> int:
        """The number of the run that it belongs to."""
        return current_run(self.folder)

    @functools.cached_property
    def name(self) -> str:
        """The name of the file."""
        return f"{self.run:06d}-{os.getpid()}-{uuid.uuid4().hex[:12]}{LEDGER_SUFFIX}"

    @property
    def path(self) -> Path:
        """Where the ledger lies, or will lie."""
        return self.folder / LEDGERS / self.name

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write ``entry`` as one line and make it durable.

        Raises `StoreError` if it cannot be written; the file is then as it was before.
        """
        if self._broken:
            raise StoreError(self._broken)
        try:
            if self._descriptor is None:
                self._create()
            self._write(encode_line(entry))
        except OSError as error:
            raise StoreError(
                f"ledger in {self.folder} cannot be written: {error.strerror}. "
                "What was committed before is safe; free some space and run again."
            ) from error

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._broken = "the store writer is closed."

    def _create(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._descriptor = os.open(self.path, flags, 0o666)
        header = {
            "kind": "writer",
            "format": LEDGER_FORMAT,
            "version": LEDGER_VERSION,
            "run": self.run,
            "time": time.time_ns(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "provenance": self._provenance,
        }
        try:
            self._write(encode_line(header))
            sync_folder(self.path.parent)
        except OSError:
            os.close(self._descriptor)
            self._descriptor = None
            self.path.unlink(missing_ok=True)
            raise

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            raise StoreError("the store writer is closed.")
        before = os.fstat(self._descriptor).st_size
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError:
            try:
                os.ftruncate(self._descriptor, before)
            except OSError as error:
                self._broken = f"ledger {self.path} cannot be repaired: {error.strerror}."
            raise
