"""Parts of a waveform: what of it is in memory, and which frames that is enough for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.frontend.blocks import check_waveform
from featx.frontend.geometry import n_frames
from featx.frontend.lanes import check_finite

if TYPE_CHECKING:
    from featx.frontend.front_end import FrontEnd
    from featx.types import FloatArray

__all__ = ["ALIGNED", "Part", "blocks_of_pieces", "blocks_of_waveform"]

#: Frames are cut at multiples of this, which every number of lanes divides.
ALIGNED = 32
#: ``total`` of a waveform that has not ended yet.
UNKNOWN = 1 << 62


@dataclass(frozen=True, kw_only=True)
class Part:
    """Samples ``y`` of a waveform from ``offset`` on, enough for the frames that are asked of them.

    ``total`` is the number of frames of the whole waveform, or `UNKNOWN`. ``checked`` says that the
    samples are known to be finite.
    """

    y: FloatArray
    offset: int = 0
    total: int = UNKNOWN
    checked: bool = False


#: A part, and the frames ``first … stop - 1`` that it is for.
Block = tuple[Part, int, int]


def blocks_of_waveform(part: Part, rows: int, start: int, stop: int) -> Iterator[Block]:
    """Yield frames ``start … stop - 1`` of a whole waveform, ``rows`` at a time."""
    for first in range(start, stop, rows):
        yield part, first, min(first + rows, stop)


def blocks_of_pieces(
    pieces: Iterable[FloatArray], fe: FrontEnd, *, rows: int, margin: int
) -> Iterator[Block]:
    """Yield the same blocks of a waveform that comes in pieces.

    Parts also hold the samples of ``margin`` frames on either side, as far as there are any.
    """
    stream = _Stream(fe)
    first = 0
    for piece in pieces:
        stream.add(piece)
        while stream.seen >= stream.end_of(first + rows + margin):
            yield stream.part(), first, first + rows
            first += rows
            stream.forget(first - margin)
    total = n_frames(stream.seen, fe)
    for start in range(first, total, rows):
        yield stream.part(total), start, min(start + rows, total)


class _Stream:
    """Samples as they come, as many of the last ones as are needed still."""

    def __init__(self, fe: FrontEnd) -> None:
        self._hop = fe.hop
        self._length = 1 if fe.framing is None else fe.framing.frame_samples
        self._left = 0 if fe.framing is None else fe.framing.left_samples
        self._held: list[FloatArray] = []
        self._offset = 0
        self.seen = 0

    def add(self, piece: FloatArray) -> None:
        """Take the next samples, which may be as few as one likes."""
        y = check_waveform(piece).copy()  # the caller may use the array again
        check_finite(y)
        self._held.append(y)
        self.seen += len(y)

    def end_of(self, frame: int) -> int:
        """Return the number of samples with which ``frame`` is complete."""
        return math.floor(frame * self._hop) - self._left + self._length

    def part(self, total: int = UNKNOWN) -> Part:
        """Return all that is held."""
        if len(self._held) != 1:
            empty = np.zeros(0, dtype=np.float32)
            self._held = [np.concatenate([empty, *self._held])]
        return Part(y=self._held[0], offset=self._offset, total=total, checked=True)

    def forget(self, frame: int) -> None:
        """Drop what comes before ``frame``, but not what may be mirrored at the end."""
        aligned = max(0, frame) // ALIGNED * ALIGNED
        mirrored = self.seen - self._length - math.ceil(self._hop) - 2
        first = min(math.floor(aligned * self._hop) - self._left, mirrored)
        if first > self._offset:
            self._held = [self.part().y[first - self._offset :]]
            self._offset = first
