"""Networks of comparisons that select running medians.

Vector registers cannot branch, but they take the smaller and larger values of 16 columns at once,
so a median is taken by a *network*: a fixed list of such comparisons. Neighbouring windows share
most of their values. A tile of 16 windows of 31 rows has 16 rows in common; they are sorted once.
Its halves have 24 rows in common each, those 16 and 8 more, and so on down to single windows. On
the way, what can no longer be the median is dropped. That leaves 21 comparisons a window instead of
some 190.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

#: What one step of a network computes of its two values.
BOTH, SMALLER, LARGER = 0, 1, 2


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
            what = BOTH if len(values) == 2 else SMALLER if values == [low] else LARGER
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
