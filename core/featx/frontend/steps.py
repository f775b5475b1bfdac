"""Checks of arguments, and single steps between spectra and bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.compression import Logarithm, PowerLaw
from featx.frontend.lanes import project

if TYPE_CHECKING:
    from featx.frontend.filters import BandedBank
    from featx.frontend.front_end import FrontEnd
    from featx.types import AnyArray, FloatArray

__all__ = [
    "apply_bank",
    "check_out",
    "check_rate",
    "check_threads",
    "normalise",
    "raise_to_power",
    "take_logarithm",
]

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
    fe.bank.check_rate(sr)


def apply_bank(S: FloatArray, bank: BandedBank, *, out: FloatArray) -> None:
    """Write ``S`` (n, n_bins) times the bank into ``out`` (n, n_bands)."""
    if not project(S, bank, out):
        from featx.kernels.spectrum import banded_kernel

        banded_kernel(S, bank.starts, bank.lengths, bank.offsets, bank.weights, out)


def check_threads(threads: int) -> None:
    """Raise unless so many threads can be used."""
    if threads < 1:
        raise ParameterError(f"threads must be an integer > 0, got {threads}.")


def take_logarithm(S: FloatArray, fe: FrontEnd) -> None:
    """Apply the logarithm of ``fe``, if it has one, in place."""
    if isinstance(fe.compression, Logarithm):
        from featx.kernels.compression import log_kernel

        per_decade, *constants = fe.compression.curve
        log_kernel(S, *(np.float32(value) for value in (*constants, per_decade)))


def raise_to_power(S: FloatArray, fe: FrontEnd) -> None:
    """Apply the power law of ``fe``, if it has one, in place."""
    if not isinstance(fe.compression, PowerLaw):
        return
    from featx.kernels.vector import lanes, marker

    law, count = fe.compression, lanes()
    gain, exponent = np.float32(law.gain), np.float32(law.exponent)
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
