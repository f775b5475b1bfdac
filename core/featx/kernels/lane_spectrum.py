"""Spectra of 2 x lanes frames at a time: the lane-parallel real FFT and what is fused to it.

One *block* is ``2 * lanes`` consecutive frames. Lane l of one vector belongs to frame 2 l, the same
lane of its partner to frame 2 l + 1; the two are the real and imaginary part of one complex
transform and are parted afterwards (`stages.final`). So every arithmetic instruction works on
``lanes`` frames, no value ever moves between lanes, and any size with small prime factors works.

The way of a block:

1. `take`: the signal is transposed, ``columns[p, c] = y[c * hop + p]``, even and odd columns apart.
   Sample n of frame t is ``columns[n % hop, n // hop + t]``: a contiguous load for all even frames
   and one for all odd frames, and overlapping frames share what they share.
2. `_first`, `transform`: after the first pass, of radix R, sub-transforms of size n / R are left,
   which stay in the L1 cache. Outputs k and n - k, which part even and odd frames, come from two of
   them, so these go together; the last pass parts frames and writes spectra.
3. `project`: the banded filter bank with its logarithm; `to_frames`: back to time first.

A spectrum, and bands alike, lie as ``[bin][parity of frame][lane]``; complex ones count real and
imaginary part as two bins.
"""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel, part
from featx.kernels.framing import condition_kernel, frame_kernel
from featx.kernels.stages import COMPLEX, final, first, middle
from featx.kernels.vector import (
    prefetch_far,
    transpose_block,
    transpose_seen,
    vfma,
    vload,
    vlog2,
    vmax,
    vset,
    vstore,
)

#: Floats in a cache line.
LINE = 16
#: Samples of every hop that `take` transposes before it continues with other hops.
TILE = 128


@part
def take(w, y, start, shape, columns, peak):
    """Write the samples of a block to ``columns``; return the peak of what was read.

    Hop c begins at ``y[start + c * hop]``. Sample p of it goes to ``columns[p * pitch + c // 2]``,
    odd hops ``odd_at`` further on and even ones ``even_at``. Hops are often a whole number of pages
    apart, so that they share one set of the L1 cache, in which eight lines have room. Therefore
    `TILE` samples of eight hops are written at a time.
    """
    hop, rows, n_hops, even_at, odd_at, pitch = shape
    lanes = len(w)
    w8 = w[:8]
    eight = len(w8)
    whole = n_hops // 2 // lanes * lanes
    for low in range(0, rows, TILE):
        high = min(low + TILE, rows)
        for parity in range(2):
            target = odd_at if parity else even_at
            for c in range(0, whole, eight):
                at = start + (2 * c + parity) * hop
                for p in range(low, high, eight):
                    peak = transpose_seen(
                        w8, y, at + p, 2 * hop, columns, target + c, pitch, p, peak
                    )  # fmt: skip
        for c in range(2 * whole, n_hops):  # what is left over
            target = c // 2 + (odd_at if c % 2 else even_at)
            at = start + c * hop
            for p in range(low, high):
                columns[p * pitch + target] = y[at + p]
    return peak


@kernel
def _fill(w, y, start, reflect, out):
    """Write samples ``start, start + 1, …`` of the padded signal to ``out``."""
    n, count = y.shape[0], out.shape[0]
    low = min(max(0, -start), count)  # out[low:high] is the signal itself
    high = min(max(low, n - start), count)
    begin, end = low, high  # out[begin:end] is the signal and its reflections
    if reflect:
        begin = min(max(0, 1 - n - start), low)
        end = max(high, min(2 * n - 1 - start, count))
    out[:begin] = 0.0
    for j in range(begin, low):
        out[j] = y[-start - j]
    # slices would bring in the text of an error, two seconds of compilation
    whole = high - (high - low) % len(w)
    for j in range(low, whole, len(w)):
        vstore(out, j, vload(w, y, start + j))
    for j in range(whole, high):
        out[j] = y[start + j]
    for j in range(high, end):
        out[j] = y[2 * (n - 1) - start - j]
    out[end:] = 0.0


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


@part
def _first(w, family, columns, even, odd, window, plan, z, y, ahead, share):
    """Compute the first pass.

    Meanwhile, ask the memory for ``share`` samples per butterfly, from ``y[ahead]`` on.
    """
    n, radices, tables, _, pitch, _, _, _, _ = plan
    width = 2 * len(w)
    r = radices[0]
    for i in range(n // r):
        for at in range(ahead + i * share, ahead + (i + 1) * share, LINE):
            prefetch_far(y, at)
        t = 2 * (r - 1) * i
        first(w, family, r, columns, even, odd, window, i * r, z, i * width, pitch, tables, t)


@part
def _middle(w, family, plan, z, base):
    """Compute all passes but the first and the last of the sub-transform at ``base``."""
    n, radices, tables, starts, _, _, _, _, _ = plan
    width = 2 * len(w)
    size = n // radices[0] * width
    end = base + size
    for p in range(1, len(radices) - 1):
        r = radices[p]
        d = size // r
        for origin in range(base, end, size):
            for i in range(d // width):
                t = starts[p] + 2 * (r - 1) * i
                middle(w, family, r, z, origin + i * width, d, tables, t)
        size = d


@part
def _mirror(w, z, turn, at):
    """Write to ``z[at:]`` what makes the outputs of the butterfly at 0 come one earlier."""
    lanes = len(w)
    for j in range(len(turn) // 2):
        k = 2 * j * lanes
        real, imag = vload(w, z, k), vload(w, z, k + lanes)
        cosine, sine = vset(w, turn[2 * j]), vset(w, turn[2 * j + 1])
        vstore(z, at + k, real * cosine - imag * sine)
        vstore(z, at + k + lanes, real * sine + imag * cosine)


@part
def transform(w, family, mode, plan, z, spectrum):
    """Fill ``spectrum`` with bins 0 … n // 2 of one block whose first pass is in ``z``."""
    n, radices, _, _, _, pairs, subs, ends, turn = plan
    lanes = len(w)
    r = radices[-1]
    width = 4 * lanes if len(mode) == COMPLEX else 2 * lanes
    step = n // r * width
    ready = 0
    for s in range(len(subs)):
        _middle(w, family, plan, z, subs[s])
        if s == 0:
            _mirror(w, z, turn, pairs[0, 1])
        for e in range(ready, ends[s]):
            own, partner, k2, k3 = pairs[e, 0], pairs[e, 1], pairs[e, 2], pairs[e, 3]
            final(
                w, family, mode, r, z, own, partner, spectrum, k2 * width, k3 * width, step
            )  # fmt: skip
        ready = ends[s]
    if len(mode) == COMPLEX:
        zero = vset(w, 0.0)
        real_bins = (0, n // 2 * width) if n % 2 == 0 else (0, 0)
        for at in real_bins:
            vstore(spectrum, at + 2 * lanes, zero)
            vstore(spectrum, at + 3 * lanes, zero)


@part
def silence(w, y, start, hop, frames, window, n_values, spectrum):
    """Set the spectra of those of the first ``frames`` frames that have no sound to zero.

    What a frame's partner leaves behind in it is rounding, 140 dB below the partner; on exact
    silence a logarithm would show it. Only where the sample in the middle of a frame is zero are
    the others looked at.
    """
    n = len(window)
    for t in range(min(frames, 2 * len(w))):
        at = start + t * hop
        if y[at + n // 2] != 0.0:
            continue
        j = 0
        while j < n and y[at + j] * window[j] == 0.0:
            j += 1
        if j == n:
            for k in range(n_values):
                spectrum[(2 * k + t % 2) * len(w) + t // 2] = 0.0


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
            to = (t0 + parity) * n + m
            transpose_block(w, bands, at, 2 * lanes, flat, to, 2 * n, 0)
    for i in range(min(2 * lanes, len(out) - t0)):
        for m in range(whole, n):
            out[t0 + i, m] = bands[(2 * m + i % 2) * lanes + i // 2]


@kernel
def spectra_kernel(
    w, family, mode, y, left, reflect, framing, layout, plan, steps, bank, curve, work, out, first,
    t0, t1, peaks,
):  # fmt: skip
    """Frames t0 … t1 - 1 into rows t0 - first … of ``out``; ``t0`` is a multiple of the block.

    With a ``framing``, frames are cut one by one: for hops that are fractions or much longer than
    frames, and for frames that are conditioned. Without, `take` transposes the signal, and the
    largest magnitudes of what it has read, lane by lane, go to ``peaks``.
    """
    shape, even, odd, weights, window = layout
    columns, z, spectrum, bands, samples, frozen = work
    filtered, log, in_blocks = steps
    hop, _, n_hops, _, _, _ = shape
    block = 2 * len(w)
    n_values = plan[0] // 2 + 1
    if len(mode) == COMPLEX:
        n_values *= 2
    share = -(-block * hop // (plan[0] // plan[1][0]))  # of every butterfly of the first pass
    peak = vset(w[:8], 0.0)
    for t in range(t0, t1, block):
        start = t * hop - left
        source, at, ahead = y, start, start + n_hops * hop
        if framing is not None:
            cut_kernel(y, t, left, reflect, framing, plan[0], samples)
            source, at, ahead = frozen, 0, len(y)
        elif start < 0 or start + len(samples) > len(y):
            _fill(w, y, start, reflect, samples)
            source, at = frozen, 0
        peak = take(w, source, at, shape, columns, peak)
        if ahead >= len(y):
            share = 0
        _first(w, family, columns, even, odd, weights, plan, z, y, ahead, share)
        transform(w, family, mode, plan, z, spectrum)
        silence(w, source, at, hop, t1 - t, window, n_values, spectrum)
        if in_blocks:
            to_blocks(w, spectrum, n_values, out, t - first)
            continue
        if filtered:
            project(w, spectrum, bank, log, curve, bands)
        elif log:
            compress(w, spectrum, n_values, curve)
        values, n = (bands, len(bank[0])) if filtered else (spectrum, n_values)
        to_frames(w, values, n, out, t - first)
    vstore(peaks, 0, peak)


@kernel
def cut_kernel(y, t, left, reflect, framing, n, samples):
    """Write frames t, t + 1, … to ``samples``, ``n`` apart, as many as fit."""
    hop_num, hop_den, taper, remove_dc, preemphasis, conditioned, weights = framing
    count = len(samples) // n
    frames = samples[: count * n].reshape(count, n)[:, : len(taper)]
    samples[:] = 0.0
    frame_kernel(y, t, hop_num, hop_den, left, reflect, weights, frames)
    if conditioned:
        condition_kernel(frames, remove_dc, preemphasis, taper)


@kernel
def project_frames_kernel(w, S, shape, bank, log, curve, work, out):
    """Apply a filter bank to the rows of ``S``, any (n_frames, n), and write it to ``out``."""
    n = S.shape[1]
    flat = S.reshape(S.size)
    columns, bands, samples, frozen = work
    peak = vset(w[:8], 0.0)
    for t in range(0, len(S), 2 * len(w)):
        source, at = flat, t * n
        if at + len(samples) > len(flat):
            _fill(w, flat, at, False, samples)
            source, at = frozen, 0
        peak = take(w, source, at, shape, columns, peak)
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
