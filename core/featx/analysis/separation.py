"""Harmonic and percussive parts of a spectrogram by running medians."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.checks import check_array, frozen
from featx.types import AnyArray, FloatArray

#: Networks for larger windows take longer to make than a window that is kept sorted takes.
_LARGEST_NETWORK = 1024


def median_filter(S: FloatArray, *, kernel_size: int = 31, axis: int = 0) -> FloatArray:
    """Return the running median along one axis of a matrix, mirrored at the ends.

    Values are those of ``scipy.ndimage.median_filter`` in its ``reflect`` mode, bit by bit: the
    median of an even number of values is the upper one, and beyond its ends the matrix is mirrored
    with the last value repeated.

    Parameters
    ----------
    S : float32 array, shape (n_frames, n_bins)
        Anything without NaN; left untouched.
    kernel_size : int > 0
        Values in a window, ``kernel_size // 2`` of them before the place it is for.
    axis : {0, 1}
        0 filters over time, 1 over bins.

    Returns
    -------
    float32 array, shape (n_frames, n_bins)
    """
    S = check_array("S", S)
    if axis not in (0, 1):
        raise ParameterError(f"axis must be 0 or 1, got {axis!r}.")
    _check_size(kernel_size)
    if S.size and np.isnan(S.min()):
        raise ParameterError(f"S must be free of NaN, got {np.count_nonzero(np.isnan(S))}.")
    return _medians(S, kernel_size, axis)


def hpss(
    S: AnyArray,
    *,
    kernel_size: int | tuple[int, int] = 31,
    power: float = 2.0,
    margin: float | tuple[float, float] = 1.0,
    mask: bool = False,
) -> tuple[AnyArray, AnyArray]:
    """Part a spectrogram into what lasts and what strikes, as librosa's ``decompose.hpss`` does.

    Medians over time keep partials, medians over bins keep strokes; soft masks share out every
    value between the two.

    Parameters
    ----------
    S : float32 or complex64 array, shape (n_frames, n_bins)
        Magnitudes, or an `stft`, whose phases both parts keep. Finite; left untouched.
    kernel_size : int > 0 or pair of int > 0
        Frames of the median over time, bins of the median over bins; one number for both.
    power : float > 0
        Exponent of the masks; infinite for hard masks of 0 and 1, 0 for both where they are equal.
    margin : float >= 1 or pair of float >= 1
        How much stronger the harmonic, and the percussive, median must be. Above 1 the two parts do
        not add up to ``S``: the rest is neither.
    mask : bool
        Return the masks in place of the parts.

    Returns
    -------
    harmonic, percussive : arrays of the shape and dtype of ``S``
        With ``mask``, float32 shares within 0..1. Where both medians are zero, soft masks are 0.5,
        or 0 if a margin is above 1.

    References
    ----------
    Fitzgerald. "Harmonic/percussive separation using median filtering". DAFx, 2010.
    Driedger, Müller, Disch. "Extending harmonic-percussive separation of audio". ISMIR, 2014.
    """
    from featx.kernels.median import weigh_kernel

    sizes, margins = _pair("kernel_size", kernel_size), _pair("margin", margin)
    for size in sizes:
        _check_size(size)
    if not all(1.0 <= value < math.inf for value in margins):
        raise ParameterError(f"margin must be a finite number >= 1, got {margin!r}.")
    if not power > 0:
        raise ParameterError(f"power must be a number > 0, got {power!r}.")
    magnitudes = _magnitudes(S)
    shares = _shares(magnitudes, sizes, power, margins)
    if mask:
        parts = shares
    elif S.dtype == np.complex64:
        parts = np.empty(shares.shape, np.complex64)
        weigh_kernel(np.ascontiguousarray(S).ravel(), shares.reshape(2, -1), parts.reshape(2, -1))
    else:
        parts = np.multiply(S, shares, out=shares)
    return parts[0], parts[1]


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ParameterError(f"{name} must be one number or a pair, got {value!r}.")
    return pair


def _check_size(size: Any) -> None:
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
        raise ParameterError(f"kernel_size must be an integer > 0, got {size!r}.")


def _magnitudes(S: AnyArray) -> FloatArray:
    """Return |S| as a contiguous array, after checking ``S``."""
    from featx.kernels.spectrum import magnitude_kernel

    if S.ndim != 2 or S.dtype not in (np.float32, np.complex64):
        raise ParameterError(
            "S must be a two-dimensional float32 or complex64 array, "
            f"got shape {S.shape}, dtype {S.dtype}."
        )
    magnitudes = np.ascontiguousarray(S)
    if S.dtype == np.complex64:
        X, magnitudes = magnitudes, np.empty(S.shape, np.float32)
        magnitude_kernel(X, np.float32(1.0), magnitudes)
    if S.size and not (magnitudes.min() >= 0.0 and magnitudes.max() < math.inf):
        raise ParameterError(
            "S must be finite, and >= 0 unless complex, "
            f"got {magnitudes.min():g} to {magnitudes.max():g}."
        )
    return magnitudes


def _shares(
    magnitudes: FloatArray,
    sizes: tuple[int, int],
    power: float,
    margins: tuple[float, float],
) -> FloatArray:
    """Return both masks, shape (2, n_frames, n_bins)."""
    from featx.kernels.median import soft_masks_kernel

    parts = [_medians(magnitudes, size, axis) for axis, size in enumerate(sizes)]
    shares = np.empty((2, *magnitudes.shape), np.float32)
    soft_masks_kernel(
        parts[0].ravel(),
        parts[1].ravel(),
        np.array(margins, np.float32),
        np.float32(power),
        np.float32(0.5 if max(margins) == 1.0 else 0.0),
        shares.reshape(2, -1),
    )
    return shares


def _medians(S: FloatArray, size: int, axis: int) -> FloatArray:
    """Return the running medians of a contiguous matrix, by vectors where that is possible."""
    from featx.kernels.median import (
        median_columns_kernel,
        median_rows_kernel,
        sorted_median_kernel,
    )
    from featx.kernels.networks import network
    from featx.kernels.plan import workspaces
    from featx.kernels.vector import lanes, marker

    out = np.empty_like(S)
    if S.size == 0:
        return out
    S = frozen(S)
    count = lanes()
    if count == 0 or size > _LARGEST_NETWORK:
        window = np.empty(size, np.float32)
        pair = (S, out) if axis == 1 else (S.T, out.T)
        sorted_median_kernel(pair[0], size, size // 2, window, pair[1])
        return out
    net, width = network(size, size // 2), 2 * count
    if axis == 0:
        (work,) = workspaces.take((net.n_rows * width,))
        median_columns_kernel(marker(count), net.arrays, S, work, out)
    else:
        strip = S.shape[1] * width
        work, *strips = workspaces.take((net.n_rows * width, strip, strip))
        median_rows_kernel(marker(count), net.arrays, S, tuple(strips), work, out)
    return out
