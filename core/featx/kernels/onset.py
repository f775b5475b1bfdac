"""Rises of energy from frame to frame, and their peaks."""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel, part


@kernel
def maximum_kernel(S, size, out):
    """Write the largest of ``size`` neighbouring bins, ``size // 2`` of them below."""
    n = S.shape[1]
    for t in range(S.shape[0]):
        source, target = S[t], out[t]
        for k in range(n):
            target[k] = source[k]
        for shift in range(-(size // 2), size - size // 2):
            # mirrored bins beyond the ends are in the window anyway
            for k in range(max(0, -shift), min(n, n - shift)):
                value = source[k + shift]
                target[k] = max(target[k], value)


@kernel
def flux_kernel(S, ref, lag, scale, out):
    """Write ``scale`` times the sum of what the bins rise above ``ref``, ``lag`` frames earlier.

    The first ``lag`` frames get 0. Four frames at a time keep four sums in flight.
    """
    n = S.shape[0]
    zero = np.float32(0.0)
    for t in range(min(lag, n)):
        out[t] = zero
    whole = lag + (n - lag) // 4 * 4
    for t in range(lag, whole, 4):
        a = 0.0
        b = 0.0
        c = 0.0
        d = 0.0
        for k in range(S.shape[1]):
            a += max(S[t, k] - ref[t - lag, k], zero)
            b += max(S[t + 1, k] - ref[t + 1 - lag, k], zero)
            c += max(S[t + 2, k] - ref[t + 2 - lag, k], zero)
            d += max(S[t + 3, k] - ref[t + 3 - lag, k], zero)
        out[t] = scale * a
        out[t + 1] = scale * b
        out[t + 2] = scale * c
        out[t + 3] = scale * d
    for t in range(max(lag, whole), n):
        total = 0.0
        for k in range(S.shape[1]):
            total += max(S[t, k] - ref[t - lag, k], zero)
        out[t] = scale * total


@kernel
def median_flux_kernel(S, ref, lag, rises, out):
    """Write the median of the rises that `flux_kernel` sums; ``rises`` has a place per bin."""
    n, n_bins = S.shape
    zero = np.float32(0.0)
    for t in range(min(lag, n)):
        out[t] = zero
    for t in range(lag, n):
        for k in range(n_bins):
            rises[k] = max(S[t, k] - ref[t - lag, k], zero)
        upper = _select(rises, n_bins // 2)
        if n_bins % 2 == 0:
            lower = rises[0]
            for k in range(1, n_bins // 2):
                lower = max(lower, rises[k])
            upper = np.float32(0.5) * (lower + upper)
        out[t] = upper


@part
def _select(values, rank):
    """Return the value that ``rank`` others do not exceed, and part the array around it."""
    low, high = 0, values.shape[0] - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return values[rank]


@kernel
def detrend_kernel(x, pole):
    """Replace ``x`` by ``x[t] - x[t - 1] + pole * (value before)``: a mean of zero, in place."""
    before = 0.0
    value = 0.0
    for t in range(x.shape[0]):
        here = np.float64(x[t])
        value = here - before + pole * value
        before = here
        x[t] = value


@kernel
def pick_kernel(x, pre_max, post_max, pre_avg, post_avg, delta, wait, peaks, count):
    """Append the frames that are peaks and say in ``count[0]`` how many there are.

    A peak is the largest of ``x[t - pre_max : t + post_max]``, is no less than ``delta`` above the
    mean of ``x[t - pre_avg : t + post_avg]``, and comes more than ``wait`` frames after the last.
    """
    n = x.shape[0]
    t = 0
    n_peaks = 0
    while t < n:
        here = x[t]
        largest = True
        for i in range(max(0, t - pre_max), min(n, t + post_max)):
            largest &= x[i] <= here
        t += 1
        if not largest:
            continue
        total = 0.0
        first, last = max(0, t - 1 - pre_avg), min(n, t - 1 + post_avg)
        for i in range(first, last):
            total += x[i]
        if here >= total / (last - first) + delta:
            peaks[n_peaks] = t - 1
            n_peaks += 1
            t += wait
    count[0] = n_peaks
