"""YIN: how much a frame differs from itself some samples later, and the period that follows.

``d[t, k]`` is the sum of ``(y[j] - y[j + k])**2`` over the first ``win_length`` samples of frame t;
beyond the frame's end, y counts as zero. Differences are squared one by one: an autocorrelation by
Fourier transforms is a small difference of large numbers where the period is.

Frames overlap. Where a difference meets the same two samples in two frames, it is computed once:
sums are taken over pieces, hops cut in two, and a frame adds up its pieces. Only the last samples
of a frame, whose partners may lie beyond its end, are its own.
"""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel, part
from featx.kernels.vector import vfma, vload, vset, vstore

#: Vectors of lags in flight.
GROUP = 8
#: Differences summed before the sum is added to others, so that roundings stay small.
_CHUNK = 128


@part
def _add_differences(w, y, at, first, last, limit, out, row):
    """Add to ``out[row + k]`` the squared differences of samples ``first .. last - 1``.

    Sample j is ``y[at + j]``. Lags come in groups; from ``limit`` on, samples are zero to all.
    """
    lanes = len(w)
    zero = vset(w, 0.0)
    for group in range(0, limit, GROUP * lanes):
        for start in range(first, last, _CHUNK):
            a, b, c, d = zero, zero, zero, zero
            e, f, g, h = zero, zero, zero, zero
            for j in range(start, min(start + _CHUNK, last)):
                x = vset(w, y[at + j])
                i = at + j + group
                u = vload(w, y, i) - x
                a = vfma(u, u, a)
                u = vload(w, y, i + lanes) - x
                b = vfma(u, u, b)
                u = vload(w, y, i + 2 * lanes) - x
                c = vfma(u, u, c)
                u = vload(w, y, i + 3 * lanes) - x
                d = vfma(u, u, d)
                u = vload(w, y, i + 4 * lanes) - x
                e = vfma(u, u, e)
                u = vload(w, y, i + 5 * lanes) - x
                f = vfma(u, u, f)
                u = vload(w, y, i + 6 * lanes) - x
                g = vfma(u, u, g)
                u = vload(w, y, i + 7 * lanes) - x
                h = vfma(u, u, h)
            i = row + group
            vstore(out, i, vload(w, out, i) + a)
            vstore(out, i + lanes, vload(w, out, i + lanes) + b)
            vstore(out, i + 2 * lanes, vload(w, out, i + 2 * lanes) + c)
            vstore(out, i + 3 * lanes, vload(w, out, i + 3 * lanes) + d)
            vstore(out, i + 4 * lanes, vload(w, out, i + 4 * lanes) + e)
            vstore(out, i + 5 * lanes, vload(w, out, i + 5 * lanes) + f)
            vstore(out, i + 6 * lanes, vload(w, out, i + 6 * lanes) + g)
            vstore(out, i + 7 * lanes, vload(w, out, i + 7 * lanes) + h)


@kernel
def lane_difference_kernel(w, y, hop, frame_length, win_length, pieces, tail, out):
    """Write the difference functions of frames that begin at 0, hop, 2 hop … in ``y``.

    Rows of ``pieces`` and ``out`` are whole groups of lags. ``pieces`` has two rows per hop: what
    is before and after the point where some earlier frame's common part ends. ``tail`` holds a
    frame's last samples followed by zeros.
    """
    n_frames, width = out.shape
    inside = max(0, min(win_length, frame_length - width))
    whole, rest = inside // hop, inside % hop
    own = frame_length - inside
    target, sums = out.reshape(n_frames * width), pieces.reshape(pieces.size)
    for i in range(pieces.size):
        sums[i] = np.float32(0.0)
    for i in range(n_frames + whole):
        row = 2 * i * width
        _add_differences(w, y, i * hop, 0, rest, width, sums, row)
        if whole > 0 and i < n_frames + whole - 1:
            _add_differences(w, y, i * hop, rest, hop, width, sums, row + width)
    for t in range(n_frames):
        for k in range(width):
            target[t * width + k] = np.float32(0.0)
        for piece in range(2 * t, 2 * (t + whole) + 1):
            for k in range(width):
                target[t * width + k] += sums[piece * width + k]
        if inside < win_length:
            for i in range(own):
                tail[i] = y[t * hop + inside + i]
            for i in range(own, tail.shape[0]):
                tail[i] = np.float32(0.0)
            _add_differences(w, tail, 0, 0, win_length - inside, width, target, t * width)


@kernel
def difference_kernel(y, hop, frame_length, win_length, out):
    """Write the difference functions of frames that begin at 0, hop, 2 hop … in ``y``."""
    for t in range(out.shape[0]):
        at = t * hop
        for k in range(out.shape[1]):
            total = 0.0
            common = min(win_length, max(0, frame_length - k))
            for j in range(common):
                u = np.float64(y[at + j]) - y[at + j + k]
                total += u * u
            for j in range(common, win_length):
                total += np.float64(y[at + j]) * y[at + j]
            out[t, k] = total


@kernel
def normalise_difference_kernel(d, out):
    """Divide every difference by the mean of those up to its lag; lag 0 and silence give 1."""
    for t in range(d.shape[0]):
        out[t, 0] = np.float32(1.0)
        total = 0.0
        for k in range(1, d.shape[1]):
            total += d[t, k]
            if total > 0.0:
                out[t, k] = k * d[t, k] / total
            else:
                out[t, k] = np.float32(1.0)


@kernel
def yin_kernel(d, first, threshold, rate, out):
    """Write the frequency of the first trough below ``threshold``, or else of the lowest value.

    Lags below ``first`` are not looked at. A parabola through the neighbours refines the lag.
    """
    last = d.shape[1] - 1
    for t in range(d.shape[0]):
        best = first
        for k in range(first, last + 1):
            here = d[t, k]
            left = k == first or here < d[t, k - 1]
            right = k == last or (here < d[t, k + 1] if k == first else here <= d[t, k + 1])
            if here < threshold and left and right:
                best = k
                break
            if here < d[t, best]:
                best = k
        lag = np.float64(best)
        if first < best < last:
            before, here, after = np.float64(d[t, best - 1]), d[t, best], d[t, best + 1]
            bend = after + before - 2.0 * here
            slope = 0.5 * (after - before)
            if abs(slope) < abs(bend):
                lag -= slope / bend
        out[t] = rate / lag
