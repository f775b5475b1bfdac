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

#: Floats between two sub-transforms: without them all would begin in the same cache set.
_PAD = 80
#: Real and imaginary parts begin this many floats apart from a multiple of 4 KiB.
_SHIFT, _PAGE = 512, 1024
#: Floats in a cache line.
_LINE = 16
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
    radices, twiddles of all passes but the final one, where each pass's begin, where outputs of
    the sub-transforms lie, twiddles of the final pass, pad, gap.
    """

    n: int
    lanes: int
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
    size = radix * (m * lanes + _PAD)
    gap = size + (_SHIFT - size) % _PAGE
    arrays = (
        n,
        np.array(radices, dtype=np.int64),
        np.concatenate(tables),
        np.array(starts, dtype=np.int64),
        _places(m, rest) * lanes,
        _twiddles(m + 1, radix, n),
        _PAD,
        gap,
    )
    family = next(
        number for number, members in stages.FAMILIES.items() if set(radices) <= set(members)
    )
    return Plan(n=n, lanes=lanes, family=marker(family), arrays=arrays, z_size=gap + size)


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
    """Where `lane_spectrum.take` and `to_columns` put the samples of a block of frames.

    ``shape`` is hop, rows, hops of a block (even), distance of hops in the segment, where odd
    columns begin, pitch. ``arrays`` goes into the kernels: shape, places of every sample of even
    and of odd frames, window.
    """

    shape: tuple[int, ...]
    arrays: tuple
    segment_size: int
    columns_size: int


def layout(window: np.ndarray, hop: int, lanes: int) -> Layout:
    """Return the layout of frames as long as ``window``, ``hop`` samples apart."""
    n = len(window)
    n_hops = 2 * lanes - 1 + -(-n // hop)
    shape = _shape(hop, min(hop, n), n_hops, lanes)
    _, rows, n_hops, stride, half, pitch = shape
    column, row = np.divmod(np.arange(n), hop)
    even, odd = (row * pitch + c % 2 * half + c // 2 for c in (column, column + 1))
    weights = np.array(window, dtype=np.float32)
    return Layout(
        shape=shape,
        arrays=(shape, even, odd, weights),
        segment_size=n_hops * stride,
        columns_size=rows * pitch + 2 * lanes,
    )


def _shape(hop: int, rows: int, n_hops: int, lanes: int) -> tuple[int, ...]:
    n_hops += n_hops % 2
    stride = -(-rows // _LINE) * _LINE
    if stride % (4 * _LINE) == 0:  # pairs of rows must not be multiples of 512 bytes apart
        stride += _LINE
    half = -(-n_hops // 2 // lanes) * lanes
    return hop, rows, n_hops, stride, half, 2 * half


def rows_shape(n: int, lanes: int) -> tuple[int, ...]:
    """Return the shape with which `lane_spectrum.to_columns` turns rows of ``n`` values."""
    return _shape(n, n, 2 * lanes, lanes)


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
