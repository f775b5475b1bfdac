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
#: Floats between two sub-transforms: without them all would begin in the same cache set.
_PAD = 32
#: Rows that are transposed together.
_SPARE = 8
#: Working memories that one thread keeps.
_KEPT = 4

#: Small powers of two, by exponent; the others have eights outside and fours inside.
_TWOS = {0: (), 1: (2,), 2: (4,), 3: (4, 2), 4: (4, 4), 5: (8, 4)}


def factors(n: int) -> tuple[int, ...] | None:
    """Return the radices of a transform of size ``n``, first pass first; None if it needs others.

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
    twos = exponents[2]
    radices = [9] * (exponents[3] // 2) + [3] * (exponents[3] % 2)
    radices += [5] * exponents[5] + [7] * exponents[7]
    if not radices:
        radices = list(_power_of_two(twos))
    elif radices == [9] and twos == 0:
        radices = [3, 3]
    else:
        radices += [8] * (twos // 3) + [2 ** (twos % 3)] * (twos % 3 > 0)
        radices.sort(reverse=True)
    return tuple(radices) if len(radices) > 1 else None


def _power_of_two(exponent: int) -> tuple[int, ...]:
    """Return the radices of a power of two: first and last pass of radix 8, if it is no small one.

    Where eights alone do not do, one or two fours are in the middle; 128 has a two.
    """
    if exponent in _TWOS:
        return _TWOS[exponent]
    eights, rest = divmod(exponent - 6, 3)
    if rest == 1 and eights:
        eights, rest = eights - 1, 4
    return (8, *((), (2,), (4,), (), (4, 4))[rest], *(8,) * (eights + 1))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a transform of ``n`` samples on ``lanes`` lanes reads.

    ``family`` is the marker of the radices; ``arrays`` goes into the kernels as one tuple: size,
    radices, twiddles of all passes, where each pass's begin, distance of the sub-transforms, what
    `_pairs` returns, and what turns the outputs of a final butterfly by one.
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
    tables, starts, sub = [], [], n
    for r in radices[:-1]:
        starts.append(sum(map(len, tables)))
        tables.append(_twiddles(sub // r, r, sub))
        sub //= r
    pitch = 2 * lanes * (n // radices[0]) + _PAD
    arrays = (
        n,
        np.array(radices, dtype=np.int64),
        np.concatenate(tables),
        np.array(starts, dtype=np.int64),
        pitch,
        *_pairs(n, radices, lanes, pitch),
        _turn(radices[-1]),
    )
    return Plan(
        n=n,
        lanes=lanes,
        radices=radices,
        family=marker(_family(radices)),
        arrays=arrays,
        z_size=radices[0] * pitch + 2 * lanes * radices[-1],
    )


def _family(radices: tuple[int, ...]) -> int:
    """Return the first family whose passes have these radices."""
    for number, (head, middle, tail) in stages.FAMILIES.items():
        if radices[0] in head and set(radices[1:-1]) <= set(middle) and radices[-1] in tail:
            return number
    raise AssertionError(f"no family has radices {radices}")


def _twiddles(rows: int, radix: int, n: int) -> np.ndarray:
    """Return cos and sin of -2 pi i j / n for i < rows and 0 < j < radix, flat."""
    turns = np.exp(-2j * np.pi / n * (np.arange(rows)[:, np.newaxis] * np.arange(1, radix)))
    return np.stack([turns.real, turns.imag], axis=-1).astype(np.float32).ravel()


def _turn(radix: int) -> np.ndarray:
    """Return cos and sin of -2 pi i j / r for j < r, flat: as factors, output q becomes q + 1."""
    turns = np.exp(-2j * np.pi / radix * np.arange(radix))
    return np.stack([turns.real, turns.imag], axis=-1).astype(np.float32).ravel()


def _pairs(n: int, radices: tuple[int, ...], lanes: int, pitch: int) -> tuple[np.ndarray, ...]:
    """Return pairs of final butterflies, sub-transforms, and how many pairs are ready after each.

    A butterfly whose outputs are bins k, k + s, k + 2 s, …, where s is n over the last radix, is
    paired with that of s - k: these outputs belong together. A row per k <= s / 2: where the inputs
    of both lie, k and s - k. The partner of k = 0 is a copy behind all sub-transforms, made by
    `lane_spectrum.transform`. Sub-transform b, outputs k with k mod the first radix = b, comes next
    to its mirror image.
    """
    radix, last = radices[0], radices[-1]
    step = n // last
    k, place, stride = np.arange(step), np.zeros(step, dtype=np.int64), n // radix
    left = k // radix
    for r in radices[1:-1]:
        stride //= r
        place += left % r * stride
        left //= r
    place = k % radix * pitch + place * 2 * lanes
    subs = sorted(range(radix), key=lambda b: (min(b, radix - b) % radix, b))
    turn = np.argsort(subs)
    own = k[: step // 2 + 1]
    ready = np.maximum(turn[own % radix], turn[-own % radix])
    own, ready = own[np.argsort(ready, kind="stable")], np.sort(ready)
    partner = np.where(own == 0, radix * pitch, place[-own])
    pairs = np.stack([place[own], partner, own, step - own], axis=-1)
    ends = np.searchsorted(ready, np.arange(radix), side="right")
    return pairs, np.array(subs) * pitch, ends


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where `lane_spectrum.take` puts the samples of a block of frames.

    ``arrays`` goes into the kernels: shape (`_shape`), and, in the order in which the first pass
    wants them, where the samples of even and of odd frames lie and the window; last, the window as
    it was given.
    """

    shape: tuple[int, ...]
    arrays: tuple
    columns_size: int
    samples_size: int


def layout(window: np.ndarray, hop: int, plan: Plan) -> Layout:
    """Return the layout of frames as long as ``window``, ``hop`` samples apart, for a plan.

    The window is halved: two real transforms leave one complex one as twice themselves.
    """
    n, lanes, radix = len(window), plan.lanes, plan.radices[0]
    shape = _shape(hop, min(hop, n), 2 * lanes - 1 + -(-n // hop), lanes)
    _, rows, _, even_at, odd_at, pitch = shape
    order = _order(n, radix)
    column, row = np.divmod(order, hop)
    even, odd = (
        row * pitch + c // 2 + np.where(c % 2, odd_at, even_at) for c in (column, column + 1)
    )
    weights = np.array(0.5 * window[order], dtype=np.float32)
    return Layout(
        shape=shape,
        arrays=(shape, even, odd, weights, np.array(window, dtype=np.float32)),
        columns_size=(rows + _SPARE) * pitch,
        samples_size=samples_size(shape),
    )


def _order(n: int, radix: int) -> np.ndarray:
    """Return the samples in the order in which the first pass, of that radix, reads them.

    Butterfly i takes every (n / radix)-th sample from i on.
    """
    i, j = np.ogrid[: n // radix, :radix]
    return (i + n // radix * j).ravel()


def _shape(hop: int, rows: int, n_hops: int, lanes: int) -> tuple[int, ...]:
    """Return hop, rows, hops of a block, where even and odd columns begin, pitch of the rows.

    There is one column more of even hops than of odd ones, or as many. Odd ones come first: then
    three of four loads of frames two hops long begin at a cache line.
    """
    even_at = -(-(n_hops // 2) // lanes) * lanes
    return hop, rows, n_hops, even_at, 0, even_at + -(-((n_hops + 1) // 2) // lanes) * lanes


def samples_size(shape: tuple[int, ...]) -> int:
    """Return how many samples of a block `take` reads at most."""
    hop, rows, n_hops, _, _, _ = shape
    return (n_hops - 1) * hop + rows + _SPARE


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
        buffers = self._held.pop(sizes, None)
        if buffers is None:
            buffers = tuple(aligned(size) for size in sizes)
            while len(self._held) >= _KEPT:
                del self._held[next(iter(self._held))]
        self._held[sizes] = buffers
        return buffers


workspaces = Workspaces()
