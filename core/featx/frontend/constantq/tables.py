"""Constant-Q filters as the arrays that the kernels read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

from featx.frontend.constantq.filters import Filter, constant_q_filters
from featx.frontend.windows import window
from featx.types import DoubleArray, FloatArray

#: Pairs of taps of the half-band filter: 39 taps, 21 of which are not zero.
PAIRS = 10
#: Shape of its Kaiser window. Beyond 3/8 of the rate it is 132 dB down, and below 1/8 flat to 3e-7.
BETA = 14.5
#: Frequencies that differ by less than this share are one.
_SAME = 1e-9


@dataclass(frozen=True, kw_only=True)
class TransformSpec:
    """What constant-Q columns are: bins of every harmonic, ``bin * len(harmonics) + harmonic``."""

    sr: int
    hop_length: int
    fmin: float
    n_bins: int
    bins_per_octave: int
    harmonics: tuple[float, ...] = (1.0,)
    filter_scale: float = 1.0
    norm: float | None = 1.0
    scale: bool = True
    gain: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Bank:
    """A `TransformSpec` as arrays.

    ``arrays`` goes into the kernel: hop, samples that stream d needs before the first and after the
    last centre, taps, sections and groups (`constant_q.STREAM` …), weights, filter of every column,
    and turns: what the sums ``c`` and ``s`` are times for ``re = x c + z s, im = z c - x s``.
    """

    arrays: tuple[Any, ...]
    left: int
    columns_size: int
    n_sums: int

    @property
    def hop(self) -> int:
        """Samples between two frames."""
        return int(self.arrays[0])


@cache
def half_band() -> FloatArray:
    """Return the taps at odd distances from the middle tap, which is 1/2, of the half-band filter.

    The others are zero. At two taps they add to 1 at frequency 0.
    """
    odd = 2 * np.arange(PAIRS) + 1
    edge = np.i0(BETA * np.sqrt(1.0 - (odd / (2 * PAIRS)) ** 2)) / np.i0(BETA)
    exact = 0.5 * np.sinc(odd / 2.0) * edge
    taps: FloatArray = (exact * (0.25 / exact.sum())).astype(np.float32)
    taps.flags.writeable = False
    return taps


def _weights(item: Filter, what: TransformSpec) -> DoubleArray:
    """Return cosine and sine weights (rows, 2) from the middle of the window outwards."""
    finer = item.octave - item.stream
    gap, width = finer == 0, item.width << finer
    distance = np.arange(width // 2) + 0.5 * gap
    shape = 0.5 + 0.5 * np.cos(2.0 * np.pi * distance / width)
    if not gap:
        shape[0] *= 0.5  # the middle sample is its own partner
    amount = what.gain * (math.sqrt(item.length) if what.scale else item.length) / 2.0**finer
    if what.norm is not None:
        amount /= float(np.linalg.norm(window("hann", item.width), what.norm))
    angle = 2.0 * np.pi * item.frequency * 2.0**item.stream / what.sr * distance
    weights = amount * shape[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(weights)


def _unique(what: TransformSpec) -> tuple[list[Filter], list[int]]:
    """Return the filters of all harmonics, each once, and the filter of every column."""
    distinct: list[Filter] = []
    columns = []
    for harmonic in what.harmonics:
        filters = constant_q_filters(
            what.sr,
            hop_length=what.hop_length,
            fmin=what.fmin * harmonic,
            n_bins=what.n_bins,
            bins_per_octave=what.bins_per_octave,
            filter_scale=what.filter_scale,
        )
        for item in filters:
            near = (i for i, other in enumerate(distinct) if _same(item, other))
            place = next(near, len(distinct))
            if place == len(distinct):
                distinct.append(item)
            columns.append(place)
    order = np.reshape(columns, (len(what.harmonics), what.n_bins)).T.ravel()
    return distinct, order.tolist()


def _same(a: Filter, b: Filter) -> bool:
    alike = (a.width, a.octave, a.stream) == (b.width, b.octave, b.stream)
    return alike and abs(a.frequency / b.frequency - 1.0) < _SAME


@lru_cache(maxsize=32)
def constant_q_bank(what: TransformSpec) -> Bank:
    """Return the arrays of ``what``: filters sorted by rate, four neighbours to a group."""
    from featx.kernels.constant_q import GROUP

    filters, columns = _unique(what)
    sections: list[list[int]] = []
    groups: list[list[int]] = []
    weights: list[DoubleArray] = []
    turns: list[DoubleArray] = []
    place = np.empty(len(filters), dtype=np.int64)
    for rate in sorted({(item.stream, item.octave) for item in filters}):
        members = [i for i, item in enumerate(filters) if (item.stream, item.octave) == rate]
        members.sort(key=lambda i: filters[i].length)
        first = len(groups)
        for start in range(0, len(members), GROUP):
            chosen = members[start : start + GROUP]
            place[chosen] = GROUP * len(groups) + np.arange(len(chosen))
            table = _table([filters[i] for i in chosen], what)
            groups.append([len(table), sum(map(len, weights))])
            weights.append(table.ravel())
            turns.append(_turns([filters[i] for i in chosen], what.sr))
        half = max(rows for rows, _ in groups[first:])
        sections.append([*_section(what.hop_length, *rate, half), first, len(groups)])
    before, after = _needs(sections)
    return Bank(
        arrays=(
            what.hop_length,
            np.array(before, dtype=np.int64),
            np.array(after, dtype=np.int64),
            half_band().copy(),
            np.array(sections, dtype=np.int64),
            np.array(groups, dtype=np.int64),
            np.concatenate(weights).astype(np.float32),
            np.concatenate(turns).astype(np.float32),
            place[columns],
        ),
        left=math.ceil(max(item.length for item in filters) / 2),
        columns_size=max(_columns_size(section) for section in sections),
        n_sums=len(groups) * GROUP,
    )


def _table(filters: list[Filter], what: TransformSpec) -> DoubleArray:
    """Return the weights of a group, (rows, GROUP, 2), zero where there is no filter."""
    from featx.kernels.constant_q import GROUP

    parts = [_weights(item, what) for item in filters]
    table = np.zeros((max(map(len, parts)), GROUP, 2))
    for slot, part in enumerate(parts):
        table[: len(part), slot] = part
    return table


def _turns(filters: list[Filter], sr: int) -> DoubleArray:
    """Return cos and -sin of the phase from the frame's centre to the middle of the window."""
    from featx.kernels.constant_q import GROUP

    angles = np.zeros(GROUP)
    angles[: len(filters)] = [np.pi * item.frequency / sr * 2**item.octave for item in filters]
    return np.stack([np.cos(angles), -np.sin(angles)], axis=1)


def _section(hop_length: int, stream: int, octave: int, half: int) -> list[int]:
    """Return the row of a section but for its groups: `constant_q.STREAM` and so on.

    The middle of the window is half a sample of its octave's rate after the centre of the frame.
    """
    gap = int(octave == stream)
    middle = 1 if gap else 1 << (octave - stream - 1)
    return [stream, hop_length >> stream, middle - gap - (half - 1), half, gap]


def _needs(sections: list[list[int]]) -> tuple[list[int], list[int]]:
    """Return the samples before the first and after the last centre that every stream needs."""
    depth = 1 + max(section[0] for section in sections)
    before, after = [0] * depth, [0] * depth
    for d in reversed(range(depth)):
        for stream, _, low, half, gap, _, _ in sections:
            if stream == d:
                before[d] = max(before[d], -low)
                after[d] = max(after[d], low + 2 * half - 2 + gap)
        if d:
            before[d - 1] = 2 * before[d] + 2 * PAIRS - 1
            after[d - 1] = 2 * after[d] + 2 * PAIRS - 1
    return before, after


def _columns_size(section: list[int]) -> int:
    """Return the floats that the turned stream of a block takes, for the widest vectors."""
    _, hop, _, half, gap, _, _ = section
    length, widest = 2 * half - 1 + gap, 16
    n_hops = 2 * widest + (length - 1) // hop
    return (min(hop, length) + widest) * (n_hops + widest) + widest
