"""Plans for the lane-parallel transform: radices, tables, where samples lie, and working memory.

Plain numpy; the kernels that read these arrays are in `lane_spectrum`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from featx.kernels import stages
from featx.kernels.vector import marker

#: Floats in a cache line.
_LINE = 16
#: Samples of every hop that `lane_spectrum.take` turns at a time, and the distance of hops then.
TILE, STRIDE = 128, 144
#: Floats between two sub-transforms: without them all would begin in the same cache set.
_PAD = 32
#: Working memories that one thread keeps.
_KEPT = 4

#: Factors of two as products of 8 and 4, by exponent; longer ones take further eights.
_TWOS = {0: (), 1: (2,), 2: (4,), 3: (8,), 4: (4, 4)}


def factors(n: int) -> tuple[int, ...] | None:
    """Return the radices of a transform of size ``n``, largest first; None if it needs others.

    At least two radices are needed, so sizes below 6 and primes have none.
    """
    exponents = {}
    for prime in (2, 3, 5, 7):
        exponents[prime] = 0
        while n > 1 and n % prime == 0:
            exponents[prime] += 1
            n //= prime
    if n != 1:
        return None
    eights = max(0, exponents[2] - 2) // 3
    found = [8] * eights + list(_TWOS[exponents[2] - 3 * eights])
    found += [9] * (exponents[3] // 2) + [3] * (exponents[3] % 2)
    found += [5] * exponents[5] + [7] * exponents[7]
    if found == [9]:
        found = [3, 3]
    elif found == [8]:
        found = [4, 2]
    return tuple(sorted(found, reverse=True)) if len(found) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a transform of ``n`` samples on ``lanes`` lanes reads.

    ``family`` is the marker of the radices; ``arrays`` goes into the kernels as one tuple: size,
    radices, twiddles of all passes but the final one, where each pass's begin, where outputs of the
    sub-transforms lie, twiddles of the final pass, distance of the sub-transforms.
    """

    n: int
    lanes: int
    radices: tuple[int, ...]
    family: tuple[int, ...]
    arrays: tuple
    z_size: int


@lru_cache(maxsize=64)
def plan(n: int, lanes: int) -> Plan | None:
    """Return the plan, or None if ``n`` has a prime factor above 7 or is tiny."""
    radices = factors(n)
    if radices is None:
        return None
    radix, rest = radices[0], radices[1:]
    m = n // radix
    tables, starts, sub = [], [0], m
    for r in rest:
        starts.append(sum(map(len, tables)))
        tables.append(_twiddles(sub // r, r, sub))
        sub //= r
    arrays = (
        n,
        np.array(radices, dtype=np.int64),
        np.concatenate(tables),
        np.array(starts, dtype=np.int64),
        _places(m, rest) * 2 * lanes,
        _twiddles(m + 1, radix, n),
        2 * lanes * m + _PAD,
    )
    family = next(
        number for number, members in stages.FAMILIES.items() if set(radices) <= set(members)
    )
    return Plan(
        n=n,
        lanes=lanes,
        radices=radices,
        family=marker(family),
        arrays=arrays,
        z_size=radix * (2 * lanes * m + _PAD),
    )


def _twiddles(rows: int, radix: int, n: int) -> np.ndarray:
    """Return cos and sin of -2 pi i j / n for i < rows and 0 < j < radix, flat."""
    turns = np.exp(-2j * np.pi / n * (np.arange(rows)[:, np.newaxis] * np.arange(1, radix)))
    return np.stack([turns.real, turns.imag], axis=-1).astype(np.float32).ravel()


def _places(m: int, radices: tuple[int, ...]) -> np.ndarray:
    """Return where output k of a sub-transform lies, for k <= m; output m is output 0 again."""
    k, places, stride = np.arange(m + 1) % m, np.zeros(m + 1, dtype=np.int64), m
    for r in radices:
        stride //= r
        places += k % r * stride
        k //= r
    return places


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where `lane_spectrum.take` puts the samples of a block of frames.

    ``arrays`` goes into the kernels: shape (`_shape`), where every row of columns begins, and, in
    the order in which the first pass wants them, where the samples of even and of odd frames lie
    and the window; last, the entry of the sample in the middle of a frame.
    """

    shape: tuple[int, ...]
    arrays: tuple
    columns_size: int


def layout(window: np.ndarray, hop: int, plan: Plan) -> Layout:
    """Return the layout of frames as long as ``window``, ``hop`` samples apart, for a plan.

    The window is halved: two real transforms leave one complex one as twice themselves.
    """
    n, lanes = len(window), plan.lanes
    shape = _shape(hop, min(hop, n), 2 * lanes - 1 + -(-n // hop), lanes)
    _, rows, _, even_at, odd_at, pitch = shape
    order = _order(n, *plan.radices[:2])
    column, row = np.divmod(order, hop)
    begin = _ranks(row, rows) * pitch
    even, odd = (
        begin[row] + c // 2 + np.where(c % 2, odd_at, even_at) for c in (column, column + 1)
    )
    weights = np.array(0.5 * window[order], dtype=np.float32)
    middle = int(np.flatnonzero(order == n // 2)[0])
    return Layout(
        shape=shape,
        arrays=(shape, begin, even, odd, weights, middle),
        columns_size=rows * pitch + 2 * lanes,
    )


def _order(n: int, radix: int, r: int) -> np.ndarray:
    """Return the samples in the order in which butterflies of radix ``r`` read them.

    Sub-transform b of ``radix`` takes samples b, b + radix, …; its butterfly i every (m / r)-th.
    """
    step = n // (radix * r)
    b, i, j = np.ogrid[:radix, :step, :r]
    return (b + radix * (i + j * step)).ravel()


def _ranks(row: np.ndarray, rows: int) -> np.ndarray:
    """Return for every row when it is first read, so that reading goes straight on."""
    _, when = np.unique(row, return_index=True)
    ranks = np.empty(rows, dtype=np.int64)
    ranks[np.argsort(when)] = np.arange(rows)
    return ranks


def _shape(hop: int, rows: int, n_hops: int, lanes: int) -> tuple[int, ...]:
    """Return hop, rows, hops of a block, where even and odd columns begin, pitch of the rows.

    There is one column more of even hops than of odd ones, or as many. Odd ones come first: then
    three of four loads of frames two hops long begin at a cache line.
    """
    even_at = -(-(n_hops // 2) // lanes) * lanes
    return hop, rows, n_hops, even_at, 0, even_at + -(-((n_hops + 1) // 2) // lanes) * lanes


def tile_size(n_hops: int, lanes: int) -> int:
    """Return the floats of a tile that holds ``n_hops`` hops."""
    return n_hops * STRIDE + 2 * lanes


def rows_shape(n: int, lanes: int) -> tuple[int, ...]:
    """Return the shape with which `take` turns rows of ``n`` values into a spectrum."""
    return n, n, 2 * lanes, 0, lanes, 2 * lanes


def aligned(size: int) -> np.ndarray:
    """Return ``size`` zeros that begin at a cache line."""
    memory = np.zeros(size + _LINE, dtype=np.float32)
    start = -memory.ctypes.data % (4 * _LINE) // 4
    return memory[start : start + size]


class Workspaces(threading.local):
    """Working memory by sizes, each thread its own; only the last few are kept."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, ...], tuple[np.ndarray, ...]] = {}

    def take(self, sizes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """Return arrays of float32 of ``sizes``; what is in them is left over."""
        found = self._held.pop(sizes, None)
        if found is None:
            found = tuple(aligned(size) for size in sizes)
            while len(self._held) >= _KEPT:
                del self._held[next(iter(self._held))]
        self._held[sizes] = found
        return found


workspaces = Workspaces()
