"""Statistics over time, of an array or of blocks that are read as often as they need."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from featx import Blocks
from featx_spectral.kernels import count_kernel

Array = npt.NDArray[Any]

#: Values that may be held for a median, 128 MiB; that of more is counted, in two readings.
HELD = 1 << 25
#: Values of half of the bits of a float32, and its sign.
_HALF, _SIGN = 1 << 16, np.uint32(1 << 31)


def summarise(frames: Array) -> Array:
    """Return mean, std, min, median and max over time, one after the other; zeros without frames.

    Parameters
    ----------
    frames : float32 array, shape (n_frames, dim)

    Returns
    -------
    float32 array, shape (5 * dim,)
    """
    if len(frames) == 0:
        return np.zeros(5 * frames.shape[1], dtype=np.float32)
    statistics = (
        frames.mean(axis=0, dtype=np.float64),
        frames.std(axis=0, dtype=np.float64),
        frames.min(axis=0),
        np.median(frames, axis=0),
        frames.max(axis=0),
    )
    return np.concatenate(statistics).astype(np.float32)


def joined(blocks: Blocks, dim: int) -> Array:
    """Return the rows of ``blocks`` in one array, shape (len(blocks), dim)."""
    out = np.empty((len(blocks), dim), dtype=np.float32)
    first = 0
    for rows in blocks:
        out[first : first + len(rows)] = rows
        first += len(rows)
    return out


def summarise_blocks(blocks: Blocks) -> Array:
    """Return what `summarise` returns for the rows of ``blocks``, in bounded memory.

    Mean and deviation are merged block by block in float64, which may change their last bit; the
    median is exact.

    References
    ----------
    Chan, Golub, LeVeque. "Algorithms for computing the sample variance". American Statistician
    37(3), 1983, eq. 2.1.
    """
    if len(blocks) == 0:
        return summarise(next(iter(blocks)))
    moments, median = _Moments(), _Median(len(blocks))
    for rows in blocks:
        moments.add(rows)
        median.add(rows)
    mean, std, low, high = moments.result()
    return np.concatenate((mean, std, low, median.of(blocks), high)).astype(np.float32)


class _Moments:
    """Mean, deviation and extremes of rows that come block by block."""

    def __init__(self) -> None:
        self._count = 0
        self._sums = self._squares = np.zeros(1)
        self._extremes: list[Array] = []

    def add(self, rows: Array) -> None:
        """Take the next rows, one at least."""
        n, values = len(rows), rows.astype(np.float64)
        sums = values.sum(axis=0)
        squares = ((values - sums / n) ** 2).sum(axis=0)
        if self._count:
            apart = sums / n - self._sums / self._count
            squares += self._squares + apart**2 * (self._count * n / (self._count + n))
        self._sums, self._squares = self._sums + sums, squares
        self._count += n
        low, high = [rows.min(axis=0), *self._extremes[:1]], [rows.max(axis=0), *self._extremes[1:]]
        self._extremes = [np.min(low, axis=0), np.max(high, axis=0)]

    def result(self) -> tuple[Array, Array, Array, Array]:
        """Return mean, deviation, least and greatest value of every column."""
        low, high = self._extremes
        return self._sums / self._count, np.sqrt(self._squares / self._count), low, high


class _Median:
    """The median of every column of ``n`` rows: by holding them, or by counting their bits.

    Floats are in the order of their bits, apart from the sign. The first reading counts the upper
    halves of the values, which says in which of them the middle lies; the second one counts the
    lower halves there.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._held: list[Array] = []
        self._counts = np.zeros((0, 0, _HALF), dtype=np.uint32)
        #: the middle of an odd number of values, or the two middle ones
        self._ranks = np.array([(n - 1) // 2, n // 2])

    def add(self, rows: Array) -> None:
        """Take the next rows of the first reading."""
        dim = rows.shape[1]
        if self._n * dim <= HELD:
            self._held.append(rows)
            return
        if not self._counts.size:
            self._counts = np.zeros((1, dim, _HALF), dtype=np.uint32)
        count_kernel(_bits(rows), 16, np.zeros((1, dim), dtype=np.uint64), self._counts)

    def of(self, blocks: Blocks) -> Array:
        """Return the medians, shape (dim,), reading the rows again where they are not held."""
        if self._held:
            columns = range(self._held[0].shape[1])
            return np.array(
                [np.median(np.concatenate([rows[:, k] for rows in self._held])) for k in columns]
            )
        upper, before = self._find(np.zeros((2, 1), dtype=np.int64))
        self._counts = np.zeros((*upper.shape, _HALF), dtype=np.uint32)
        for rows in blocks:
            count_kernel(_bits(rows), 0, upper.astype(np.uint64), self._counts)
        lower, _ = self._find(before)
        keys = ((upper << 16) | lower).astype(np.uint32)
        bits = np.where(keys < _SIGN, ~keys, keys - _SIGN)
        middle: Array = bits.view(np.float32).mean(axis=0)
        return middle

    def _find(self, before: Array) -> tuple[Array, Array]:
        """Return the halves that hold the middle values, and how many values are less than those.

        Shapes are (2, dim). ``before`` says how many values are less than all that was counted.
        """
        halves, fewer = [], []
        for k, rank in enumerate(self._ranks):
            ends = self._counts[min(k, len(self._counts) - 1)].cumsum(axis=1, dtype=np.int64)
            place = (before[k][:, np.newaxis] + ends <= rank).sum(axis=1)
            halves.append(place)
            starts = np.concatenate([np.zeros((len(ends), 1), np.int64), ends], axis=1)
            fewer.append(before[k] + np.take_along_axis(starts, place[:, np.newaxis], axis=1)[:, 0])
        return np.array(halves), np.array(fewer)


def _bits(rows: Array) -> Array:
    return np.ascontiguousarray(rows).view(np.uint32)
