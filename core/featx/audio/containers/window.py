"""Reading small pieces of a file in rising order without a system call for each."""

from __future__ import annotations

from featx.audio.files import SourceFile

_SIZE = 1 << 18


class Window:
    """A cache of one stretch of a file; memory stays at a quarter of a megabyte."""

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._start = 0
        self._data = b""

    def read(self, offset: int, count: int) -> bytes:
        """Return up to ``count`` (small) bytes from ``offset``."""
        begin = offset - self._start
        if begin < 0 or begin + count > len(self._data):
            self._data = self._source.read_at(offset, max(_SIZE, count))
            self._start, begin = offset, 0
        return self._data[begin : begin + count]

    def find(self, pattern: bytes, offset: int) -> int:
        """Return where ``pattern`` begins next, -1 when it does not."""
        overlap = len(pattern) - 1
        while offset < self._source.size:
            data = self._source.read_at(offset, _SIZE)
            at = data.find(pattern)
            if at >= 0:
                return offset + at
            if len(data) <= overlap:
                break
            offset += len(data) - overlap
        return -1
