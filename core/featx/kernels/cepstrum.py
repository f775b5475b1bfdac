"""Cosine transforms of bands, and derivatives over time."""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel
from featx.kernels.vector import vfma, vload, vset, vspread, vstore

#: Values per round: input and output of a round stay in the L1 cache.
_CHUNK = 1024


@kernel
def derivative_kernel(x, weights, out):
    """Write the sum of ``weights`` times the frames around every frame.

    The first and last ``len(weights) // 2`` frames get the value of the nearest complete window: a
    polynomial of degree d has a constant d-th derivative. Needs ``len(x) >= len(weights)``.
    """
    n, dim = x.shape
    size = weights.shape[0]
    half = size // 2
    # frame after frame in memory, so that a shift in time is one in the flat array: the inner loop
    # runs over as many values as the cache likes and becomes vector code
    flat, target = x.reshape(n * dim), out.reshape(n * dim)
    stop = (n - half) * dim
    for start in range(half * dim, stop, _CHUNK):
        end = min(start + _CHUNK, stop)
        for i in range(start, end):
            target[i] = 0.0
        for j in range(size):
            weight = np.float32(weights[j])
            shift = (j - half) * dim
            for i in range(start, end):
                target[i] += weight * flat[i + shift]
    for t in range(half):
        for k in range(dim):
            out[t, k] = out[half, k]
            out[n - 1 - t, k] = out[n - 1 - half, k]


@kernel
def lane_derivative_kernel(w, x, weights, out):
    """As `derivative_kernel`, ``lanes`` values at a time whose sums stay in registers."""
    n, dim = x.shape
    size = weights.shape[0]
    half = size // 2
    lanes = len(w)
    flat, target = x.reshape(n * dim), out.reshape(n * dim)
    first, stop = half * dim, (n - half) * dim
    i = first
    while i + 4 * lanes <= stop:
        a = b = c = d = vset(w, 0.0)
        at = i - half * dim
        for j in range(size):
            weight = vset(w, weights[j])
            a = vfma(vload(w, flat, at), weight, a)
            b = vfma(vload(w, flat, at + lanes), weight, b)
            c = vfma(vload(w, flat, at + 2 * lanes), weight, c)
            d = vfma(vload(w, flat, at + 3 * lanes), weight, d)
            at += dim
        vstore(target, i, a)
        vstore(target, i + lanes, b)
        vstore(target, i + 2 * lanes, c)
        vstore(target, i + 3 * lanes, d)
        i += 4 * lanes
    while i < stop:  # what is left, and perhaps some once more
        i = min(i, stop - lanes)
        if i < first:
            break
        a = vset(w, 0.0)
        for j in range(size):
            a = vfma(vload(w, flat, i + (j - half) * dim), vset(w, weights[j]), a)
        vstore(target, i, a)
        i += lanes
    if stop - first < lanes:
        for k in range(first, stop):
            total = 0.0
            for j in range(size):
                total += weights[j] * flat[k + (j - half) * dim]
            target[k] = total
    for t in range(half):
        for k in range(dim):
            out[t, k] = out[half, k]
            out[n - 1 - t, k] = out[n - 1 - half, k]


@kernel
def lane_cosine_kernel(w, bands, basis, tile, out):
    """Write ``bands`` (n, m) times ``basis`` (m, a multiple of lanes) to ``out``, without padding.

    A lane is a coefficient; ``tile`` holds 8 x lanes values. Eight frames at a time keep eight sums
    in flight; what one frame gets depends on no other.
    """
    n, m = bands.shape
    lanes = len(w)
    dim = out.shape[1]
    width = basis.shape[1]
    x, rows = bands.reshape(n * m), basis.reshape(m * width)
    for t in range(0, n, 8):
        # beyond the end, the last frame once more
        p0, p1 = t * m, min(t + 1, n - 1) * m
        p2, p3 = min(t + 2, n - 1) * m, min(t + 3, n - 1) * m
        p4, p5 = min(t + 4, n - 1) * m, min(t + 5, n - 1) * m
        p6, p7 = min(t + 6, n - 1) * m, min(t + 7, n - 1) * m
        for low in range(0, width, lanes):
            a = b = c = d = e = f = g = h = vset(w, 0.0)
            at = low
            for j in range(m):
                row = vload(w, rows, at)
                a = vfma(vspread(w, x, p0 + j), row, a)
                b = vfma(vspread(w, x, p1 + j), row, b)
                c = vfma(vspread(w, x, p2 + j), row, c)
                d = vfma(vspread(w, x, p3 + j), row, d)
                e = vfma(vspread(w, x, p4 + j), row, e)
                f = vfma(vspread(w, x, p5 + j), row, f)
                g = vfma(vspread(w, x, p6 + j), row, g)
                h = vfma(vspread(w, x, p7 + j), row, h)
                at += width
            vstore(tile, 0, a)
            vstore(tile, lanes, b)
            vstore(tile, 2 * lanes, c)
            vstore(tile, 3 * lanes, d)
            vstore(tile, 4 * lanes, e)
            vstore(tile, 5 * lanes, f)
            vstore(tile, 6 * lanes, g)
            vstore(tile, 7 * lanes, h)
            for i in range(min(8, n - t)):
                for k in range(min(lanes, dim - low)):
                    out[t + i, low + k] = tile[i * lanes + k]
