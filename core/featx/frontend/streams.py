"""Waveforms as they come, whole or in pieces: which samples are held, and for which frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.frontend.checks import check_finite, check_waveform
from featx.frontend.geometry import n_frames
from featx.types import FloatArray

if TYPE_CHECKING:
    from featx.frontend.front_end import FrontEnd

#: Frames are cut at multiples of this, which every number of lanes divides.
ALIGNED = 32
#: ``total`` of a waveform that has not ended yet.
UNKNOWN = 1 << 62


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """Samples ``y`` of a waveform from ``offset`` on, enough for the frames that are asked of them.

    ``total`` is the number of frames of the whole waveform, or `UNKNOWN`. ``checked`` says that the
    samples are known to be finite.
    """

    y: FloatArray
    offset: int = 0
    total: int = UNKNOWN
    checked: bool = False


#: An excerpt, and the frames ``first … stop - 1`` that it is for.
Block = tuple[Excerpt, int, int]


def blocks_of_waveform(excerpt: Excerpt, rows: int, start: int, stop: int) -> Iterator[Block]:
    """Yield frames ``start … stop - 1`` of a whole waveform, ``rows`` at a time."""
    for first in range(start, stop, rows):
        yield excerpt, first, min(first + rows, stop)


def shares(total: int, threads: int, aligned: int = ALIGNED) -> range:
    """Return where each thread begins, at multiples of ``aligned`` frames."""
    blocks = -(-total // aligned)
    step = -(-blocks // max(1, min(threads, blocks))) * aligned
    return range(0, total, max(step, aligned))


def blocks_of_pieces(
    pieces: Iterable[FloatArray], fe: FrontEnd, *, rows: int, margin: int, gain: float = 1.0
) -> Iterator[Block]:
    """Yield the same blocks of a waveform that comes in pieces, whose samples are times ``gain``.

    Excerpts also hold the samples of ``margin`` frames on either side, as far as there are any.
    """
    stream = _Stream(fe, gain)
    first = 0
    for piece in pieces:
        stream.add(piece)
        while stream.seen >= stream.end_of(first + rows + margin):
            yield stream.excerpt(), first, first + rows
            first += rows
            stream.forget(first - margin)
    total = n_frames(stream.seen, fe)
    for start in range(first, total, rows):
        yield stream.excerpt(total), start, min(start + rows, total)


class _Stream:
    """Samples as they come, as many of the last ones as are needed still."""

    def __init__(self, fe: FrontEnd, gain: float) -> None:
        self._gain = np.float32(gain)
        self._hop = fe.hop
        self._length = 1 if fe.framing is None else fe.framing.frame_samples
        self._left = 0 if fe.framing is None else fe.framing.left_samples
        self._held: list[FloatArray] = []
        self._offset = 0
        self.seen = 0

    def add(self, piece: FloatArray) -> None:
        """Take the next samples, which may be as few as one likes."""
        y = check_waveform(piece) * self._gain  # a copy: the caller may use the array again
        check_finite(y)
        self._held.append(y)
        self.seen += len(y)

    def end_of(self, frame: int) -> int:
        """Return the number of samples with which ``frame`` is complete."""
        return math.floor(frame * self._hop) - self._left + self._length

    def excerpt(self, total: int = UNKNOWN) -> Excerpt:
        """Return all that is held."""
        if len(self._held) != 1:
            empty = np.zeros(0, dtype=np.float32)
            self._held = [np.concatenate([empty, *self._held])]
        return Excerpt(y=self._held[0], offset=self._offset, total=total, checked=True)

    def forget(self, frame: int) -> None:
        """Drop what comes before ``frame``, but not what may be mirrored at the end."""
        aligned = max(0, frame) // ALIGNED * ALIGNED
        mirrored = self.seen - self._length - math.ceil(self._hop) - 2
        first = min(math.floor(aligned * self._hop) - self._left, mirrored)
        if first > self._offset:
            self._held = [self.excerpt().y[first - self._offset :]]
            self._offset = first
