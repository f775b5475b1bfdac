"""Constant-Q filters on 2 x lanes frames at a time, every octave at a rate of its own.

A filter is a window as long as so many periods of its frequency, times a complex exponential; an
octave lower it is twice as long. Halving the rate halves it again, so that all octaves cost the
same, and little enough for the filters to be applied as they are, in the time domain: no transform,
nothing cut off.

The way of `frames` frames, a *stretch*, from the padded signal on:

1. `decimate`: stream d holds the signal at 1 / 2**d of its rate. Output m of the half-band filter
   depends on its own samples alone, so streams may begin anywhere.
2. Per block of ``2 * lanes`` frames and per *section*, filters of one rate: `to_columns` turns the
   stream phase by phase, ``columns[p, c] = x[c * hop + p]``, so that one sample of neighbouring
   frames is one load. `fold` adds and subtracts what lies symmetrically about the middle of the
   window: cosines see sums, sines differences, half as many of them. `accumulate` is a product of
   two matrices, four filters at a time.
3. `finish`: magnitude, power or the complex number, its logarithm, and time first.

A filter's sums lie as ``[cosine, sine][first, second half of the block][lane]``.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from featx.kernels.compiling import kernel, part
from featx.kernels.lane_spectrum import all_sane
from featx.kernels.stages import COMPLEX, POWER
from featx.kernels.vector import (
    Lane,
    Memory,
    transpose_block,
    vfma,
    vload,
    vlog2,
    vmax,
    vset,
    vsqrt,
    vstore,
)

#: Filters whose sums are kept in registers together.
GROUP = 4
#: Rows of folded samples at a time: 16 KiB with 16 lanes.
ROWS = 64
#: Outputs of the half-band filter at a time.
CHUNK = 1024
#: Floats beyond the end of a stream, or of its parted halves, that vectors may read or write.
SLACK = 256
#: Columns of the table of sections: stream, hop, first sample of the window from the frame's centre
#: on, rows, 1 if the window's middle lies between two samples, first and last group.
STREAM, HOP, LOW, HALF, GAP, FROM, TO = range(7)


@kernel
def extend_kernel(y, start, reflect, out):
    """Write samples ``start, start + 1, …`` of the padded signal to ``out``.

    Beyond its ends the signal is mirrored without repeating the last sample if ``reflect``; what
    that does not reach is zero.
    """
    n, count = y.shape[0], out.shape[0]
    low = min(max(0, -start), count)
    high = min(max(low, n - start), count)
    for i in range(low):
        k = -(start + i)
        out[i] = y[k] if reflect and k < n else np.float32(0.0)
    for i in range(low, high):
        out[i] = y[start + i]
    for i in range(high, count):
        k = 2 * (n - 1) - (start + i)
        out[i] = y[k] if reflect and k >= 0 else np.float32(0.0)


@kernel
def decimate_kernel(x, taps, out):
    """Write every second sample of the half-band filtered ``x``.

    ``out[m] = x[c] / 2 + taps[k] (x[c + 2 k + 1] + x[c - 2 k - 1])`` for all k, summed; ``c`` is
    ``2 m + 2 len(taps) - 1``.
    """
    for m in range(out.shape[0]):
        c = 2 * m + 2 * taps.shape[0] - 1
        total = 0.5 * np.float64(x[c])
        for k in range(taps.shape[0]):
            pair = np.float64(x[c + 2 * k + 1]) + np.float64(x[c - 2 * k - 1])
            total += np.float64(taps[k]) * pair
        out[m] = total


@kernel
def filters_kernel(x, hop, half, gap, first, groups, weights, sums):
    """Write cosine and sine sums of a section's filters to ``sums`` (n_frames, n_filters, 2).

    The window of frame t begins at ``x[t * hop]``; group g of the section is row g of ``groups``,
    rows and place of its weights, and has filters ``first + GROUP * g`` and so on.
    """
    for t in range(sums.shape[0]):
        centre = t * hop + half - 1
        for g in range(groups.shape[0]):
            for i in range(GROUP):
                cosine = 0.0
                sine = 0.0
                for j in range(groups[g, 0]):
                    after = np.float64(x[centre + gap + j])
                    before = np.float64(x[centre - j])
                    at = groups[g, 1] + 2 * (GROUP * j + i)
                    cosine += (after + before) * weights[at]
                    sine += (after - before) * weights[at + 1]
                sums[t, first + GROUP * g + i, 0] = cosine
                sums[t, first + GROUP * g + i, 1] = sine


@intrinsic
def part_pairs(typingctx, w, x, i, out, even, odd):  # noqa: ARG001 - numba's signature
    """Write ``x[i], x[i + 2], …`` to ``out[even:]`` and the others to ``out[odd:]``."""
    lanes = w.count

    def codegen(context, builder, signature, args):
        memory = Memory(context, builder, lanes)
        kinds = signature.args
        _, x_, i_, out_, even_, odd_ = args
        low = memory.load(kinds[1], x_, i_).value
        high = memory.load(kinds[1], x_, builder.add(i_, i_.type(lanes))).value
        mask = ir.VectorType(ir.IntType(32), lanes)
        for parity, place in enumerate((even_, odd_)):
            chosen = ir.Constant(mask, [2 * lane + parity for lane in range(lanes)])
            parted = builder.shuffle_vector(low, high, chosen)
            memory.store(kinds[3], out_, place, Lane(builder, parted))
        return context.get_dummy_value()

    n = types.intp
    return types.void(w, x, n, out, n, n), codegen


@part
def decimate(w, x, start, taps, scratch, at, count):
    """As `decimate_kernel` from ``x[start]`` on, within one array: ``count`` values to ``x[at]``.

    Writes up to a vector more than that.
    """
    lanes, pairs = len(w), len(taps)
    half = vset(w, 0.5)
    odd = CHUNK + SLACK
    for low in range(0, count, CHUNK):
        stop = min(CHUNK, count - low)
        for i in range(0, stop + 2 * pairs, lanes):
            part_pairs(w, x, start + 2 * (low + i), scratch, i, odd + i)
        for m in range(0, stop, lanes):
            a = half * vload(w, scratch, odd + m + pairs - 1)
            for k in range(pairs):
                pair = vload(w, scratch, m + pairs + k) + vload(w, scratch, m + pairs - 1 - k)
                a = vfma(pair, vset(w, taps[k]), a)
            vstore(x, at + low + m, a)


@part
def _extend(w, y, start, reflect, count, x):
    """As `extend_kernel`, into ``x[:count]``; vectors copy what needs no padding."""
    n = len(y)
    low = min(max(0, -start), count)
    high = min(max(low, n - start), count)
    whole = low + (high - low) // len(w) * len(w)
    for i in range(low, whole, len(w)):
        vstore(x, i, vload(w, y, start + i))
    extend_kernel(y, start, reflect, x[:low])
    extend_kernel(y, start + whole, reflect, x[whole:count])


@part
def stream_size(frames, hop, before, after, d):
    """Return the samples of stream ``d`` that ``frames`` frames look at."""
    return (frames - 1) * (hop >> d) + before[d] + after[d] + 1


@part
def _streams(w, y, start, reflect, frames, hop, before, after, taps, scratch, streams):
    """Fill all streams, one behind the other, for a stretch whose first centre is ``start``."""
    size = stream_size(frames, hop, before, after, 0)
    _extend(w, y, start - before[0], reflect, size, streams)
    at = 0
    for d in range(1, len(before)):
        target = at + size + SLACK
        source = at + before[d - 1] - 2 * before[d] - (2 * len(taps) - 1)
        size = stream_size(frames, hop, before, after, d)
        decimate(w, streams, source, taps, scratch, target, size)
        at = target


@part
def to_columns(w, x, at, hop, length, pitch, columns):
    """Write ``columns[p * pitch + c] = x[at + c * hop + p]`` for windows of ``length`` samples."""
    lanes = len(w)
    n_hops = 2 * lanes + (length - 1) // hop
    whole = n_hops // lanes * lanes
    rows = min(hop, length)
    for p in range(0, rows, lanes):
        for c in range(0, whole, lanes):
            transpose_block(w, x, at + c * hop + p, hop, columns, c, pitch, p)
    for p in range(rows):
        for c in range(whole, n_hops):
            columns[p * pitch + c] = x[at + c * hop + p]


@part
def fold(w, columns, hop, pitch, after, before, count, folded):
    """Write sums and differences of samples ``after + j`` and ``before - j``, j < ``count``."""
    lanes = len(w)
    p, a = after % hop, after // hop
    q, b = before % hop, before // hop
    for j in range(count):
        later, earlier = p * pitch + a, q * pitch + b
        x0, z0 = vload(w, columns, later), vload(w, columns, earlier)
        x1, z1 = vload(w, columns, later + lanes), vload(w, columns, earlier + lanes)
        at = 4 * j * lanes
        vstore(folded, at, x0 + z0)
        vstore(folded, at + lanes, x1 + z1)
        vstore(folded, at + 2 * lanes, x0 - z0)
        vstore(folded, at + 3 * lanes, x1 - z1)
        p += 1
        if p == hop:
            p = 0
            a += 1
        q -= 1
        if q < 0:
            q = hop - 1
            b -= 1


@part
def accumulate(w, folded, count, weights, at, sums, s):
    """Add ``count`` rows of folded samples times the weights of four filters to their sums."""
    n = len(w)
    c00, c01 = vload(w, sums, s), vload(w, sums, s + n)
    s00, s01 = vload(w, sums, s + 2 * n), vload(w, sums, s + 3 * n)
    c10, c11 = vload(w, sums, s + 4 * n), vload(w, sums, s + 5 * n)
    s10, s11 = vload(w, sums, s + 6 * n), vload(w, sums, s + 7 * n)
    c20, c21 = vload(w, sums, s + 8 * n), vload(w, sums, s + 9 * n)
    s20, s21 = vload(w, sums, s + 10 * n), vload(w, sums, s + 11 * n)
    c30, c31 = vload(w, sums, s + 12 * n), vload(w, sums, s + 13 * n)
    s30, s31 = vload(w, sums, s + 14 * n), vload(w, sums, s + 15 * n)
    for j in range(count):
        e0, e1 = vload(w, folded, 4 * j * n), vload(w, folded, (4 * j + 1) * n)
        o0, o1 = vload(w, folded, (4 * j + 2) * n), vload(w, folded, (4 * j + 3) * n)
        k = at + 2 * GROUP * j
        x = vset(w, weights[k])
        c00, c01 = vfma(e0, x, c00), vfma(e1, x, c01)
        x = vset(w, weights[k + 1])
        s00, s01 = vfma(o0, x, s00), vfma(o1, x, s01)
        x = vset(w, weights[k + 2])
        c10, c11 = vfma(e0, x, c10), vfma(e1, x, c11)
        x = vset(w, weights[k + 3])
        s10, s11 = vfma(o0, x, s10), vfma(o1, x, s11)
        x = vset(w, weights[k + 4])
        c20, c21 = vfma(e0, x, c20), vfma(e1, x, c21)
        x = vset(w, weights[k + 5])
        s20, s21 = vfma(o0, x, s20), vfma(o1, x, s21)
        x = vset(w, weights[k + 6])
        c30, c31 = vfma(e0, x, c30), vfma(e1, x, c31)
        x = vset(w, weights[k + 7])
        s30, s31 = vfma(o0, x, s30), vfma(o1, x, s31)
    vstore(sums, s, c00)
    vstore(sums, s + n, c01)
    vstore(sums, s + 2 * n, s00)
    vstore(sums, s + 3 * n, s01)
    vstore(sums, s + 4 * n, c10)
    vstore(sums, s + 5 * n, c11)
    vstore(sums, s + 6 * n, s10)
    vstore(sums, s + 7 * n, s11)
    vstore(sums, s + 8 * n, c20)
    vstore(sums, s + 9 * n, c21)
    vstore(sums, s + 10 * n, s20)
    vstore(sums, s + 11 * n, s21)
    vstore(sums, s + 12 * n, c30)
    vstore(sums, s + 13 * n, c31)
    vstore(sums, s + 14 * n, s30)
    vstore(sums, s + 15 * n, s31)


@part
def _section(w, x, at, section, groups, weights, columns, folded, sums):
    """Compute the sums of a section's filters for a block whose first window is at ``x[at]``."""
    hop, half, gap = section[HOP], section[HALF], section[GAP]
    length = 2 * half - 1 + gap
    lanes = len(w)
    pitch = (2 * lanes + (length - 1) // hop + lanes - 1) // lanes * lanes
    to_columns(w, x, at, hop, length, pitch, columns)
    for low in range(0, half, ROWS):
        count = min(ROWS, half - low)
        fold(w, columns, hop, pitch, half - 1 + gap + low, half - 1 - low, count, folded)
        for g in range(section[FROM], section[TO]):
            rows = min(groups[g, 0] - low, count)
            if rows > 0:
                place = groups[g, 1] + 2 * GROUP * low
                accumulate(w, folded, rows, weights, place, sums, 4 * GROUP * g * lanes)


@part
def finish(w, mode, sums, source, turns, log, curve, bands):
    """Write what every column wants of its filter to ``bands``, rows ``[half of block][lane]``."""
    scale, gain, offset, floor = curve
    s, g, o, f = vset(w, scale), vset(w, gain), vset(w, offset), vset(w, floor)
    lanes = len(w)
    for m in range(len(source)):
        at = 4 * source[m] * lanes
        for v in range(2):
            c, d = vload(w, sums, at + v * lanes), vload(w, sums, at + (2 + v) * lanes)
            if mode == COMPLEX:
                x, z = vset(w, turns[source[m], 0]), vset(w, turns[source[m], 1])
                vstore(bands, (4 * m + v) * lanes, vfma(c, x, d * z))
                vstore(bands, (4 * m + 2 + v) * lanes, vfma(c, z, vset(w, 0.0) - d * x))
            else:
                a = vfma(c, c, d * d)
                if mode != POWER:
                    a = vsqrt(a)
                if log:
                    a = s * vlog2(vmax(vfma(a, g, o), f))
                vstore(bands, (2 * m + v) * lanes, a)


@part
def to_rows(w, bands, n, out, t0):
    """Write the block to rows t0 … of ``out`` (n_frames, n), as many as there are."""
    lanes = len(w)
    flat = out.reshape(out.size)
    whole = n // lanes * lanes if t0 + 2 * lanes <= len(out) else 0
    for v in range(2):
        for m in range(0, whole, lanes):
            at, to = (2 * m + v) * lanes, (t0 + v * lanes) * n + m
            transpose_block(w, bands, at, 2 * lanes, flat, to, n, 0)
    for i in range(min(2 * lanes, len(out) - t0)):
        for m in range(whole, n):
            out[t0 + i, m] = bands[2 * m * lanes + i]


@kernel
def constant_q_kernel(
    w, mode, y, reflect, bank, log, curve, work, out, stretch, t0, t1, overflow, bad
):  # fmt: skip
    """Frames t0 … t1 - 1 into ``out``, real and imaginary parts beside each other if complex.

    ``t0`` is a multiple of ``stretch``, and that of the block. Samples that are NaN or beyond the
    largest float32 over ``overflow`` set ``bad[0]``.
    """
    hop, before, after, taps, sections, groups, weights, turns, source = bank
    streams, scratch, columns, folded, sums, bands = work
    block = 2 * len(w)
    n_rows = 2 * len(source) if mode == COMPLEX else len(source)
    for t in range(t0, t1, stretch):
        frames = (min(stretch, t1 - t) + block - 1) // block * block
        stop = len(y) if t + stretch >= len(out) else min((t + stretch) * hop, len(y))
        if not all_sane(w, y, t * hop, stop, overflow, scratch):
            bad[0] = 1
        _streams(w, y, t * hop, reflect, frames, hop, before, after, taps, scratch, streams)
        for b in range(0, frames, block):
            sums[:] = 0.0
            at, d = 0, 0
            for i in range(len(sections)):
                section = sections[i]
                while d < section[STREAM]:
                    at += stream_size(frames, hop, before, after, d) + SLACK
                    d += 1
                place = at + b * section[HOP] + before[d] + section[LOW]
                _section(w, streams, place, section, groups, weights, columns, folded, sums)
            finish(w, mode, sums, source, turns, log, curve, bands)
            to_rows(w, bands, n_rows, out, t + b)
