"""Logarithms and norms of spectrogram values, in place."""

from __future__ import annotations

import math

import numpy as np

from featx.kernels.compiling import kernel


@kernel
def log_kernel(S, gain, offset, amin, factor):
    """Replace every value x by ``factor * log10(max(offset + gain * x, amin))``."""
    for t in range(S.shape[0]):
        for k in range(S.shape[1]):
            value = max(offset + gain * S[t, k], amin)
            S[t, k] = factor * math.log10(value)


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
