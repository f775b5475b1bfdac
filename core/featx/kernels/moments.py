"""Statistics over time, piece by piece.

A piece of a recording and all that came before it are described alike: by an array of float64 with
one row per quantity, as named here, and one column per band.
"""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel

#: Rows: number of frames; their mean and summed squared deviation from it; extremes; the same of
#: the differences between neighbours; the first and the last frame.
COUNT, MEAN, SPREAD, LEAST, MOST = 0, 1, 2, 3, 4
RISES, RISE_MEAN, RISE_SPREAD, FIRST, LAST = 5, 6, 7, 8, 9
ROWS = 10


@kernel
def moments_kernel(x, extremes, rises, out):
    """Describe the frames ``x``, one at least, in ``out`` (`ROWS`, dim).

    Sums are of deviations from the first frame: a constant has none at all, and little is lost
    where they are small beside the values. Four frames at a time go into them.
    """
    n, dim = x.shape
    whole = n - n % 4
    out[:] = 0.0
    mean, spread, least, most, first = out[MEAN], out[SPREAD], out[LEAST], out[MOST], out[FIRST]
    for k in range(dim):
        first[k] = x[0, k]
    for t in range(0, whole, 4):
        for k in range(dim):
            a, b = x[t, k] - first[k], x[t + 1, k] - first[k]
            c, d = x[t + 2, k] - first[k], x[t + 3, k] - first[k]
            mean[k] += (a + b) + (c + d)
            spread[k] += (a * a + b * b) + (c * c + d * d)
    for t in range(whole, n):
        for k in range(dim):
            a = x[t, k] - first[k]
            mean[k] += a
            spread[k] += a * a
    for k in range(dim):
        shift = mean[k] / n
        spread[k] = max(spread[k] - mean[k] * shift, 0.0)
        mean[k] = first[k] + shift
        out[COUNT, k] = n
        out[LAST, k] = x[n - 1, k]
    if extremes:
        for k in range(dim):
            least[k] = x[0, k]
            most[k] = x[0, k]
        for t in range(1, n):
            for k in range(dim):
                least[k] = min(least[k], x[t, k])
                most[k] = max(most[k], x[t, k])
    if rises and n > 1:
        for k in range(dim):
            out[RISES, k] = n - 1
            out[RISE_MEAN, k] = (out[LAST, k] - out[FIRST, k]) / (n - 1)
        for t in range(1, n):
            for k in range(dim):
                rise = np.float64(x[t, k]) - np.float64(x[t - 1, k]) - out[RISE_MEAN, k]
                out[RISE_SPREAD, k] += rise * rise


@kernel
def fold_kernel(piece, total):
    """Take the ``piece`` that comes next into ``total``, whose count is 0 at the beginning."""
    for k in range(total.shape[1]):
        if total[COUNT, k] == 0.0:
            for row in range(ROWS):
                total[row, k] = piece[row, k]
            continue
        # the difference across the cut counts like a piece of its own
        cut = piece[FIRST, k] - total[LAST, k]
        _join(total, k, RISES, 1.0, cut, 0.0)
        _join(total, k, RISES, piece[RISES, k], piece[RISE_MEAN, k], piece[RISE_SPREAD, k])
        _join(total, k, COUNT, piece[COUNT, k], piece[MEAN, k], piece[SPREAD, k])
        total[LEAST, k] = min(total[LEAST, k], piece[LEAST, k])
        total[MOST, k] = max(total[MOST, k], piece[MOST, k])
        total[LAST, k] = piece[LAST, k]


@kernel
def _join(total, k, at, count, mean, spread):
    """Join mean and spread of ``count`` values with those that begin at row ``at`` (Chan 1983)."""
    before = total[at, k]
    together = before + count
    if count > 0.0:
        step = mean - total[at + 1, k]
        total[at, k] = together
        total[at + 1, k] += step * (count / together)
        total[at + 2, k] += spread + step * step * (before * count / together)
