"""Logarithms, powers and norms of spectrogram values, in place."""

from __future__ import annotations

import math

import numpy as np

from featx.kernels.compiling import kernel
from featx.kernels.vector import vexp2, vload, vlog2, vmax, vmin, vset, vstore

#: The smallest number that has a logarithm, and what makes 3.5 of it.
_TINY, _HUGE = np.float32(1.1754944e-38), np.float32(3e38)
_LOG10_OF_2 = np.float32(math.log10(2.0))


@kernel
def log_kernel(S, gain, offset, amin, factor):
    """Replace every value x by ``factor * log10(max(offset + gain * x, amin))``."""
    for t in range(S.shape[0]):
        for k in range(S.shape[1]):
            value = max(offset + gain * S[t, k], amin)
            S[t, k] = factor * math.log10(value)


@kernel
def lane_log_kernel(w, S, gain, offset, amin, factor, tile):
    """As `log_kernel`; ``tile`` holds a vector, and ``amin`` counts as the smallest number."""
    lanes = len(w)
    flat = S.reshape(S.size)
    g, o, low = vset(w, gain), vset(w, offset), vset(w, max(amin, _TINY))
    f = vset(w, factor * _LOG10_OF_2)
    whole = len(flat) // lanes * lanes
    for at in range(0, whole, lanes):
        vstore(flat, at, vlog2(vmax(o + vload(w, flat, at) * g, low)) * f)
    if whole < len(flat):
        for i in range(lanes):
            tile[i] = flat[whole + i] if whole + i < len(flat) else 0.0
        vstore(tile, 0, vlog2(vmax(o + vload(w, tile, 0) * g, low)) * f)
        for i in range(len(flat) - whole):
            flat[whole + i] = tile[i]


@kernel
def power_law_kernel(S, gain, exponent):
    """Replace every value x >= 0 by ``(gain * x) ** exponent``."""
    for t in range(S.shape[0]):
        for k in range(S.shape[1]):
            S[t, k] = math.pow(np.float64(gain) * S[t, k], exponent)


@kernel
def lane_power_law_kernel(w, S, gain, exponent, tile):
    """As `power_law_kernel` for exponents in 0 … 1, by the logarithm; ``tile`` holds a vector.

    What has no logarithm is taken for 0 little by little: from there on, the second term of the
    minimum is larger than any power of a number.
    """
    lanes = len(w)
    flat = S.reshape(S.size)
    g, e, tiny, huge = vset(w, gain), vset(w, exponent), vset(w, _TINY), vset(w, _HUGE)
    whole = len(flat) // lanes * lanes
    for at in range(0, whole, lanes):
        x = vload(w, flat, at) * g
        vstore(flat, at, vmin(vexp2(e * vlog2(vmax(x, tiny))), x * huge))
    if whole < len(flat):
        for i in range(lanes):
            tile[i] = flat[whole + i] if whole + i < len(flat) else 0.0
        x = vload(w, tile, 0) * g
        vstore(tile, 0, vmin(vexp2(e * vlog2(vmax(x, tiny))), x * huge))
        for i in range(len(flat) - whole):
            flat[whole + i] = tile[i]


@kernel
def normalise_kernel(S, use_max, tiny):
    """Divide every row by its largest value (``use_max``) or length; rows below ``tiny`` stay."""
    for t in range(S.shape[0]):
        size = 0.0
        for k in range(S.shape[1]):
            value = np.float64(S[t, k])
            if use_max:
                size = max(size, abs(value))
            else:
                size += value * value
        if not use_max:
            size = math.sqrt(size)
        if size >= tiny:
            for k in range(S.shape[1]):
                S[t, k] = S[t, k] / size
