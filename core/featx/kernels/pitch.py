"""YIN: how much a frame differs from itself some samples later, and the period that follows.

``d[t, k]`` is the sum of ``(y[j] - y[j + k])**2`` over the first ``win_length`` samples of frame t;
beyond the frame's end, y counts as zero. Differences are squared one by one: an autocorrelation by
Fourier transforms is a small difference of large numbers where the period is.

Frames overlap. Where a difference meets the same two samples in two frames, it is computed once:
sums are taken over pieces, hops cut in two, and a frame adds up its pieces. Only the last samples
of a frame, whose partners may lie beyond its end, are its own; lags go in groups, so that they are
as few as a group has lags.
"""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel, part
from featx.kernels.vector import vfma, vload, vset, vstore

#: Vectors of lags in a group.
GROUP = 4
#: Differences summed before the sum is added to others, so that roundings stay small.
_CHUNK = 128


@part
def _load(w, x, i):
    lanes = len(w)
    return (
        vload(w, x, i),
        vload(w, x, i + lanes),
        vload(w, x, i + 2 * lanes),
        vload(w, x, i + 3 * lanes),
    )


@part
def _store(w, x, i, group):
    lanes = len(w)
    vstore(x, i, group[0])
    vstore(x, i + lanes, group[1])
    vstore(x, i + 2 * lanes, group[2])
    vstore(x, i + 3 * lanes, group[3])


@part
def _add(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


@part
def _fill(w, value):
    return vset(w, value), vset(w, value), vset(w, value), vset(w, value)


@part
def _differences(w, x, at, partners, partner_at, first, last):
    """Return the sums of ``(x[at + j] - partners[partner_at + j + k])**2`` for a group of lags k.

    j is in ``first .. last - 1``.
    """
    total = _fill(w, 0.0)
    for start in range(first, last, _CHUNK):
        a, b, c, d = _fill(w, 0.0)
        for j in range(start, min(start + _CHUNK, last)):
            here = vset(w, x[at + j])
            u, v, p, q = _load(w, partners, partner_at + j)
            u, v, p, q = u - here, v - here, p - here, q - here
            a, b, c, d = vfma(u, u, a), vfma(v, v, b), vfma(p, p, c), vfma(q, q, d)
        total = _add(total, (a, b, c, d))
    return total


@kernel
def lane_difference_kernel(w, y, hop, frame_length, win_length, pieces, tail, energies, out):
    """Write the difference functions of frames that begin at 0, hop, 2 hop … in ``y``.

    Rows of ``out`` are whole groups of lags. ``pieces`` has two rows of a group for every hop: what
    is before and after the point where some earlier frame's common part ends. ``tail`` has room for
    two groups, ``energies`` (float64) a place per frame.
    """
    n_frames, n_lags = out.shape
    width = GROUP * len(w)
    target = out.reshape(n_frames * n_lags)
    for t in range(n_frames):
        energies[t] = 0.0
    for lag in range(0, n_lags, width):
        inside = max(0, min(win_length, frame_length - lag - width))
        whole, rest = inside // hop, inside % hop
        for i in range(n_frames + whole):
            at, row = i * hop, 2 * i * width
            sums = _differences(w, y, at, y, at + lag, 0, rest)
            _store(w, pieces, row, sums)
            if whole > 0 and i < n_frames + whole - 1:
                sums = _differences(w, y, at, y, at + lag, rest, hop)
                _store(w, pieces, row + width, sums)
        # up to here the partners are in the frame, for all lags; from here on, for some of them
        paired = min(win_length, max(inside, frame_length - lag))
        have = max(0, frame_length - lag - inside)
        for t in range(n_frames):
            at = t * hop
            # and from here on, for none
            for j in range(paired, min(win_length, max(0, frame_length - lag + width))):
                energies[t] += np.float64(y[at + j]) * y[at + j]
            sums = _fill(w, energies[t])
            for piece in range(2 * t, 2 * (t + whole) + 1):
                sums = _add(sums, _load(w, pieces, piece * width))
            if inside < paired:
                for k in range(2 * width):
                    tail[k] = y[at + inside + lag + k] if k < have else np.float32(0.0)
                rest_sums = _differences(w, y, at + inside, tail, 0, 0, paired - inside)
                sums = _add(sums, rest_sums)
            _store(w, target, t * n_lags + lag, sums)


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
