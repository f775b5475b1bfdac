"""Derivatives over time."""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel

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
