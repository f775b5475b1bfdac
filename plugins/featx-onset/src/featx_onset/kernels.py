"""Kernels: bands of a gammatone filter bank, correntropy, and the fitness of pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from featx.kernels import kernel


@kernel
def envelope_kernel(
    y: Any, hop_length: int, bands: Any, lowpass: Any, state: Any, out: Any
) -> None:
    """Write the envelopes of gammatone bands, frame t after sample ``t * hop_length``.

    ``bands`` (3, n_bands) are pole (real, imaginary) and gain of every band, ``lowpass`` (3,) the
    gain and the two feedback coefficients of a second-order low-pass with a double zero at Nyquist;
    ``state`` (10, n_bands) is zero. Behind its end the signal is zero.
    """
    n_bands = out.shape[1]
    gain, back1, back2 = lowpass[0], lowpass[1], lowpass[2]
    i = 0
    for t in range(out.shape[0]):
        while i <= t * hop_length:
            x = 0.0
            if i < y.shape[0]:
                x = float(y[i])
            for c in range(n_bands):
                re, im = bands[0, c], bands[1, c]
                a = bands[2, c] * x + re * state[0, c] - im * state[1, c]
                b = re * state[1, c] + im * state[0, c]
                state[0, c] = a
                state[1, c] = b
                p = a + re * state[2, c] - im * state[3, c]
                q = b + re * state[3, c] + im * state[2, c]
                state[2, c] = p
                state[3, c] = q
                a = p + re * state[4, c] - im * state[5, c]
                b = q + re * state[5, c] + im * state[4, c]
                state[4, c] = a
                state[5, c] = b
                p = a + re * state[6, c] - im * state[7, c]
                state[7, c] = b + re * state[7, c] + im * state[6, c]
                state[6, c] = p
                rectified = gain * max(p, 0.0)
                # transposed direct form: the last output is kept in place of a third state
                smooth = rectified + state[8, c]
                state[8, c] = 2.0 * rectified - back1 * smooth + state[9, c]
                state[9, c] = rectified - back2 * smooth
                if i == t * hop_length:
                    out[t, c] = max(smooth, 0.0)
            i += 1


@kernel
def correntropy_kernel(X: Any, weights: Any, lag: int, sigma: float, spread: int, out: Any) -> None:
    """Write change, rise and fall between the frames ``lag`` apart around every frame.

    A band adds its weight times one minus the Gaussian of its difference. For rises the earlier
    frame, for falls the later one is the maximum over ``spread`` bands to either side. Frames with
    less than half a lag before or behind them are left alone.
    """
    n_bands = X.shape[1]
    scale = -0.5 / (sigma * sigma)
    for t in range(X.shape[0] - lag):
        up, down = 0.0, 0.0
        for c in range(n_bands):
            before, now = X[t, c], X[t + lag, c]
            most_before, most_now = before, now
            for k in range(max(0, c - spread), min(n_bands, c + spread + 1)):
                most_before = max(most_before, X[t, k])
                most_now = max(most_now, X[t + lag, k])
            rise, fall = now - most_before, before - most_now
            if rise > 0.0:
                up += weights[c] * -math.expm1(scale * rise * rise)
            if fall > 0.0:
                down += weights[c] * -math.expm1(scale * fall * fall)
        middle = t + (lag + 1) // 2
        out[middle, 0] = up + down
        out[middle, 1] = up
        out[middle, 2] = down


@kernel
def fitness_kernel(
    d: Any, onsets: Any, offsets: Any, shortest: int, longest: int, template: Any, penalty: float,
    first: Any, out: Any,
) -> None:  # fmt: skip
    """Write the fitness of all pairs of an onset and an offset that are as far apart as allowed.

    ``d`` (n, 3) is change, rise and fall; ``onsets`` and ``offsets`` are frames. The pairs of onset
    k are in ``out`` (n_pairs, 3) from ``first[k]`` on: frame of the onset, of the offset, fitness.
    """
    size = template.shape[0]
    mean_h, square_h = 0.0, 0.0
    for k in range(size):
        mean_h += template[k] / size
    for k in range(size):
        square_h += (template[k] - mean_h) ** 2
    low, high = size // 5, size - size // 5
    for k in range(onsets.shape[0]):
        i, row = onsets[k], first[k]
        for m in range(offsets.shape[0]):
            j = offsets[m]
            if j - i < shortest or j - i > longest:
                continue
            total, square, product, middle = 0.0, 0.0, 0.0, 0.0
            for u in range(size):
                place = i + (j - i) * u / (size - 1.0)
                t = min(int(place), j - 1)
                value = d[t, 0] + (place - t) * (d[t + 1, 0] - d[t, 0])
                total += value
                square += value * value
                product += value * (template[u] - mean_h)
                if low <= u < high:
                    middle += value / (high - low)
            spread = square - total * total / size
            likeness = 0.0
            if spread > 1e-12:
                likeness = product / math.sqrt(spread * square_h)
            out[row, 0] = i
            out[row, 1] = j
            out[row, 2] = likeness * math.sqrt(d[i, 1] * d[j, 2]) - penalty * middle
            row += 1


@kernel
def schedule_kernel(gains: Any, before: Any, best: Any, chosen: Any) -> None:
    """Mark the intervals of the largest total gain; they are sorted by end.

    ``before[k]`` is how many intervals from the first on may go with interval k; ``best`` has a
    place more than there are intervals.
    """
    best[0] = 0.0
    for k in range(gains.shape[0]):
        best[k + 1] = max(best[k], best[before[k]] + gains[k])
        chosen[k] = False
    k = gains.shape[0]
    while k > 0:
        if best[k] > best[k - 1]:
            chosen[k - 1] = True
            k = before[k - 1]
        else:
            k -= 1


@kernel
def autocorrentropy_kernel(
    x: Any, starts: Any, width: int, lags: Any, sigma: float, out: Any
) -> None:
    """Write the mean Gaussian of ``x[i] - x[i - lag]`` over ``width`` samples from every start."""
    scale = -0.5 / (sigma * sigma)
    for t in range(starts.shape[0]):
        for m in range(lags.shape[0]):
            total = 0.0
            for i in range(starts[t], starts[t] + width):
                difference = x[i] - x[i - lags[m]]
                total += math.exp(scale * difference * difference)
            out[t, m] = np.float32(total / width)
