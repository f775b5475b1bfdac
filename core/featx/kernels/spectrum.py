"""From complex spectra to bands."""

from __future__ import annotations

import math

import numpy as np

from featx.kernels.compiling import kernel


@kernel
def magnitude_kernel(X, gain, out):
    """Write ``gain * |X|``."""
    for t in range(X.shape[0]):
        for k in range(X.shape[1]):
            re = X[t, k].real
            im = X[t, k].imag
            out[t, k] = gain * math.sqrt(re * re + im * im)


@kernel
def power_kernel(X, gain, out):
    """Write ``(gain * |X|) ** 2``."""
    square = gain * gain
    for t in range(X.shape[0]):
        for k in range(X.shape[1]):
            re = X[t, k].real
            im = X[t, k].imag
            out[t, k] = square * (re * re + im * im)


@kernel
def banded_kernel(S, starts, lengths, offsets, weights, out):
    """Write the weighted sum over every row's run of bins; empty rows give 0.

    Four frames at a time keep four sums in flight, each in the order of its bins.
    """
    n = S.shape[0]
    for t in range(0, n - n % 4, 4):
        for i in range(starts.shape[0]):
            start = starts[i]
            offset = offsets[i]
            a = 0.0
            b = 0.0
            c = 0.0
            d = 0.0
            for j in range(lengths[i]):
                weight = np.float64(weights[offset + j])
                a += weight * S[t, start + j]
                b += weight * S[t + 1, start + j]
                c += weight * S[t + 2, start + j]
                d += weight * S[t + 3, start + j]
            out[t, i] = a
            out[t + 1, i] = b
            out[t + 2, i] = c
            out[t + 3, i] = d
    for t in range(n - n % 4, n):
        for i in range(starts.shape[0]):
            total = 0.0
            for j in range(lengths[i]):
                total += np.float64(weights[offsets[i] + j]) * S[t, starts[i] + j]
            out[t, i] = total


@kernel
def peaks_kernel(S, low, high, floors, places, heights, count):
    """Append place (in bins) and height of every local maximum between two bins; count them.

    A peak of frame t exceeds ``floors[t]`` >= 0; place and height are refined by the parabola
    through it and its neighbours. ``count[0]`` is where to begin, and where the next one goes
    afterwards; one place more than there are peaks is written to.
    """
    at = count[0]
    for t in range(S.shape[0]):
        floor = floors[t]
        begin = at
        # without a branch: in noise, no branch can be foretold
        for k in range(max(low, 1), min(high, S.shape[1] - 1)):
            here = S[t, k]
            places[at] = k
            at += (here > floor) & (here > S[t, k - 1]) & (here >= S[t, k + 1])
        for i in range(begin, at):
            k = np.int64(places[i])
            slope = 0.5 * (S[t, k + 1] - S[t, k - 1])
            bend = S[t, k + 1] + S[t, k - 1] - 2.0 * S[t, k]
            shift = 0.0
            if abs(slope) < abs(bend):
                shift = -slope / bend
            places[i] = k + shift
            heights[i] = S[t, k] + 0.5 * slope * shift
    count[0] = at
