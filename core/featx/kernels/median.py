"""Running medians, and the masks that part harmonic from percussive sound.

Where there are vectors, a network of comparisons takes the medians of as many columns at once
(`networks`); elsewhere a window that is kept sorted.
"""

from __future__ import annotations

import math

import numpy as np

from featx.kernels.compiling import kernel, part
from featx.kernels.networks import LARGER, SMALLER
from featx.kernels.vector import transpose_block, vload, vmax, vmin, vstore

#: The smallest normal float32.
_TINY = np.float32(1.1754943508222875e-38)
_ONE = np.float32(1.0)


@part
def _mirror(i, n):
    """Return where row ``i`` of a signal lies that is mirrored at its ends, ends repeated."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


@part
def _run(w, steps, work):
    """Compute the network's steps on two vectors per row of ``work``."""
    lanes = len(w)
    for s in range(steps.shape[0]):
        what = steps[s, 0]
        a = steps[s, 1] * 2 * lanes
        b = steps[s, 2] * 2 * lanes
        a0, a1 = vload(w, work, a), vload(w, work, a + lanes)
        b0, b1 = vload(w, work, b), vload(w, work, b + lanes)
        if what != LARGER:
            low = steps[s, 3] * 2 * lanes
            vstore(work, low, vmin(a0, b0))
            vstore(work, low + lanes, vmin(a1, b1))
        if what != SMALLER:
            high = steps[s, 4] * 2 * lanes
            vstore(work, high, vmax(a0, b0))
            vstore(work, high + lanes, vmax(a1, b1))


@part
def _filter(w, net, source, pitch, at, count, n, work, target, target_pitch, target_at):
    """Filter ``count`` columns of ``n`` rows; row i begins at ``at + i * pitch``."""
    size, tile, steps, results = net
    lanes = len(w)
    width = 2 * lanes
    for t in range(0, n, tile):
        for i in range(size + tile - 1):
            row = at + _mirror(t + i - size // 2, n) * pitch
            if count == width:
                vstore(work, i * width, vload(w, source, row))
                vstore(work, i * width + lanes, vload(w, source, row + lanes))
            else:
                for j in range(count):
                    work[i * width + j] = source[row + j]
        _run(w, steps, work)
        for i in range(min(tile, n - t)):
            row = results[i] * width
            where = target_at + (t + i) * target_pitch
            if count == width:
                vstore(target, where, vload(w, work, row))
                vstore(target, where + lanes, vload(w, work, row + lanes))
            else:
                for j in range(count):
                    target[where + j] = work[row + j]


@kernel
def median_columns_kernel(w, net, S, work, out):
    """Write the running median down every column of ``S``, 2 x lanes columns at a time."""
    n, pitch = S.shape
    width = 2 * len(w)
    source, target = S.reshape(n * pitch), out.reshape(n * pitch)
    for first in range(0, pitch, width):
        count = min(width, pitch - first)
        _filter(w, net, source, pitch, first, count, n, work, target, pitch, first)


@kernel
def median_rows_kernel(w, net, S, strips, work, out):
    """Write the running median along every row of ``S``, 2 x lanes rows at a time.

    The rows are turned into the columns of the first strip, and back from the second.
    """
    n_rows, n = S.shape
    lanes = len(w)
    width = 2 * lanes
    strip, medians = strips
    source, target = S.reshape(n_rows * n), out.reshape(n_rows * n)
    for first in range(0, n_rows, width):
        count = min(width, n_rows - first)
        whole = n - n % lanes if count == width else 0
        for k in range(0, whole, lanes):
            for half in range(0, width, lanes):
                at = (first + half) * n + k
                transpose_block(w, source, at, n, strip, half, width, k)
        for k in range(whole, n):
            for j in range(count):
                strip[k * width + j] = S[first + j, k]
        _filter(w, net, strip, width, 0, width, n, work, medians, width, 0)
        for k in range(0, whole, lanes):
            for half in range(0, width, lanes):
                at = (first + half) * n + k
                transpose_block(w, medians, k * width + half, width, target, at, n, 0)
        for k in range(whole, n):
            for j in range(count):
                out[first + j, k] = medians[k * width + j]


@kernel
def sorted_median_kernel(S, size, rank, window, out):
    """Write the running median along every row of ``S``, from a window that is kept sorted."""
    n_rows, n = S.shape
    half = size // 2
    for r in range(n_rows):
        for i in range(size):
            value = S[r, _mirror(i - half, n)]
            j = i
            while j > 0 and window[j - 1] > value:
                window[j] = window[j - 1]
                j -= 1
            window[j] = value
        out[r, 0] = window[rank]
        for t in range(1, n):
            _replace(window, S[r, _mirror(t - 1 - half, n)], S[r, _mirror(t - 1 - half + size, n)])
            out[r, t] = window[rank]


@part
def _replace(window, old, new):
    """Put ``new`` in the place of ``old`` into a sorted window."""
    low, high = 0, window.shape[0]
    while low < high:
        middle = (low + high) // 2
        if window[middle] < old:
            low = middle + 1
        else:
            high = middle
    while low + 1 < window.shape[0] and window[low + 1] < new:
        window[low] = window[low + 1]
        low += 1
    while low > 0 and window[low - 1] > new:
        window[low] = window[low - 1]
        low -= 1
    window[low] = new


@kernel
def soft_masks_kernel(harmonic, percussive, margins, power, unheard, masks):
    """Write the shares ``x**power / (x**power + (margin * other)**power)`` of both.

    Where both are below the smallest normal float32, the share is ``unheard``. Infinite ``power``
    gives 1 where x is larger, else 0.
    """
    if math.isinf(power):
        for i in range(harmonic.shape[0]):
            masks[0, i] = harmonic[i] > margins[0] * percussive[i]
            masks[1, i] = percussive[i] > margins[1] * harmonic[i]
        return
    for i in range(harmonic.shape[0]):
        h, p = harmonic[i], percussive[i]
        x, y = margins[0] * p, margins[1] * h
        x = max(h, x)
        y = max(p, y)
        heard, struck = x >= _TINY, y >= _TINY
        x = _ONE / (x if heard else _ONE)
        y = _ONE / (y if struck else _ONE)
        a, b = h * x, margins[0] * p * x
        c, d = p * y, margins[1] * h * y
        if power == 2.0:
            a, b, c, d = a * a, b * b, c * c, d * d
        elif power != 1.0:
            a, b = np.float32(a**power), np.float32(b**power)
            c, d = np.float32(c**power), np.float32(d**power)
        # the larger of each two is 1, unless both are unheard
        masks[0, i] = a / (a + b if heard else _ONE) if heard else unheard
        masks[1, i] = c / (c + d if struck else _ONE) if struck else unheard


@kernel
def weigh_kernel(X, weights, out):
    """Write complex ``X`` times each of two rows of ``weights``."""
    for i in range(X.shape[0]):
        out[0, i] = X[i] * weights[0, i]
        out[1, i] = X[i] * weights[1, i]
