"""Derivatives over time."""

from __future__ import annotations

from featx.kernels.compiling import kernel


@kernel
def derivative_kernel(x, weights, out):
    """Write the sum of ``weights`` times the frames around every frame.

    The first and last ``len(weights) // 2`` frames get the value of the nearest complete window: a
    polynomial of degree d has a constant d-th derivative. Needs ``len(x) >= len(weights)``.
    """
    n = x.shape[0]
    half = weights.shape[0] // 2
    for t in range(n):
        centre = min(max(t, half), n - 1 - half)
        for k in range(x.shape[1]):
            total = 0.0
            for j in range(weights.shape[0]):
                total += weights[j] * x[centre - half + j, k]
            out[t, k] = total
