"""Spectra of 2 x lanes frames at a time: the lane-parallel real FFT and what is fused to it.

One *block* is ``2 * lanes`` consecutive frames. Lane l of one vector belongs to frame l, the same
lane of its partner to frame ``lanes + l``; the two are the real and imaginary part of one complex
transform and are parted afterwards (`stages.split_power`). So every arithmetic instruction works
on ``lanes`` frames, no value ever moves between lanes, and any size with small prime factors works.

The way of a block:

1. `to_columns`: the signal is written phase by phase, ``columns[p, c] = y[c * hop + p]``. Sample n
   of frame t is then ``columns[n % hop, n // hop + t]``: a contiguous load for all lanes, and
   overlapping frames share what they share.
2. `transform`: n = R * M. R transforms of size M (every R-th sample), each small enough to stay in
   the L1 cache, then one pass of radix R across them that also parts the two groups of frames.
3. `project`: the banded filter bank, `compress`: logarithms, `to_frames`: back to time first.
"""

from __future__ import annotations

from numba import njit

from featx.kernels.stages import (
    COMPLEX,
    centre2,
    centre3,
    centre4,
    centre5,
    centre7,
    centre8,
    centre9,
    first2,
    first3,
    first4,
    first5,
    first7,
    first8,
    first9,
    last2,
    last3,
    last4,
    last5,
    last7,
    last8,
    last9,
    middle2,
    middle3,
    middle4,
    middle5,
    middle7,
    middle8,
    middle9,
    pair2,
    pair3,
    pair4,
    pair5,
    pair7,
    pair8,
    pair9,
    zero2,
    zero3,
    zero4,
    zero5,
    zero7,
    zero8,
    zero9,
)
from featx.kernels.vector import prefetch, transpose_block, vfma, vload, vlog2, vmax, vset, vstore


@njit(cache=True, nogil=True, error_model="numpy")
def to_columns(w, y, start, hop, rows, n_columns, pitch, columns):
    """Write ``columns[p * pitch + c] = y[start + c * hop + p]`` for p < rows, c < n_columns."""
    lanes = len(w)
    whole = n_columns // lanes * lanes
    for c in range(0, whole, lanes):
        p = 0
        while p + lanes <= rows:
            transpose_block(w, y, start + c * hop + p, hop, columns, p * pitch + c, pitch)
            p += lanes
        for q in range(p, rows):
            for i in range(c, c + lanes):
                columns[q * pitch + i] = y[start + i * hop + q]
    for c in range(whole, n_columns):
        for q in range(rows):
            columns[q * pitch + c] = y[start + c * hop + q]


@njit(cache=True, nogil=True, error_model="numpy")
def _first(w, r, columns, half, where, window, n0, step, m, z, base, gap, table):
    lanes = len(w)
    d = m * lanes
    e = m * step
    for i in range(m):
        n = n0 + i * step
        k = base + i * lanes
        t = 2 * (r - 1) * i
        if r == 8:
            first8(w, columns, half, where, window, n, e, z, k, d, gap, table, t)
        elif r == 4:
            first4(w, columns, half, where, window, n, e, z, k, d, gap, table, t)
        elif r == 2:
            first2(w, columns, half, where, window, n, e, z, k, d, gap, table, t)
        elif r == 9:
            first9(w, columns, half, where, window, n, e, z, k, d, gap, table, t)
        elif r == 3:
            first3(w, columns, half, where, window, n, e, z, k, d, gap, table, t)
        elif r == 5:
            first5(w, columns, half, where, window, n, e, z, k, d, gap, table, t)
        else:
            first7(w, columns, half, where, window, n, e, z, k, d, gap, table, t)


@njit(cache=True, nogil=True, error_model="numpy")
def _middle(w, r, z, base, m, gap, table, t0):
    lanes = len(w)
    d = m * lanes
    for i in range(m):
        k = base + i * lanes
        t = t0 + 2 * (r - 1) * i
        if r == 8:
            middle8(w, z, k, d, gap, table, t)
        elif r == 4:
            middle4(w, z, k, d, gap, table, t)
        elif r == 2:
            middle2(w, z, k, d, gap, table, t)
        elif r == 9:
            middle9(w, z, k, d, gap, table, t)
        elif r == 3:
            middle3(w, z, k, d, gap, table, t)
        elif r == 5:
            middle5(w, z, k, d, gap, table, t)
        else:
            middle7(w, z, k, d, gap, table, t)


@njit(cache=True, nogil=True, error_model="numpy")
def _last(w, r, z, base, n, gap):
    lanes = len(w)
    for k in range(base, base + n * lanes, r * lanes):
        if r == 8:
            last8(w, z, k, lanes, gap)
        elif r == 4:
            last4(w, z, k, lanes, gap)
        elif r == 2:
            last2(w, z, k, lanes, gap)
        elif r == 9:
            last9(w, z, k, lanes, gap)
        elif r == 3:
            last3(w, z, k, lanes, gap)
        elif r == 5:
            last5(w, z, k, lanes, gap)
        else:
            last7(w, z, k, lanes, gap)


def _final_stage(s2, s3, s4, s5, s7, s8, s9):
    @njit(cache=True, nogil=True, error_model="numpy")
    def final(w, mode, r, z, k2, k3, d, gap, table, t2, t3, out, o2, o3, step):
        if r == 8:
            s8(w, mode, z, k2, k3, d, gap, table, t2, t3, out, o2, o3, step)
        elif r == 4:
            s4(w, mode, z, k2, k3, d, gap, table, t2, t3, out, o2, o3, step)
        elif r == 2:
            s2(w, mode, z, k2, k3, d, gap, table, t2, t3, out, o2, o3, step)
        elif r == 9:
            s9(w, mode, z, k2, k3, d, gap, table, t2, t3, out, o2, o3, step)
        elif r == 3:
            s3(w, mode, z, k2, k3, d, gap, table, t2, t3, out, o2, o3, step)
        elif r == 5:
            s5(w, mode, z, k2, k3, d, gap, table, t2, t3, out, o2, o3, step)
        else:
            s7(w, mode, z, k2, k3, d, gap, table, t2, t3, out, o2, o3, step)

    return final


_pair = _final_stage(pair2, pair3, pair4, pair5, pair7, pair8, pair9)
_zero = _final_stage(zero2, zero3, zero4, zero5, zero7, zero8, zero9)
_centre = _final_stage(centre2, centre3, centre4, centre5, centre7, centre8, centre9)


@njit(cache=True, nogil=True, error_model="numpy")
def transform(
    w,
    columns,
    where,
    window,
    n,
    radices,
    tables,
    starts,
    places,
    final_table,
    pad,
    gap,
    z,
    mode,
    spectrum,
):
    """Fill ``spectrum`` with bins 0 … n // 2 of one block."""
    lanes = len(w)
    radix = radices[0]
    m = n // radix
    d = m * lanes + pad
    for b in range(radix):
        low = b * d
        r = radices[1]
        sub = m // r
        _first(w, r, columns, lanes, where, window, b, radix, sub, z, low, gap, tables)
        p = 2
        while p < len(radices):
            r = radices[p]
            if sub == r:
                _last(w, r, z, low, m, gap)
            else:
                for base in range(low, low + m * lanes, sub * lanes):
                    _middle(w, r, z, base, sub // r, gap, tables, starts[p])
            sub //= r
            p += 1
    turn = 2 * (radix - 1)
    width = 4 * lanes if len(mode) == COMPLEX else 2 * lanes
    step = m * width
    _zero(w, mode, radix, z, places[0], 0, d, gap, final_table, 0, 0, spectrum, 0, 0, step)
    for k2 in range(1, (m + 1) // 2):
        k3 = m - k2
        for j in range(radix):
            prefetch(z, places[k2 + 1] + j * d)
            prefetch(z, places[k2 + 1] + j * d + gap)
            prefetch(z, places[k3 - 1] + j * d)
            prefetch(z, places[k3 - 1] + j * d + gap)
        _pair(
            w,
            mode,
            radix,
            z,
            places[k2],
            places[k3],
            d,
            gap,
            final_table,
            k2 * turn,
            k3 * turn,
            spectrum,
            k2 * width,
            k3 * width,
            step,
        )
    if m % 2 == 0:
        k2 = m // 2
        _centre(
            w,
            mode,
            radix,
            z,
            places[k2],
            0,
            d,
            gap,
            final_table,
            k2 * turn,
            0,
            spectrum,
            k2 * width,
            0,
            step,
        )


@njit(cache=True, nogil=True, error_model="numpy")
def project(w, spectrum, starts, offsets, weights, bands):
    """Banded filter bank: row m holds weights for bins starts[m] … of both groups of frames."""
    lanes = len(w)
    for m in range(len(starts)):
        a = vset(w, 0.0)
        b = vset(w, 0.0)
        at = 2 * starts[m] * lanes
        for e in range(offsets[m], offsets[m + 1]):
            weight = vset(w, weights[e])
            a = vfma(vload(w, spectrum, at), weight, a)
            b = vfma(vload(w, spectrum, at + lanes), weight, b)
            at += 2 * lanes
        vstore(bands, 2 * m * lanes, a)
        vstore(bands, (2 * m + 1) * lanes, b)


@njit(cache=True, nogil=True, error_model="numpy")
def compress(w, bands, n, scale, gain, offset, floor):
    """Replace every x by ``scale * log2(max(offset + gain * x, floor))``."""
    lanes = len(w)
    s, g, o, f = vset(w, scale), vset(w, gain), vset(w, offset), vset(w, floor)
    for at in range(0, 2 * n * lanes, lanes):
        vstore(bands, at, s * vlog2(vmax(vfma(vload(w, bands, at), g, o), f)))


@njit(cache=True, nogil=True, error_model="numpy")
def to_frames(w, bands, n, out, t0):
    """Write the block to rows t0 … of ``out`` (n_frames, n), as many as there are."""
    lanes = len(w)
    flat = out.reshape(out.size)
    for group in range(2):
        t = t0 + group * lanes
        count = min(lanes, len(out) - t)
        whole = 0
        if count == lanes:
            whole = n // lanes * lanes
            for m in range(0, whole, lanes):
                at = (2 * m + group) * lanes
                transpose_block(w, bands, at, 2 * lanes, flat, t * n + m, n)
        for i in range(count):
            for m in range(whole, n):
                out[t + i, m] = bands[(2 * m + group) * lanes + i]


@njit(cache=True, nogil=True, error_model="numpy")
def filtered(
    w,
    y,
    start,
    hop,
    rows,
    n_columns,
    pitch,
    where,
    window,
    n,
    radices,
    tables,
    starts,
    places,
    final_table,
    pad,
    gap,
    mode,
    bank_starts,
    bank_offsets,
    bank_weights,
    log,
    scale,
    gain,
    offset,
    floor,
    columns,
    z,
    spectrum,
    bands,
    out,
    t0,
    t1,
):
    """Frames t0 … t1 - 1 of filtered, compressed spectra; ``y[start]`` is sample 0 of frame t0."""
    block = 2 * len(w)
    n_bands = len(bank_starts)
    for t in range(t0, t1, block):
        to_columns(w, y, start + (t - t0) * hop, hop, rows, n_columns, pitch, columns)
        transform(
            w,
            columns,
            where,
            window,
            n,
            radices,
            tables,
            starts,
            places,
            final_table,
            pad,
            gap,
            z,
            mode,
            spectrum,
        )
        project(w, spectrum, bank_starts, bank_offsets, bank_weights, bands)
        if log:
            compress(w, bands, n_bands, scale, gain, offset, floor)
        to_frames(w, bands, n_bands, out, t)
