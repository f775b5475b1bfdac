"""Checks of waveforms, rates, output arrays and threads at the public doors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.types import AnyArray, FloatArray

if TYPE_CHECKING:
    from featx.frontend.front_end import FrontEnd

#: Beyond this, 180 dB over full scale, the power of a float32 spectrum can overflow.
LARGEST = 1e9


def check_waveform(y: Any) -> FloatArray:
    """Return ``y`` as a contiguous array, after checking that it is a mono waveform."""
    if not isinstance(y, np.ndarray) or y.ndim != 1 or y.dtype != np.float32:
        shape, dtype = getattr(y, "shape", None), getattr(y, "dtype", type(y).__name__)
        mono = isinstance(y, np.ndarray) and y.ndim == 1
        remedy = "Use y.astype(np.float32)" if mono else "Use featx.to_mono first"
        raise ParameterError(
            f"y must be one-dimensional float32, got shape {shape}, dtype {dtype}. {remedy}."
        )
    return np.ascontiguousarray(y)


def check_array(name: str, x: Any, *, ndim: int = 2) -> FloatArray:
    """Return ``x`` as a contiguous array, after checking that it is float32 with ``ndim`` axes."""
    if not isinstance(x, np.ndarray) or x.ndim != ndim or x.dtype != np.float32:
        shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", type(x).__name__)
        raise ParameterError(
            f"{name} must be {'one' if ndim == 1 else 'two'}-dimensional float32, got shape "
            f"{shape}, dtype {dtype}."
        )
    return np.ascontiguousarray(x)


def frozen(x: FloatArray) -> FloatArray:
    """Return a read-only view: read-only arrays and others are two types to numba."""
    x = x.view()
    x.flags.writeable = False
    return x


def check_waveforms(y: Any) -> FloatArray:
    """Return ``y``, after checking that it is a waveform, or waveforms of one length."""
    if not isinstance(y, np.ndarray) or y.ndim == 0 or y.dtype != np.float32:
        shape, dtype = getattr(y, "shape", None), getattr(y, "dtype", type(y).__name__)
        raise ParameterError(
            f"y must be float32 of shape (n_samples,) or (channels, n_samples), got shape {shape}, "
            f"dtype {dtype}."
        )
    if y.ndim == 1:
        return np.ascontiguousarray(y)
    if y.shape[-2] > y.shape[-1] > 0:
        raise ParameterError(
            f"y must have shape (channels, n_samples), got shape {y.shape}, more channels than "
            "samples. Transpose it."
        )
    return y


def check_finite(y: FloatArray) -> None:
    """Raise unless every sample is finite and sane."""
    if len(y) and not (y.min() >= -LARGEST and y.max() <= LARGEST):
        finite = np.isfinite(y)
        raise ParameterError(
            f"y must be finite and within ±{LARGEST:g}, got {np.count_nonzero(~finite)} NaN or "
            f"infinite samples of {len(y)}, peak {np.abs(y[finite]).max(initial=0.0):g}."
        )


def check_rate(fe: FrontEnd, sr: int) -> None:
    """Raise unless a waveform at ``sr`` suits ``fe``."""
    if sr <= 0:
        raise ParameterError(f"sr must be > 0, got {sr}.")
    if fe.sr is not None and sr != fe.sr:
        raise ParameterError(
            f"sr must be {fe.sr}, the rate of front end {fe.name!r}, got {sr}. "
            "Resample with featx.audio.resample first."
        )
    fe.bank.check_rate(sr)


def check_out(out: AnyArray | None, shape: tuple[int, ...], dtype: Any = np.float32) -> AnyArray:
    """Return ``out``, or a new array if it is None, after checking that results may go there."""
    if out is None:
        return np.empty(shape, dtype=dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        raise ParameterError(
            f"out must be C-contiguous {np.dtype(dtype)} of shape {shape}, got shape {out.shape}, "
            f"dtype {out.dtype}."
        )
    if not out.flags.writeable:
        raise ParameterError("out must be writeable, got a read-only array.")
    return out


def check_threads(threads: int) -> None:
    """Raise unless this number of threads can be used."""
    if threads < 1:
        raise ParameterError(f"threads must be an integer > 0, got {threads}.")
