"""Checks of arguments, and single steps between spectra and bands."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.banks import BandedBank, dense_bank
from featx.frontend.geometry import validate_range
from featx.frontend.lanes import project

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray, FrontEnd

__all__ = [
    "apply_bank",
    "banded_bank",
    "check_out",
    "check_rate",
    "check_threads",
    "normalise",
    "raise_to_power",
    "take_logarithm",
]

_FACTORS = {"log10": 1.0, "ln": math.log(10.0), "db": 10.0}
#: Frames smaller than this are silence to ``frame_norm``, the smallest normal float32.
_TINY = float(np.finfo(np.float32).tiny)


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


def check_rate(fe: FrontEnd, sr: int) -> None:
    """Raise unless a waveform at ``sr`` suits ``fe``."""
    if sr <= 0:
        raise ParameterError(f"sr must be > 0, got {sr}.")
    if fe.sr is not None and sr != fe.sr:
        raise ParameterError(
            f"sr must be {fe.sr}, the rate of front end {fe.name!r}, got {sr}. "
            "Resample with featx.audio.resample first."
        )
    validate_range(fe, sr)


def apply_bank(S: FloatArray, bank: BandedBank, *, out: FloatArray) -> None:
    """Write ``S`` (n, n_bins) times the bank into ``out`` (n, n_bands)."""
    if not project(S, bank, out):
        from featx.kernels.spectrum import banded_kernel

        banded_kernel(S, bank.starts, bank.lengths, bank.offsets, bank.weights, out)


@lru_cache(maxsize=128)
def banded_bank(fe: FrontEnd, sr: int, tuning: float) -> BandedBank:
    """Return the bank of ``fe`` for a recording of that tuning, as the kernels read it."""
    return BandedBank.from_dense(dense_bank(fe, sr, tuning=tuning))


def check_threads(threads: int) -> None:
    """Raise unless so many threads can be used."""
    if threads < 1:
        raise ParameterError(f"threads must be an integer > 0, got {threads}.")


def take_logarithm(S: FloatArray, fe: FrontEnd) -> None:
    """Apply the logarithm of ``fe``, if it has one, in place."""
    if fe.compression in _FACTORS:
        from featx.kernels.compression import log_kernel

        decibel = fe.compression == "db"
        log_kernel(
            S,
            np.float32(1.0 if decibel else fe.gain),
            np.float32(0.0 if decibel else fe.offset),
            np.float32(fe.amin),
            np.float32(_FACTORS[fe.compression]),
        )


def raise_to_power(S: FloatArray, fe: FrontEnd) -> None:
    """Apply the power law of ``fe``, if it has one, in place."""
    if fe.compression != "power-law":
        return
    from featx.kernels.vector import lanes, marker

    gain, exponent, count = np.float32(fe.gain), np.float32(fe.exponent), lanes()
    if count:
        from featx.kernels.compression import lane_power_law_kernel

        tile = np.empty(count, dtype=np.float32)
        lane_power_law_kernel(marker(count), S, gain, exponent, tile)
    else:
        from featx.kernels.compression import power_law_kernel

        power_law_kernel(S, gain, exponent)


def normalise(S: FloatArray, fe: FrontEnd) -> None:
    """Apply the norm of frames in place."""
    if fe.frame_norm != "none":
        from featx.kernels.compression import normalise_kernel

        normalise_kernel(S, fe.frame_norm == "max", _TINY)
