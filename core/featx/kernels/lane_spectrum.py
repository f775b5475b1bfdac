"""Spectra of 2 x lanes frames at a time: the lane-parallel real FFT and what is fused to it.

One *block* is ``2 * lanes`` consecutive frames. Lane l of one vector belongs to frame 2 l, the same
lane of its partner to frame 2 l + 1; the two are the real and imaginary part of one complex
transform and are parted afterwards (`stages.final`). So every arithmetic instruction works on
``lanes`` frames, no value ever moves between lanes, and any size with small prime factors works.

The way of a block:

1. `to_columns`: the signal is written phase by phase, ``columns[p, c] = y[c * hop + p]``, even and
   odd columns apart. Sample n of frame t is ``columns[n % hop, n // hop + t]``: a contiguous load
   for all even frames and one for all odd frames, and overlapping frames share what they share.
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
from featx.kernels.stages import COMPLEX, final, first, last, middle
from featx.kernels.vector import (
    prefetch,
    transpose_block,
    vfma,
    vload,
    vlog2,
    vmax,
    vset,
    vsqrt,
    vstore,
)


# ---------------------------------------------------------------- in
@kernel
def to_columns(w, y, start, hop, rows, n_columns, half, pitch, columns):
    """Write ``columns[p * pitch + c // 2 + c % 2 * half] = y[start + c * hop + p]``.

    For p < rows and c < 2 n_columns.
    """
    lanes = len(w)
    whole = n_columns // lanes * lanes
    for parity in range(2):
        origin = start + parity * hop
        target = parity * half
        for c in range(0, whole, lanes):
            at = origin + 2 * c * hop
            p = 0
            while p + lanes <= rows:
                transpose_block(w, y, at + p, 2 * hop, columns, p * pitch + target + c, pitch)
                p += lanes
            for q in range(p, rows):
                for i in range(lanes):
                    columns[q * pitch + target + c + i] = y[at + 2 * i * hop + q]
        for c in range(whole, n_columns):
            for q in range(rows):
                columns[q * pitch + target + c] = y[origin + 2 * c * hop + q]


@part
def fill_segment(y, start, reflect, count, out):
    """Write samples ``start, start + 1, …`` of the padded signal into ``out``."""
    n = y.shape[0]
    for j in range(count):
        i = start + j
        if reflect:
            if i < 0:
                i = -i
            elif i >= n:
                i = 2 * (n - 1) - i
        if 0 <= i < n:
            out[j] = y[i]
        else:
            out[j] = 0.0


@part
def all_sane(w, y, start, stop, overflow, scratch):
    """Tell whether ``y[start:stop]`` times ``overflow`` is finite: else 0 times it is not 0.

    It reads the signal in order just before it is taken apart, which brings it into the cache.
    """
    lanes = len(w)
    zero, large = vset(w, 0.0), vset(w, overflow)
    a, b = zero, zero
    at = start
    while at + 2 * lanes <= stop:
        a = vfma(vload(w, y, at) * large, zero, a)
        b = vfma(vload(w, y, at + lanes) * large, zero, b)
        at += 2 * lanes
    vstore(scratch, 0, a + b)
    total = 0.0
    for i in range(lanes):
        total += scratch[i]
    for i in range(at, stop):
        total += np.float32(y[i] * overflow) * 0.0
    return total == 0.0


# ---------------------------------------------------------------- transform
@part
def _first(w, family, r, columns, even, odd, window, n0, step, m, z, base, gap, table):
    lanes = len(w)
    for i in range(m):
        n = n0 + i * step
        k = base + i * lanes
        t = 2 * (r - 1) * i
        first(
            w, family, r, columns, even, odd, window, n, m * step, z, k, m * lanes, gap, table, t
        )  # fmt: skip


@part
def _middle(w, family, r, z, base, m, gap, table, t0):
    lanes = len(w)
    for i in range(m):
        t = t0 + 2 * (r - 1) * i
        middle(w, family, r, z, base + i * lanes, m * lanes, gap, table, t)


@part
def _last(w, family, r, z, base, n, gap):
    lanes = len(w)
    for k in range(base, base + n * lanes, r * lanes):
        last(w, family, r, z, k, lanes, gap)


@part
def _final(w, family, mode, radices, n, z, places, gap, pad, table, spectrum):
    """Bins k2 and n - k2, m - k2 and n - m + k2 … together, for all k2 <= m / 2."""
    lanes = len(w)
    radix = radices[0]
    m = n // radix
    d = m * lanes + pad
    turn = 2 * (radix - 1)
    width = 2 * lanes * len(mode)
    step = m * width
    for k2 in range(m // 2 + 1):
        k3 = m - k2
        for j in range(radix):
            prefetch(z, places[k2 + 1] + j * d)
            prefetch(z, places[k2 + 1] + j * d + gap)
            prefetch(z, places[k3 - 1] + j * d)
            prefetch(z, places[k3 - 1] + j * d + gap)
        p2, p3, o2, o3 = places[k2], places[k3], k2 * width, k3 * width
        final(
            w, family, mode, radix, z, p2, p3, d, gap, table, k2 * turn, k3 * turn, spectrum,
            o2, o3, step,
        )  # fmt: skip
    if len(mode) == COMPLEX:
        zero = vset(w, 0.0)
        real_bins = (0, n // 2 * width) if n % 2 == 0 else (0, 0)
        for at in real_bins:
            vstore(spectrum, at + 2 * lanes, zero)
            vstore(spectrum, at + 3 * lanes, zero)


@part
def transform(w, family, mode, columns, even, odd, window, plan, z, spectrum):
    """Fill ``spectrum`` with bins 0 … n // 2 of one block."""
    n, radices, tables, starts, places, final_table, pad, gap = plan
    lanes = len(w)
    m = n // radices[0]
    for b in range(radices[0]):
        low = b * (m * lanes + pad)
        r = radices[1]
        sub = m // r
        _first(w, family, r, columns, even, odd, window, b, radices[0], sub, z, low, gap, tables)
        for p in range(2, len(radices)):
            r = radices[p]
            if sub == r:
                _last(w, family, r, z, low, m, gap)
            else:
                for base in range(low, low + m * lanes, sub * lanes):
                    _middle(w, family, r, z, base, sub // r, gap, tables, starts[p])
            sub //= r
    _final(w, family, mode, radices, n, z, places, gap, pad, final_table, spectrum)


@part
def silence(w, columns, even, odd, window, n_values, spectrum):
    """Set the spectra of frames without any sound to zero.

    What a frame's partner leaves behind in it is rounding, 140 dB below the partner; on exact
    silence a logarithm would show it. The search begins in the middle, where the window is large,
    and ends at the first sound.
    """
    lanes = len(w)
    n = len(window)
    for parity in range(2):
        where = odd if parity else even
        for lane in range(lanes):
            i = 0
            while i < n:
                j = (i + n // 2) % n
                if columns[where[j] + lane] * window[j] != 0.0:
                    break
                i += 1
            if i == n:
                for k in range(n_values):
                    spectrum[(2 * k + parity) * lanes + lane] = 0.0


# ---------------------------------------------------------------- out
@part
def square_root(w, values, n):
    """Replace every value of ``n`` rows by its square root."""
    lanes = len(w)
    for at in range(0, 2 * n * lanes, lanes):
        vstore(values, at, vsqrt(vload(w, values, at)))


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


@part
def to_frames(w, bands, n, out, t0):
    """Write the block to rows t0 … of ``out`` (n_frames, n), as many as there are."""
    lanes = len(w)
    flat = out.reshape(out.size)
    whole = n // lanes * lanes if t0 + 2 * lanes <= len(out) else 0
    for parity in range(2):
        for m in range(0, whole, lanes):
            at = (2 * m + parity) * lanes
            transpose_block(w, bands, at, 2 * lanes, flat, (t0 + parity) * n + m, 2 * n)
    for i in range(min(2 * lanes, len(out) - t0)):
        for m in range(whole, n):
            out[t0 + i, m] = bands[(2 * m + i % 2) * lanes + i // 2]


# ---------------------------------------------------------------- all of it
@part
def _finish(w, family, mode, layout, plan, steps, bank, curve, work, out, t):
    """From columns to rows t … of ``out``."""
    _, _, _, _, _, even, odd, window = layout
    root, filtered, log = steps
    _, columns, z, spectrum, bands = work
    n_values = len(mode) * (plan[0] // 2 + 1)
    transform(w, family, mode, columns, even, odd, window, plan, z, spectrum)
    silence(w, columns, even, odd, window, n_values, spectrum)
    if root:
        square_root(w, spectrum, n_values)
    if filtered:
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

    ``t0`` is a multiple of the block. Blocks inside the signal are read where they lie, the others
    from a padded copy of the block. Samples that are NaN or beyond the largest float32
    over ``overflow`` set ``bad[0]``.
    """
    block = 2 * len(w)
    hop, rows, n_columns, half, pitch, _, _, _ = layout
    segment, columns, _, _, bands = work
    n_segment = (2 * n_columns - 1) * hop + rows
    for t in range(t0, t1, block):
        start = t * hop - left
        stop = len(y) if t + block >= total else min(len(y), start + block * hop)
        if not all_sane(w, y, max(0, start), stop, overflow, bands):
            bad[0] = 1
        source, at = y, start
        if start < 0 or start + n_segment > len(y):
            fill_segment(y, start, reflect, n_segment, segment)
            source, at = segment, 0
        to_columns(w, source, at, hop, rows, n_columns, half, pitch, columns)
        _finish(w, family, mode, layout, plan, steps, bank, curve, work, out, t - first)


@kernel
def framed_spectra_kernel(
    w, family, mode, y, left, reflect, framing, layout, plan, steps, bank, curve, work, out, first,
    t0, t1,
):  # fmt: skip
    """As `spectra_kernel`, from frames that are cut one by one.

    For hops that are fractions or longer than frames, and for frames that are conditioned.
    """
    block = 2 * len(w)
    hop_num, hop_den, taper, remove_dc, preemphasis, conditioned, shape = framing
    hop, rows, n_columns, half, pitch, _, _, _ = layout
    frames, columns, _, _, _ = work
    cut = frames.reshape(block, hop)[:, : len(taper)]
    frames[:] = 0.0
    for t in range(t0, t1, block):
        frame_kernel(y, t, hop_num, hop_den, left, reflect, shape, cut)
        if conditioned:
            condition_kernel(cut, remove_dc, preemphasis, taper)
        to_columns(w, frames, 0, hop, rows, n_columns, half, pitch, columns)
        _finish(w, family, mode, layout, plan, steps, bank, curve, work, out, t - first)


@kernel
def project_frames_kernel(w, S, bank, log, curve, work, out):
    """Apply a filter bank to the rows of ``S``, any (n_frames, n), and write it to ``out``."""
    block = 2 * len(w)
    n = S.shape[1]
    flat = S.reshape(S.size)
    segment, columns, bands = work
    for t in range(0, len(S), block):
        source, at = flat, t * n
        if t + block > len(S):
            fill_segment(flat, at, False, n * block, segment)
            source, at = segment, 0
        to_columns(w, source, at, n, n, len(w), len(w), block, columns)
        project(w, columns, bank, log, curve, bands)
        to_frames(w, bands, len(bank[0]), out, t)
