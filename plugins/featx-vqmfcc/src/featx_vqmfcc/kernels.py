"""The nearest codewords of frames, exactly: float32 scores, decided in float64 where they are near.

A lane is a frame. The score of codeword c for frame x is ||c||^2 / 2 - x c, which orders codewords
as their distance does. Scores that differ by less than their rounding error are compared again by
the distance in float64, so that labels depend on neither machine, block nor number of lanes.
"""

from __future__ import annotations

import numpy as np

from featx.kernels import kernel, part
from featx.kernels.vector import lowest_bit, vfma, vgreater, vload, vmin, vspread, vstore

#: Codewords and vectors of frames that a tile holds in registers.
WORDS, VECTORS = 4, 2


@part
def _distance(X, t, codewords, k):
    total = 0.0
    for d in range(X.shape[1]):
        difference = np.float64(X[t, d]) - np.float64(codewords[k, d])
        total += difference * difference
    return total


@part
def _take(w, k, limits, at, scores, margins, X, codewords, labels):
    """Let codewords from ``k`` on replace the labels of the frames to which they are nearer."""
    lanes = len(w)
    for i in range(4):
        bits = vgreater(vload(w, limits, at), vload(w, scores, i * lanes))
        while bits:
            lane = lowest_bit(bits)
            bits &= bits - 1
            t = at + lane
            score, margin = scores[i * lanes + lane], margins[t]
            if score < limits[t] - 2 * margin or (
                _distance(X, t, codewords, k + i) < _distance(X, t, codewords, labels[t])
            ):
                labels[t] = k + i
                limits[t] = score + margin


@kernel
def assign_kernel(w, X, columns, codewords, negated, halves, margins, limits, scores, labels):
    """Write the number of the nearest codeword of every row of ``X``, the lowest of equals.

    ``columns`` is ``X`` transposed, ``negated`` the codewords times -1, both flat. ``columns`` and
    ``limits`` have room for whole tiles, ``scores`` for one codeword after the other.
    """
    n, dim = X.shape
    lanes = len(w)
    pitch = limits.shape[0]
    for at in range(0, n, 2 * lanes):
        other = at + lanes
        for k in range(0, halves.shape[0], 4):
            a0 = vspread(w, halves, k)
            a1 = vspread(w, halves, k + 1)
            a2 = vspread(w, halves, k + 2)
            a3 = vspread(w, halves, k + 3)
            b0, b1, b2, b3 = a0, a1, a2, a3
            for d in range(dim):
                a = vload(w, columns, d * pitch + at)
                b = vload(w, columns, d * pitch + other)
                word = vspread(w, negated, k * dim + d)
                a0, b0 = vfma(a, word, a0), vfma(b, word, b0)
                word = vspread(w, negated, (k + 1) * dim + d)
                a1, b1 = vfma(a, word, a1), vfma(b, word, b1)
                word = vspread(w, negated, (k + 2) * dim + d)
                a2, b2 = vfma(a, word, a2), vfma(b, word, b2)
                word = vspread(w, negated, (k + 3) * dim + d)
                a3, b3 = vfma(a, word, a3), vfma(b, word, b3)
            if vgreater(vload(w, limits, at), vmin(vmin(a0, a1), vmin(a2, a3))):
                vstore(scores, 0, a0)
                vstore(scores, lanes, a1)
                vstore(scores, 2 * lanes, a2)
                vstore(scores, 3 * lanes, a3)
                _take(w, k, limits, at, scores, margins, X, codewords, labels)
            if vgreater(vload(w, limits, other), vmin(vmin(b0, b1), vmin(b2, b3))):
                vstore(scores, 0, b0)
                vstore(scores, lanes, b1)
                vstore(scores, 2 * lanes, b2)
                vstore(scores, 3 * lanes, b3)
                _take(w, k, limits, other, scores, margins, X, codewords, labels)


@kernel
def nearest_kernel(X, codewords, distances, labels):
    """Write the numbers of the nearest codewords of every row, nearest first, and their distances.

    Squared distances in float64, one pair at a time; of equals the lowest number comes first.
    """
    n, dim = X.shape
    count = labels.shape[1]
    for t in range(n):
        for place in range(count):
            distances[t, place] = np.inf
        for k in range(codewords.shape[0]):
            total = 0.0
            for d in range(dim):
                difference = np.float64(X[t, d]) - np.float64(codewords[k, d])
                total += difference * difference
            place = count
            while place > 0 and total < distances[t, place - 1]:
                place -= 1
                if place + 1 < count:
                    distances[t, place + 1] = distances[t, place]
                    labels[t, place + 1] = labels[t, place]
            if place < count:
                distances[t, place] = total
                labels[t, place] = k
