"""From waveform to the array that a `FrontEnd` describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError
from featx.frontend.analysis import check_waveform, frame_blocks, power_blocks
from featx.frontend.banks import BandedBank, dense_bank, warn_of_empty_rows
from featx.frontend.layout import identity, n_bands, n_frames, validate, validate_range
from featx.frontend.tuning import tuning_of_blocks

if TYPE_CHECKING:
    from featx.types import FloatArray, FrontEnd

__all__ = ["compute", "spectrum_blocks"]

_FACTORS = {"log10": 1.0, "ln": math.log(10.0), "db": 10.0}

#: Frames smaller than this are silence to ``frame_norm``, the smallest normal float32.
_TINY = float(np.finfo(np.float32).tiny)


def compute(y: FloatArray, front_end: FrontEnd | str, *, sr: int) -> FloatArray:
    """Compute the representation that a front end describes.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform in [-1, 1], of any length; left untouched.
    front_end : FrontEnd or str
        A preset name, or a front end of your own.
    sr : int > 0
        Rate of ``y`` in Hz; must be the front end's, if it has one.

    Returns
    -------
    float32 array, shape (n_frames, dim)
        ``n_frames`` and ``dim`` as `n_frames` and `geometry` say; finite, also for silence. No
        samples give no frames.

    Raises
    ------
    ParameterError
        If ``y`` is not a float32 waveform within ±1e9, the rate is wrong, or the front end is
        unknown or breaks a rule.

    Warns
    -----
    EmptyBandWarning
        If a filter touches no FFT bin.
    """
    fe = validate(front_end)
    y = check_waveform(y)
    check_rate(fe, sr)
    if fe.raw:
        return y[:, np.newaxis].copy()
    out = _bands(y, fe, sr, stacklevel=3)
    if fe.compression == "db" and fe.top_db is not None and out.size:
        np.maximum(out, out.max() - np.float32(fe.top_db), out=out)
    if fe.n_mfcc:
        out = _cepstrum(out, fe)
    if fe.deltas:
        orders = range(1, fe.deltas + 1)
        out = np.hstack([out, *(derivative(out, width=fe.delta_width, order=k) for k in orders)])
    return out


def spectrum_blocks(
    y: FloatArray, front_end: FrontEnd | str, *, sr: int
) -> Iterator[tuple[int, FloatArray]]:
    """Yield spectra block by block, for descriptors that need every bin of a long recording.

    The spectra are those that the front end's bank would see: magnitude or power, its gain
    included. Bank, compression and the rest are not applied.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform.
    front_end : FrontEnd or str
        Its bank must not be ``frames``.
    sr : int > 0
        Rate of ``y`` in Hz.

    Yields
    ------
    first : int
        Index of the first frame of the block.
    S : float32 array, shape (n, n_fft // 2 + 1)
        Overwritten by the next block: copy what you keep.

    Raises
    ------
    ParameterError
        As `compute`.
    """
    fe = validate(front_end)
    if fe.raw or fe.bank == "frames":
        raise ParameterError(f"front_end must have a spectrum, got {fe.name!r}, which has none.")
    check_rate(fe, sr)
    return power_blocks(check_waveform(y), fe)


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


@lru_cache(maxsize=64)
def _bank(fe: FrontEnd, sr: int) -> BandedBank:
    return BandedBank.from_dense(dense_bank(fe, sr))


def _bands(y: FloatArray, fe: FrontEnd, sr: int, *, stacklevel: int) -> FloatArray:
    """Return everything that is computed frame by frame: spectrum, bank, compression, norm."""
    total = n_frames(len(y), fe)
    out = np.empty((total, n_bands(fe, sr)), dtype=np.float32)
    if fe.bank in ("none", "frames"):
        blocks = frame_blocks(y, fe) if fe.bank == "frames" else power_blocks(y, fe)
        for first, S in blocks:
            block = out[first : first + len(S)]
            block[:] = S[:, : block.shape[1]]
            _compress(block, fe)
        return out
    bank = _tuned_bank(y, fe, sr)
    warn_of_empty_rows(bank.empty, stacklevel=stacklevel + 1)
    for first, S in power_blocks(y, fe):
        block = out[first : first + len(S)]
        apply_bank(S, bank, out=block)
        _compress(block, fe)
    return out


def _tuned_bank(y: FloatArray, fe: FrontEnd, sr: int) -> BandedBank:
    if not fe.estimate_tuning:
        return _bank(identity(fe), sr)
    spectra = (S for _, S in power_blocks(y, fe))
    tuning = tuning_of_blocks(spectra, fe=fe, sr=sr, bins_per_octave=fe.n_bands)
    return BandedBank.from_dense(dense_bank(fe, sr, tuning=tuning))


def apply_bank(S: FloatArray, bank: BandedBank, *, out: FloatArray) -> None:
    """Write ``S`` (n, n_bins) times the bank into ``out`` (n, n_bands)."""
    from featx.kernels.spectrum import banded_kernel

    banded_kernel(S, bank.starts, bank.lengths, bank.offsets, bank.weights, out)


def _compress(S: FloatArray, fe: FrontEnd) -> None:
    """Apply compression and frame norm in place."""
    from featx.kernels.compression import log_kernel, normalise_kernel

    if fe.compression != "none":
        decibel = fe.compression == "db"
        log_kernel(
            S,
            np.float32(1.0 if decibel else fe.gain),
            np.float32(0.0 if decibel else fe.offset),
            np.float32(fe.amin),
            np.float32(_FACTORS[fe.compression]),
        )
    if fe.frame_norm != "none":
        normalise_kernel(S, fe.frame_norm == "max", _TINY)


@lru_cache(maxsize=64)
def _dct_basis(n_mfcc: int, n_bands: int, lifter: float) -> FloatArray:
    """Return the orthonormal DCT-II rows 0..n_mfcc-1, liftered."""
    k = np.arange(n_mfcc)[:, np.newaxis]
    basis = np.sqrt(2.0 / n_bands) * np.cos(
        np.pi * k * (2 * np.arange(n_bands) + 1) / (2 * n_bands)
    )
    basis[0] /= np.sqrt(2.0)
    if lifter > 0:
        basis *= 1.0 + (lifter / 2.0) * np.sin(np.pi * (k + 1) / lifter)
    out: FloatArray = basis.astype(np.float32)
    out.flags.writeable = False
    return out


def _cepstrum(S: FloatArray, fe: FrontEnd) -> FloatArray:
    from featx.kernels.cepstrum import project_kernel

    if fe.n_mfcc > S.shape[1]:
        raise ParameterError(f"n_mfcc must be <= the {S.shape[1]} bands, got {fe.n_mfcc}.")
    out = np.empty((len(S), fe.n_mfcc), dtype=np.float32)
    project_kernel(S, _dct_basis(fe.n_mfcc, S.shape[1], fe.lifter), out)
    return out


def derivative(x: FloatArray, *, width: int, order: int) -> FloatArray:
    """Return the derivative over time of polynomials fitted to ``width`` frames around each.

    Fewer frames than ``width`` take the largest odd number there is; fewer than a polynomial of
    that degree needs give zeros.
    """
    from featx.kernels.cepstrum import derivative_kernel

    frames = min(width, len(x) - 1 + len(x) % 2)
    out = np.zeros_like(x)
    if frames > order:
        places = np.arange(frames) - frames // 2
        fit = np.linalg.pinv(np.vander(places.astype(np.float64), order + 1))
        derivative_kernel(x, math.factorial(order) * fit[0], out)
    return out
