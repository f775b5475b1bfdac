"""Cosine transforms of bands, and derivatives over time."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from featx.frontend.filters import BandedBank
from featx.types import DoubleArray, FloatArray


@lru_cache(maxsize=64)
def _cosines(n_mfcc: int, n_bands: int, lifter: float) -> FloatArray:
    """Return the orthonormal DCT-II rows 0 … n_mfcc - 1, liftered, (n_mfcc, n_bands)."""
    k = np.arange(n_mfcc)[:, np.newaxis]
    basis = np.sqrt(2.0 / n_bands) * np.cos(
        np.pi * k * (2 * np.arange(n_bands) + 1) / (2 * n_bands)
    )
    basis[0] /= np.sqrt(2.0)
    if lifter > 0:
        basis *= 1.0 + (lifter / 2.0) * np.sin(np.pi * (k + 1) / lifter)
    return np.asarray(basis, dtype=np.float32)


@lru_cache(maxsize=64)
def _columns(n_mfcc: int, n_bands: int, lifter: float, lanes: int) -> FloatArray:
    """Return them as columns, up to the next multiple of ``lanes`` with zeros."""
    padded = np.zeros((n_bands, -(-n_mfcc // lanes) * lanes), dtype=np.float32)
    padded[:, :n_mfcc] = _cosines(n_mfcc, n_bands, lifter).T
    return padded


def cepstrum(S: FloatArray, lifter: float, *, out: FloatArray) -> None:
    """Write the first coefficients of ``S`` (n, n_bands), as many as ``out`` has columns."""
    from featx.kernels.vector import lanes

    (n, n_bands), n_mfcc, count = S.shape, out.shape[1], lanes()
    if n == 0:
        return
    if count:
        from featx.kernels.cepstrum import lane_cosine_kernel
        from featx.kernels.plan import workspaces
        from featx.kernels.vector import marker

        (tile,) = workspaces.take((8 * count,))
        basis = _columns(n_mfcc, n_bands, lifter, count)
        lane_cosine_kernel(marker(count), S, basis, tile, out)
    else:
        from featx.kernels.spectrum import banded_kernel

        bank = BandedBank.from_dense(_cosines(n_mfcc, n_bands, lifter))
        banded_kernel(S, *bank.arrays, out)


def derivative(x: FloatArray, *, width: int, order: int) -> FloatArray:
    """Return the derivative over time of polynomials fitted to ``width`` frames around each.

    Fewer frames than ``width`` take the largest odd number there is; fewer than a polynomial of
    that degree needs give zeros.
    """
    from featx.kernels.vector import lanes

    frames = fitted_frames(width, len(x))
    if frames <= order:
        return np.zeros_like(x)
    out, count = np.empty_like(x), lanes()
    weights = _derivative_weights(frames, order)
    if count:
        from featx.kernels.cepstrum import lane_derivative_kernel
        from featx.kernels.vector import marker

        lane_derivative_kernel(marker(count), x, weights, out)
    else:
        from featx.kernels.cepstrum import derivative_kernel

        derivative_kernel(x, weights, out)
    return out


def fitted_frames(width: int, n_frames: int) -> int:
    """Return how many frames polynomials are fitted to in a recording of ``n_frames``."""
    return min(width, n_frames - 1 + n_frames % 2)


def append_derivatives(
    static: FloatArray, width: int, orders: int, rows: slice, *, out: FloatArray
) -> None:
    """Write ``rows`` of ``static``, and behind them those of its derivatives, into ``out``."""
    dim = static.shape[1]
    out[:, :dim] = static[rows]
    for order in range(1, orders + 1):
        columns = out[:, order * dim : (order + 1) * dim]
        columns[:] = derivative(static, width=width, order=order)[rows]


@lru_cache(maxsize=64)
def _derivative_weights(frames: int, order: int) -> DoubleArray:
    """Return what gives the derivative, in the middle, of a polynomial of that degree."""
    places = np.arange(frames) - frames // 2
    fit = np.linalg.pinv(np.vander(places.astype(np.float64), order + 1))
    weights: DoubleArray = math.factorial(order) * fit[0]
    return weights
