"""Running medians, and the masks that part harmonic from percussive sound.

Vector registers cannot branch, but they take smaller and larger values of 16 columns at once, so
medians are taken by a *network*: a fixed list of such comparisons. Neighbouring windows share most
of their values. A tile of 16 windows of 31 rows has 16 rows in common; they are sorted once. Its
two halves have 24 rows in common each, the 16 and 8 more, and so on down to single windows. On the
way, what can no longer be the median is dropped. That leaves 20 comparisons a window instead of 190.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from featx.kernels.compiling import kernel, part
from featx.kernels.vector import transpose_block, vload, vmax, vmin, vstore

#: What one step of a network computes of its two values.
_BOTH, _SMALLER, _LARGER = 0, 1, 2


# ---------------------------------------------------------------- networks
@dataclass(frozen=True, eq=False)
class Network:
    """The steps that select one rank of every window of a tile.

    Rows 0 .. size + tile - 2 of the working memory hold the tile's values. A step is (what, a, b,
    smaller, larger): read rows a and b, write the smaller and larger of each column. ``results``
    are the rows in which the windows' values are left.
    """

    size: int
    tile: int
    n_rows: int
    steps: np.ndarray
    results: np.ndarray

    @property
    def arrays(self) -> tuple:
        """What kernels take."""
        return self.size, self.tile, self.steps, self.results


@lru_cache(maxsize=32)
def network(size: int, rank: int) -> Network:
    """Return the network for windows of ``size`` values, ``rank`` of which are smaller."""
    tile = 1
    while 2 * tile <= (size + 1) // 2:
        tile *= 2
    graph = _Graph(size + tile - 1)
    core = graph.sort(list(range(tile - 1, size)))
    results = [0] * tile
    _select(graph, results, core, rank, 0, tile, size)
    return graph.compile(size, tile, results)


def _select(graph, results, known, rank, first, count, size):
    """Fill in the results of windows ``first .. first + count - 1``, whose common values are known.

    ``count - 1`` values of every window are not known yet: of those known, the one of ``rank`` and
    as many below it can still be the result.
    """
    low = max(0, rank - (count - 1))
    known, rank = known[low : rank + 1], rank - low
    if count == 1:
        results[first] = known[rank]
        return
    half = count // 2
    left = graph.sort(list(range(first + half - 1, first + count - 1)))
    _select(graph, results, graph.merge(known, left), rank, first, half, size)
    right = graph.sort(list(range(first + size, first + size + half)))
    _select(graph, results, graph.merge(known, right), rank, first + half, half, size)


class _Graph:
    """Values and the pairs that they are the smaller or larger of, in the order of computation."""

    def __init__(self, n_inputs: int) -> None:
        self.n_inputs = n_inputs
        self.pairs: list[tuple[int, int]] = []

    def compare(self, a: int, b: int) -> tuple[int, int]:
        """Return the smaller and the larger of two values."""
        self.pairs.append((a, b))
        value = self.n_inputs + 2 * (len(self.pairs) - 1)
        return value, value + 1

    def sort(self, values: list[int]) -> list[int]:
        """Return ``values`` in rising order."""
        if len(values) < 2:
            return values
        half = len(values) // 2
        return self.merge(self.sort(values[:half]), self.sort(values[half:]))

    def merge(self, a: list[int], b: list[int]) -> list[int]:
        """Return two sorted lists as one, by Batcher's odd-even merge."""
        if not a or not b:
            return a + b
        if len(a) == len(b) == 1:
            return list(self.compare(a[0], b[0]))
        even, odd = self.merge(a[::2], b[::2]), self.merge(a[1::2], b[1::2])
        out = even[:1]
        for low, high in zip(odd, even[1:], strict=False):
            out += self.compare(low, high)
        return out + odd[len(even) - 1 :] + even[len(odd) + 1 :]

    def compile(self, size: int, tile: int, results: list[int]) -> Network:
        """Drop what nobody reads and give every value a row; rows are used again."""
        uses = self._uses(results)
        row = list(range(self.n_inputs)) + [0] * (2 * len(self.pairs))
        free: list[int] = []
        n_rows, steps = self.n_inputs, []
        for i, (a, b) in enumerate(self.pairs):
            values = [v for v in self._values(i) if uses[v]]
            if not values:
                continue
            for v in (a, b):
                uses[v] -= 1
                if not uses[v] and v >= self.n_inputs:
                    free.append(row[v])
            for v in values:
                if not free:
                    free.append(n_rows)
                    n_rows += 1
                row[v] = free.pop()
            low, high = self._values(i)
            what = _BOTH if len(values) == 2 else _SMALLER if values == [low] else _LARGER  # noqa: PLR2004
            steps.append((what, row[a], row[b], row[low], row[high]))
        table = np.array(steps, dtype=np.int64).reshape(len(steps), 5)
        return Network(size, tile, n_rows, table, np.array([row[v] for v in results]))

    def _values(self, i: int) -> tuple[int, int]:
        return self.n_inputs + 2 * i, self.n_inputs + 2 * i + 1

    def _uses(self, results: list[int]) -> list[int]:
        """Count who reads every value, from the results back."""
        uses = [0] * (self.n_inputs + 2 * len(self.pairs))
        for v in results:
            uses[v] += 1
        for i in reversed(range(len(self.pairs))):
            if any(uses[v] for v in self._values(i)):
                for v in self.pairs[i]:
                    uses[v] += 1
        return uses


# ---------------------------------------------------------------- vector kernels
@part
def _mirror(i, n):
    """Return where row ``i`` of a signal lies that is mirrored at its ends, ends repeated."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


@part
def _run(w, steps, work):
    """Compute the network's steps on two vectors per row of ``work``."""
    lanes = len(w)
    for s in range(steps.shape[0]):
        what = steps[s, 0]
        a = steps[s, 1] * 2 * lanes
        b = steps[s, 2] * 2 * lanes
        a0, a1 = vload(w, work, a), vload(w, work, a + lanes)
        b0, b1 = vload(w, work, b), vload(w, work, b + lanes)
        if what != _LARGER:
            low = steps[s, 3] * 2 * lanes
            vstore(work, low, vmin(a0, b0))
            vstore(work, low + lanes, vmin(a1, b1))
        if what != _SMALLER:
            high = steps[s, 4] * 2 * lanes
            vstore(work, high, vmax(a0, b0))
            vstore(work, high + lanes, vmax(a1, b1))


@part
def _filter(w, net, source, pitch, at, count, n, work, target, target_pitch, target_at):
    """Filter ``count`` columns of ``n`` rows; row i begins at ``at + i * pitch``."""
    size, tile, steps, results = net
    lanes = len(w)
    width = 2 * lanes
    for t in range(0, n, tile):
        for i in range(size + tile - 1):
            row = at + _mirror(t + i - size // 2, n) * pitch
            if count == width:
                vstore(work, i * width, vload(w, source, row))
                vstore(work, i * width + lanes, vload(w, source, row + lanes))
            else:
                for j in range(count):
                    work[i * width + j] = source[row + j]
        _run(w, steps, work)
        for i in range(min(tile, n - t)):
            row = results[i] * width
            where = target_at + (t + i) * target_pitch
            if count == width:
                vstore(target, where, vload(w, work, row))
                vstore(target, where + lanes, vload(w, work, row + lanes))
            else:
                for j in range(count):
                    target[where + j] = work[row + j]


@kernel
def median_columns_kernel(w, net, S, work, out):
    """Write the running median down every column of ``S``, 2 x lanes columns at a time."""
    n, pitch = S.shape
    width = 2 * len(w)
    source, target = S.reshape(n * pitch), out.reshape(n * pitch)
    for first in range(0, pitch, width):
        count = min(width, pitch - first)
        _filter(w, net, source, pitch, first, count, n, work, target, pitch, first)


@kernel
def median_rows_kernel(w, net, S, strips, work, out):
    """Write the running median along every row of ``S``, 2 x lanes rows at a time.

    The rows are turned into the columns of the first strip, and back from the second.
    """
    n_rows, n = S.shape
    lanes = len(w)
    width = 2 * lanes
    strip, medians = strips
    source, target = S.reshape(n_rows * n), out.reshape(n_rows * n)
    for first in range(0, n_rows, width):
        count = min(width, n_rows - first)
        whole = n - n % lanes if count == width else 0
        for k in range(0, whole, lanes):
            for half in range(0, width, lanes):
                at = (first + half) * n + k
                transpose_block(w, source, at, n, strip, half, width, k)
        for k in range(whole, n):
            for j in range(count):
                strip[k * width + j] = S[first + j, k]
        _filter(w, net, strip, width, 0, width, n, work, medians, width, 0)
        for k in range(0, whole, lanes):
            for half in range(0, width, lanes):
                at = (first + half) * n + k
                transpose_block(w, medians, k * width + half, width, target, at, n, 0)
        for k in range(whole, n):
            for j in range(count):
                out[first + j, k] = medians[k * width + j]


# ---------------------------------------------------------------- scalar kernels
@kernel
def sorted_median_kernel(S, size, rank, window, out):
    """Write the running median along every row of ``S``, from a window that is kept sorted."""
    n_rows, n = S.shape
    half = size // 2
    for r in range(n_rows):
        for i in range(size):
            value = S[r, _mirror(i - half, n)]
            j = i
            while j > 0 and window[j - 1] > value:
                window[j] = window[j - 1]
                j -= 1
            window[j] = value
        out[r, 0] = window[rank]
        for t in range(1, n):
            _replace(window, S[r, _mirror(t - 1 - half, n)], S[r, _mirror(t - 1 - half + size, n)])
            out[r, t] = window[rank]


@part
def _replace(window, old, new):
    """Put ``new`` in the place of ``old`` into a sorted window."""
    low, high = 0, window.shape[0]
    while low < high:
        middle = (low + high) // 2
        if window[middle] < old:
            low = middle + 1
        else:
            high = middle
    while low + 1 < window.shape[0] and window[low + 1] < new:
        window[low] = window[low + 1]
        low += 1
    while low > 0 and window[low - 1] > new:
        window[low] = window[low - 1]
        low -= 1
    window[low] = new


@kernel
def soft_masks_kernel(harmonic, percussive, margins, power, unheard, masks):
    """Write the shares ``x**power / (x**power + (margin * other)**power)`` of both.

    Where both are below the smallest normal float32, the share is ``unheard``. Infinite ``power``
    gives 1 where x is larger, else 0.
    """
    if math.isinf(power):
        for i in range(harmonic.shape[0]):
            masks[0, i] = harmonic[i] > margins[0] * percussive[i]
            masks[1, i] = percussive[i] > margins[1] * harmonic[i]
        return
    tiny = np.float32(1.1754943508222875e-38)
    one = np.float32(1.0)
    for i in range(harmonic.shape[0]):
        h, p = harmonic[i], percussive[i]
        x = margins[0] * p / h
        y = margins[1] * h / p
        if power == 2.0:  # noqa: PLR2004
            x *= x
            y *= y
        elif power != 1.0:
            x = np.float32(x**power)
            y = np.float32(y**power)
        x = one / (one + x)
        y = one / (one + y)
        masks[0, i] = x if max(h, margins[0] * p) >= tiny else unheard
        masks[1, i] = y if max(p, margins[1] * h) >= tiny else unheard
