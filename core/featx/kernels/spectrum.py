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
def peaks_kernel(S, low, high, threshold, places, heights):
    """Write the place (in bins) and height of every local maximum between two bins, else 0.

    A peak exceeds ``threshold`` times the maximum of its frame; place and height are refined by
    the parabola through it and its neighbours.
    """
    n_bins = S.shape[1]
    for t in range(S.shape[0]):
        top = 0.0
        for k in range(n_bins):
            places[t, k] = 0.0
            heights[t, k] = 0.0
            top = max(top, S[t, k])
        floor = threshold * top
        for k in range(max(low, 1), min(high, n_bins - 1)):
            here = S[t, k]
            before = S[t, k - 1] if S[t, k - 1] > floor else 0.0
            after = S[t, k + 1] if S[t, k + 1] > floor else 0.0
            if here > floor and here > before and here >= after:
                slope = 0.5 * (S[t, k + 1] - S[t, k - 1])
                bend = S[t, k + 1] + S[t, k - 1] - 2.0 * here
                shift = 0.0
                if abs(slope) < abs(bend):
                    shift = -slope / bend
                places[t, k] = k + shift
                heights[t, k] = here + 0.5 * slope * shift
