"""Opening a file without being blocked or fooled, and hashing its bytes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from featx.errors import AudioError, is_exhaustion

_CHUNK = 1 << 20
_CODES = {
    errno.ENOENT: ("missing", "the file does not exist"),
    errno.ENOTDIR: ("missing", "a part of the path is not a folder"),
    errno.EACCES: ("permission", "there is no permission to read the file"),
    errno.EPERM: ("permission", "there is no permission to read the file"),
}


@dataclass(frozen=True)
class SourceFile:
    """An open regular file: descriptor, path and the size it had when it was opened."""

    fd: int
    path: Path
    size: int
    mtime_ns: int

    def read_at(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` bytes from ``offset``, none from outside the file.

        The descriptor's position is untouched. Offsets may come from headers that lie.
        """
        if not 0 <= offset < self.size:
            return b""
        return os.pread(self.fd, count, offset)

    def check_unchanged(self) -> None:
        """Raise `AudioError` (changed) when size or time differ from those at opening."""
        now = os.fstat(self.fd)
        if (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns):
            raise AudioError("changed", f"{self.size} bytes at first, {now.st_size} afterwards")

    def content_hash(self) -> str:
        """Return the BLAKE2b-128 hash of the bytes, 32 hexadecimal digits."""
        digest = hashlib.blake2b(digest_size=16)
        offset = 0
        while chunk := self.read_at(offset, _CHUNK):
            digest.update(chunk)
            offset += len(chunk)
        return digest.hexdigest()


class View:
    """A read-only file object over ``head`` followed by the source from byte ``start`` on.

    Decoders seek to where headers point: such places read as empty instead of raising.
    """

    def __init__(self, source: SourceFile, *, start: int = 0, head: bytes = b"") -> None:
        self._head, self._source, self._start = head, source, start
        self._size = len(head) + source.size - start
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to ``offset`` and return the new position, never before the first byte."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, count: int = -1) -> bytes:
        """Return up to ``count`` bytes, all that are left by default."""
        if count < 0:
            count = max(self._size - self._position, 0)
        if self._position < len(self._head):
            data = self._head[self._position : self._position + count]
        else:
            at = self._start + self._position - len(self._head)
            data = self._source.read_at(at, count)
        self._position += len(data)
        return data


def _from_os(error: OSError) -> AudioError:
    """Return what an error of the system says about the file, or raise it where it is about us."""
    if is_exhaustion(error):
        raise error
    code, reason = _CODES.get(error.errno or 0, ("unreadable", error.strerror or str(error)))
    return AudioError(code, reason)


@contextlib.contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[SourceFile]:
    """Open ``path`` for reading and close it afterwards; never blocks on a named pipe.

    Raises `AudioError`: ``missing``, ``permission``, ``unreadable`` (also loops of links), or
    ``not-audio`` for folders, pipes, sockets and devices. An `OSError` while reading becomes
    ``unreadable``, unless descriptors or memory have run out. Every `AudioError` raised while the
    file is open gets its path.
    """
    try:
        with _opened(path) as source:
            yield source
    except AudioError as error:
        error.path = os.fsdecode(path)
        raise


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[SourceFile]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _from_os(error) from None
    except ValueError as error:  # a NUL byte in the path
        raise AudioError("missing", str(error)) from None
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            kind = "a pipe, socket or device"
            if stat.S_ISDIR(state.st_mode):
                kind = "a folder"
                os.scandir(fd).close()  # one that cannot be listed fails for that
            raise AudioError("not-audio", f"{kind}, not a regular file")
        yield SourceFile(fd, Path(path), state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise _from_os(error) from error
    finally:
        os.close(fd)


def file_state(path: str) -> tuple[int, int]:
    """Return size in bytes and modification time in ns; -1 and -1 where there is no such file."""
    try:
        state = os.stat(path)  # noqa: PTH116  (names may be undecodable; strings keep them)
    except (OSError, ValueError):
        return -1, -1
    return state.st_size, state.st_mtime_ns


def content_hash(path: str | os.PathLike[str]) -> str:
    """Return the BLAKE2b-128 hash of a file's bytes, 32 hexadecimal digits.

    Raises
    ------
    AudioError
        When ``path`` is not a readable regular file.
    """
    with open_regular(path) as source:
        return source.content_hash()
