"""Constant-Q transforms of waveforms: stretches of frames, threads, working memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from featx.frontend.checks import LARGEST, check_finite, frozen
from featx.frontend.constantq.tables import PAIRS, Bank, TransformSpec, constant_q_bank
from featx.frontend.lanes import compression_curve, on_threads
from featx.types import AnyArray, FloatArray

if TYPE_CHECKING:
    from featx.frontend.banks import ConstantQ
    from featx.frontend.front_end import FrontEnd

#: What takes a little less than the largest sane sample beyond the largest float32.
_OVERFLOW = np.float32(1.001 * float(np.finfo(np.float32).max) / LARGEST)
#: Frames of a block with the widest vectors; smaller blocks divide it.
_BLOCK = 32
#: Samples of one stretch of frames, at least, and how many times as long as the longest filter.
_SAMPLES, _LONGER = 1 << 16, 6


def transform(
    y: FloatArray,
    fe: FrontEnd,
    bank: ConstantQ,
    sr: int,
    out: FloatArray,
    threads: int,
    *,
    logarithm: bool,
) -> bool:
    """Write the bands of a front end with that bank; return whether their logarithm is taken.

    Where ``logarithm`` asks for it, the vector kernels take it.
    """
    what = TransformSpec(
        sr=sr,
        hop_length=bank.hop_length,
        fmin=bank.fmin,
        n_bins=bank.n_bands,
        bins_per_octave=bank.bands_per_octave,
        harmonics=bank.harmonics,
        gain=fe.spectrum_gain,
    )
    curve = compression_curve(fe.compression) if logarithm else None
    used = fill_constant_q(
        y, what, out, pad_mode=bank.pad_mode, power=fe.power, curve=curve, threads=threads
    )
    return used and logarithm


def _stretch(bank: Bank) -> int:
    """Return how many frames share one set of streams; results do not depend on it."""
    _, before, after = bank.arrays[:3]
    context = int(before[0] + after[0])
    frames = max(_SAMPLES, _LONGER * context) / bank.hop
    return math.ceil(frames / _BLOCK) * _BLOCK


def fill_constant_q(
    y: FloatArray,
    what: TransformSpec,
    out: AnyArray,
    *,
    pad_mode: str,
    power: float = 1.0,
    curve: tuple[np.float32, ...] | None = None,
    threads: int = 1,
) -> bool:
    """Write the transform of all frames into the rows of ``out``; return whether ``curve`` served.

    Complex64 ``out`` gets complex numbers, float32 magnitudes or, if ``power`` is 2, powers. The
    scalar path leaves the compression ``curve`` to others. Where ``y`` is not finite and sane, this
    raises `ParameterError`, and ``out`` is of no use.
    """
    from featx.kernels.vector import lanes

    bank = constant_q_bank(what)
    reflect = pad_mode == "reflect" and len(y) > bank.left
    if lanes() == 0:
        check_finite(y)
        _scalar(y, bank, out, reflect, power)
        return False
    if len(out) == 0:
        check_finite(y)
        return True
    stretch = _stretch(bank)
    count = -(-len(out) // stretch)
    share = -(-count // max(1, min(threads, count))) * stretch
    bad = np.zeros(1, dtype=np.int64)

    def work(start: int) -> None:
        stop = min(start + share, len(out))
        _run(y, bank, out, reflect, power, curve, stretch, start, stop, bad)

    on_threads(work, range(0, len(out), share))
    if bad[0]:
        check_finite(y)
    return True


def _run(
    y: FloatArray,
    bank: Bank,
    out: AnyArray,
    reflect: bool,
    power: float,
    curve: tuple[np.float32, ...] | None,
    stretch: int,
    start: int,
    stop: int,
    bad: AnyArray,
) -> None:
    from featx.kernels.constant_q import CHUNK, ROWS, SLACK, constant_q_kernel
    from featx.kernels.plan import workspaces
    from featx.kernels.stages import COMPLEX, MAGNITUDE, POWER
    from featx.kernels.vector import lanes, marker

    n = lanes()
    complex_out = out.dtype == np.complex64
    mode = COMPLEX if complex_out else MAGNITUDE if power == 1.0 else POWER
    frames = min(stretch, -(-(stop - start) // (2 * n)) * 2 * n)
    work = workspaces.take(
        (
            sum(_sizes(bank, frames)) + len(_sizes(bank, frames)) * SLACK + bank.hop,
            2 * (CHUNK + SLACK),
            bank.columns_size,
            4 * ROWS * n,
            4 * bank.n_sums * n,
            out.shape[1] * 2 * n * (2 if complex_out else 1),
        )
    )
    plain = (np.float32(1.0),) * 4
    constant_q_kernel(
        marker(n), mode, frozen(y), reflect, bank.arrays, curve is not None, curve or plain, work,
        out.view(np.float32), stretch, start, stop, _OVERFLOW, bad,
    )  # fmt: skip


def _sizes(bank: Bank, frames: int) -> list[int]:
    """Return the samples of every stream of a stretch."""
    _, before, after = bank.arrays[:3]
    return [
        (frames - 1) * (bank.hop >> d) + int(b) + int(a) + 1
        for d, (b, a) in enumerate(zip(before, after, strict=True))
    ]


def _scalar(y: FloatArray, bank: Bank, out: AnyArray, reflect: bool, power: float) -> None:
    """Do what the vector kernel does, a stretch at a time, value by value."""
    from featx.kernels.constant_q import (
        FROM,
        GAP,
        GROUP,
        HALF,
        HOP,
        LOW,
        STREAM,
        TO,
        decimate_kernel,
        extend_kernel,
        filters_kernel,
    )

    hop, before, _, taps, sections, groups, weights, turns, source = bank.arrays
    stretch = _stretch(bank)
    for t in range(0, len(out), stretch):
        frames = min(stretch, len(out) - t)
        sums = np.empty((frames, bank.n_sums, 2), np.float32)
        sizes = _sizes(bank, frames)
        streams = [np.empty(size, np.float32) for size in sizes]
        extend_kernel(y, t * hop - before[0], reflect, streams[0])
        for d in range(1, len(sizes)):
            start = before[d - 1] - 2 * before[d] - (2 * PAIRS - 1)
            decimate_kernel(streams[d - 1][start:], taps, streams[d])
        for s in sections:
            x = streams[s[STREAM]][before[s[STREAM]] + s[LOW] :]
            part = groups[s[FROM] : s[TO]]
            filters_kernel(x, s[HOP], s[HALF], s[GAP], GROUP * s[FROM], part, weights, sums)
        out[t : t + frames] = _finished(sums[:, source], turns[source], out.dtype, power)


def _finished(sums: FloatArray, turns: FloatArray, dtype: np.dtype, power: float) -> AnyArray:
    """Return what every column wants of its cosine and sine sums, as `constant_q.finish` does."""
    c, s = sums[:, :, 0].astype(np.float64), sums[:, :, 1].astype(np.float64)
    x, z = turns[:, 0], turns[:, 1]
    if dtype == np.complex64:
        return x * c + z * s + 1j * (z * c - x * s)
    squares = c * c + s * s
    return squares if power == 2.0 else np.sqrt(squares)
