"""Spectra of 2 x lanes frames at a time: the lane-parallel real FFT and what is fused to it.

One *block* is ``2 * lanes`` consecutive frames. Lane l of one vector belongs to frame 2 l, the same
lane of its partner to frame 2 l + 1; the two are the real and imaginary part of one complex
transform and are parted afterwards (`stages.final`). So every arithmetic instruction works on
``lanes`` frames, no value ever moves between lanes, and any size with small prime factors works.

The way of a block:

1. `take`: the signal is written phase by phase, ``columns[p, c] = y[c * hop + p]``, even and odd
   columns apart, rows in the order in which they will be read. Sample n of frame t is
   ``columns[n % hop, n // hop + t]``: a contiguous load for all even frames and one for all odd
   frames, and overlapping frames share what they share.
2. `transform`: n = R * M. R transforms of size M (every R-th sample), each small enough to stay in
   the L1 cache, then one pass of radix R across them that also parts even and odd frames.
3. `project`: the banded filter bank with its logarithm; `to_frames`: back to time first.

A spectrum, and bands alike, lie as ``[bin][parity of frame][lane]``; complex ones count real and
imaginary part as two bins.
"""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel, part
from featx.kernels.framing import condition_kernel, frame_kernel
from featx.kernels.plan import STRIDE, TILE
from featx.kernels.stages import COMPLEX, final, first, last, middle
from featx.kernels.vector import (
    prefetch_far,
    transpose_block,
    vfma,
    vload,
    vlog2,
    vmax,
    vset,
    vstore,
)

#: Floats in a cache line.
LINE = 16


# ---------------------------------------------------------------- in
@part
def take(w, y, start, shape, begin, reflect, overflow, tile, columns, scratch):
    """Write the padded signal from ``start`` on to ``columns``; tell whether all of it is sane.

    Sample p of hop c goes to ``columns[begin[p] + c // 2]``, odd hops ``odd_at`` further on and
    even ones ``even_at``. `TILE` samples of every hop pass through a tile in the L1 cache, whose
    rows are no power of two apart: otherwise all of them would lie in one set of the cache. Sane is
    what times ``overflow`` is finite: 0 times it is 0.
    """
    hop, rows, n_hops, _, _, _ = shape
    lanes = len(w)
    width = 2 * lanes
    zero, large = vset(w, 0.0), vset(w, overflow)
    a, b = zero, zero
    sane = True
    for low in range(0, rows, TILE):
        count = min(TILE, rows - low)
        whole = (count + width - 1) // width * width
        for c in range(n_hops):
            source, target = start + c * hop + low, c * STRIDE
            if source >= 0 and source + whole <= len(y):
                for p in range(0, whole, width):
                    x, z = vload(w, y, source + p), vload(w, y, source + lanes + p)
                    vstore(tile, target + p, x)
                    vstore(tile, target + lanes + p, z)
                    a = vfma(x * large, zero, a)
                    b = vfma(z * large, zero, b)
            else:
                _fill(y, source, reflect, count, tile, target)
                bottom, top = max(0, source), min(source + count, len(y))
                sane = sane and all_sane(w, y, bottom, top, overflow, scratch)
        _to_columns(w, tile, shape, begin, low, count, columns)
    vstore(scratch, 0, a + b)
    total = 0.0
    for i in range(lanes):
        total += scratch[i]
    return sane and total == 0.0


@part
def _to_columns(w, tile, shape, begin, low, count, columns):
    """Write rows low … low + count - 1 of ``columns`` from the tile."""
    _, _, n_hops, even_at, odd_at, _ = shape
    lanes = len(w)
    pairs = n_hops // 2 // lanes * lanes
    whole = count // lanes * lanes
    for parity in range(2):
        origin, target = parity * STRIDE, odd_at if parity else even_at
        for c in range(0, pairs, lanes):
            at = origin + 2 * c * STRIDE
            for p in range(0, whole, lanes):
                transpose_block(
                    w, tile, at + p, 2 * STRIDE, columns, target + c, begin, low + p
                )  # fmt: skip
            for p in range(whole, count):
                for i in range(lanes):
                    columns[begin[low + p] + target + c + i] = tile[at + 2 * i * STRIDE + p]
    for c in range(2 * pairs, n_hops):  # what is left over
        target = c // 2 + (odd_at if c % 2 else even_at)
        for p in range(count):
            columns[begin[low + p] + target] = tile[c * STRIDE + p]


@kernel
def _fill(y, start, reflect, count, out, at):
    """Write samples ``start, start + 1, …`` of the padded signal to ``out[at:]``."""
    n = y.shape[0]
    low = min(max(0, -start), count)  # out[low:high] is the signal itself
    high = min(max(low, n - start), count)
    begin, end = low, high  # out[begin:end] is the signal and its reflections
    if reflect:
        begin = min(max(0, 1 - n - start), low)
        end = max(high, min(2 * n - 1 - start, count))
    out[at : at + begin] = 0.0
    for j in range(begin, low):
        out[at + j] = y[-(start + j)]
    for j in range(low, high):
        out[at + j] = y[start + j]
    for j in range(high, end):
        out[at + j] = y[2 * (n - 1) - (start + j)]
    out[at + end : at + count] = 0.0


@part
def all_sane(w, y, start, stop, overflow, scratch):
    """Tell whether ``y[start:stop]`` times ``overflow`` is finite."""
    lanes = len(w)
    zero, large = vset(w, 0.0), vset(w, overflow)
    a = zero
    at = start
    while at + lanes <= stop:
        a = vfma(vload(w, y, at) * large, zero, a)
        at += lanes
    vstore(scratch, 0, a)
    total = 0.0
    for i in range(lanes):
        total += scratch[i]
    for i in range(at, stop):
        total += np.float32(y[i] * overflow) * 0.0
    return total == 0.0


# ---------------------------------------------------------------- transform
@part
def _first(w, family, r, columns, even, odd, window, e, m, z, base, table, y, ahead, share):
    """Compute the first pass of a sub-transform: m butterflies, from entry ``e`` on."""
    width = 2 * len(w)
    for i in range(m):
        t = 2 * (r - 1) * i
        for at in range(ahead + i * share, ahead + (i + 1) * share, LINE):
            prefetch_far(y, at)
        k = base + i * width
        first(w, family, r, columns, even, odd, window, e + i * r, z, k, m * width, table, t)


@part
def _middle(w, family, r, z, base, m, table, t0):
    width = 2 * len(w)
    for i in range(m):
        t = t0 + 2 * (r - 1) * i
        middle(w, family, r, z, base + i * width, m * width, table, t)


@part
def _last(w, family, r, z, base, m):
    width = 2 * len(w)
    for k in range(base, base + m * width, r * width):
        last(w, family, r, z, k)


@part
def _final(w, family, mode, radices, n, z, places, d, table, spectrum):
    """Bins k2 and n - k2, m - k2 and n - m + k2 … together, for all k2 <= m / 2."""
    lanes = len(w)
    radix = radices[0]
    m = n // radix
    turn = 2 * (radix - 1)
    width = 4 * lanes if len(mode) == COMPLEX else 2 * lanes
    step = m * width
    for k2 in range(m // 2 + 1):
        k3 = m - k2
        final(
            w, family, mode, radix, z, places[k2], places[k3], d, table, k2 * turn, k3 * turn,
            spectrum, k2 * width, k3 * width, step,
        )  # fmt: skip
    if len(mode) == COMPLEX:
        zero = vset(w, 0.0)
        real_bins = (0, n // 2 * width) if n % 2 == 0 else (0, 0)
        for at in real_bins:
            vstore(spectrum, at + 2 * lanes, zero)
            vstore(spectrum, at + 3 * lanes, zero)


@part
def transform(w, family, mode, columns, even, odd, window, plan, z, spectrum, y, ahead, count):
    """Fill ``spectrum`` with bins 0 … n // 2 of one block.

    Meanwhile, ask the memory for ``y[ahead : ahead + count]``, the next block's samples.
    """
    n, radices, tables, starts, places, final_table, pitch = plan
    width = 2 * len(w)
    m = n // radices[0]
    share = -(-count // (n // radices[1]))  # of every butterfly in the first pass
    for b in range(radices[0]):
        low = b * pitch
        r = radices[1]
        sub = m // r
        _first(
            w, family, r, columns, even, odd, window, b * m, sub, z, low, tables, y,
            ahead + b * sub * share, share,
        )  # fmt: skip
        for p in range(2, len(radices)):
            r = radices[p]
            if sub == r:
                _last(w, family, r, z, low, m)
            else:
                for base in range(low, low + m * width, sub * width):
                    _middle(w, family, r, z, base, sub // r, tables, starts[p])
            sub //= r
    _final(w, family, mode, radices, n, z, places, pitch, final_table, spectrum)


@part
def silence(w, columns, even, odd, window, centre, n_values, spectrum, scratch):
    """Set the spectra of frames without any sound to zero.

    What a frame's partner leaves behind in it is rounding, 140 dB below the partner; on exact
    silence a logarithm would show it. Only where the sample in the middle of a frame is zero are
    the others looked at.
    """
    lanes = len(w)
    n = len(window)
    for parity in range(2):
        where = odd if parity else even
        suspects = 0
        for lane in range(lanes):
            suspects += columns[where[centre] + lane] == 0.0
        if suspects == 0:
            continue
        sound = vset(w, 0.0)
        for j in range(n):
            x = vload(w, columns, where[j]) * vset(w, window[j])
            sound = vfma(x, x, sound)
        vstore(scratch, 0, sound)
        for lane in range(lanes):
            if scratch[lane] == 0.0:
                for k in range(n_values):
                    spectrum[(2 * k + parity) * lanes + lane] = 0.0


# ---------------------------------------------------------------- out
@part
def project(w, spectrum, bank, log, curve, bands):
    """Banded filter bank: row m holds weights for bins starts[m] … of even and odd frames.

    With ``log``, every band x becomes ``scale * log2(max(offset + gain * x, floor))``.
    """
    starts, lengths, offsets, weights = bank
    scale, gain, offset, floor = curve
    lanes = len(w)
    s, g, o, f = vset(w, scale), vset(w, gain), vset(w, offset), vset(w, floor)
    for m in range(len(starts)):
        a = vset(w, 0.0)
        b = vset(w, 0.0)
        at = 2 * starts[m] * lanes
        for e in range(offsets[m], offsets[m] + lengths[m]):
            weight = vset(w, weights[e])
            a = vfma(vload(w, spectrum, at), weight, a)
            b = vfma(vload(w, spectrum, at + lanes), weight, b)
            at += 2 * lanes
        if log:
            a = s * vlog2(vmax(vfma(a, g, o), f))
            b = s * vlog2(vmax(vfma(b, g, o), f))
        vstore(bands, 2 * m * lanes, a)
        vstore(bands, (2 * m + 1) * lanes, b)


@part
def compress(w, bands, n, curve):
    """Replace every x of ``n`` rows by ``scale * log2(max(offset + gain * x, floor))``."""
    scale, gain, offset, floor = curve
    lanes = len(w)
    s, g, o, f = vset(w, scale), vset(w, gain), vset(w, offset), vset(w, floor)
    for at in range(0, 2 * n * lanes, lanes):
        vstore(bands, at, s * vlog2(vmax(vfma(vload(w, bands, at), g, o), f)))


@kernel
def to_blocks(w, spectrum, n, out, t0):
    """Write the block as it is, ``n`` rows of all lanes, to the row of ``out`` that is its own."""
    lanes = len(w)
    flat = out.reshape(out.size)
    origin = t0 // (2 * lanes) * out.shape[1]
    for at in range(0, 2 * n * lanes, lanes):
        vstore(flat, origin + at, vload(w, spectrum, at))


@part
def to_frames(w, bands, n, out, t0):
    """Write the block to rows t0 … of ``out`` (n_frames, n), as many as there are."""
    lanes = len(w)
    flat = out.reshape(out.size)
    whole = n // lanes * lanes if t0 + 2 * lanes <= len(out) else 0
    for parity in range(2):
        for m in range(0, whole, lanes):
            at = (2 * m + parity) * lanes
            transpose_block(w, bands, at, 2 * lanes, flat, (t0 + parity) * n + m, 2 * n, 0)
    for i in range(min(2 * lanes, len(out) - t0)):
        for m in range(whole, n):
            out[t0 + i, m] = bands[(2 * m + i % 2) * lanes + i // 2]


# ---------------------------------------------------------------- all of it
@part
def _finish(w, family, mode, layout, plan, steps, bank, curve, work, out, t, y, ahead):
    """From the columns of a block to rows t … of ``out``."""
    shape, _, even, odd, window, centre = layout
    filtered, log, kept = steps
    _, columns, z, spectrum, bands, _ = work
    n_values = plan[0] // 2 + 1
    if len(mode) == COMPLEX:
        n_values *= 2
    count = 2 * len(w) * shape[0] if ahead < len(y) else 0
    transform(
        w, family, mode, columns, even, odd, window, plan, z, spectrum, y, ahead, count
    )  # fmt: skip
    silence(w, columns, even, odd, window, centre, n_values, spectrum, bands)
    if kept:
        to_blocks(w, spectrum, n_values, out, t)
    elif filtered:
        project(w, spectrum, bank, log, curve, bands)
        to_frames(w, bands, len(bank[0]), out, t)
    else:
        if log:
            compress(w, spectrum, n_values, curve)
        to_frames(w, spectrum, n_values, out, t)


@kernel
def spectra_kernel(
    w, family, mode, y, left, reflect, layout, plan, steps, bank, curve, work, out, first, t0, t1,
    total, overflow, bad
):  # fmt: skip
    """Frames t0 … t1 - 1 of ``total`` into rows t0 - first … of ``out``.

    ``t0`` is a multiple of the block. Samples that are NaN or beyond the largest float32 over
    ``overflow`` set ``bad[0]``.
    """
    block = 2 * len(w)
    shape, begin = layout[0], layout[1]
    hop, rows, n_hops, _, _, _ = shape
    tile, columns, bands = work[0], work[1], work[4]
    for t in range(t0, t1, block):
        start = t * hop - left
        if not take(w, y, start, shape, begin, reflect, overflow, tile, columns, bands):
            bad[0] = 1
        # gaps between frames, and what is left at the end, are looked at as well
        seen = start + n_hops * hop if rows == hop else start
        stop = len(y) if t + block >= total else min(start + block * hop, len(y))
        if not all_sane(w, y, max(0, seen), stop, overflow, bands):
            bad[0] = 1
        ahead = start + n_hops * hop
        _finish(w, family, mode, layout, plan, steps, bank, curve, work, out, t - first, y, ahead)


@kernel
def framed_spectra_kernel(
    w, family, mode, y, left, reflect, framing, layout, plan, steps, bank, curve, work, out, first,
    t0, t1,
):  # fmt: skip
    """As `spectra_kernel`, from frames that are cut one by one.

    For hops that are fractions or longer than frames, and for frames that are conditioned.
    """
    block = 2 * len(w)
    hop_num, hop_den, taper, remove_dc, preemphasis, conditioned, weights = framing
    shape, begin = layout[0], layout[1]
    tile, columns, bands, samples = work[0], work[1], work[4], work[5]
    frames = samples.reshape(block, plan[0])[:, : len(taper)]
    samples[:] = 0.0
    for t in range(t0, t1, block):
        frame_kernel(y, t, hop_num, hop_den, left, reflect, weights, frames)
        if conditioned:
            condition_kernel(frames, remove_dc, preemphasis, taper)
        take(w, samples, 0, shape, begin, False, np.float32(1.0), tile, columns, bands)
        _finish(w, family, mode, layout, plan, steps, bank, curve, work, out, t - first, y, len(y))


@kernel
def project_frames_kernel(w, S, shape, begin, bank, log, curve, work, out):
    """Apply a filter bank to the rows of ``S``, any (n_frames, n), and write it to ``out``."""
    n = S.shape[1]
    flat = S.reshape(S.size)
    tile, columns, bands = work
    for t in range(0, len(S), 2 * len(w)):
        take(w, flat, t * n, shape, begin, False, np.float32(1.0), tile, columns, bands)
        project(w, columns, bank, log, curve, bands)
        to_frames(w, bands, len(bank[0]), out, t)


@kernel
def project_blocks_kernel(w, blocks, bank, log, curve, work, out):
    """Write the bands of spectra that were kept as blocks, as many frames as ``out`` has."""
    flat = blocks.reshape(blocks.size)
    bands = work[0]
    width = blocks.shape[1]
    for b in range(len(blocks)):
        project(w, flat[b * width : (b + 1) * width], bank, log, curve, bands)
        to_frames(w, bands, len(bank[0]), out, 2 * b * len(w))
