"""From waveform to the array that a `FrontEnd` describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.analysis import check_waveform, frame_blocks, power_blocks
from featx.frontend.banks import BandedBank, dense_bank, warn_of_empty_rows
from featx.frontend.lanes import check_finite, fill, has_lanes, project
from featx.frontend.layout import (
    dimension,
    n_bands,
    n_frames,
    validate,
    validate_range,
)
from featx.frontend.multirate import transform
from featx.frontend.tuning import tuning_of_blocks

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray, FloatArray, FrontEnd

__all__ = ["compute", "spectrum_blocks"]

_FACTORS = {"log10": 1.0, "ln": math.log(10.0), "db": 10.0}

#: Frames smaller than this are silence to ``frame_norm``, the smallest normal float32.
_TINY = float(np.finfo(np.float32).tiny)


def compute(
    y: FloatArray,
    front_end: FrontEnd | str,
    *,
    sr: int,
    out: FloatArray | None = None,
    threads: int = 1,
) -> FloatArray:
    """Compute the representation that a front end describes.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform in [-1, 1], of any length; left untouched.
    front_end : FrontEnd or str
        A preset name, or a front end of your own.
    sr : int > 0
        Rate of ``y`` in Hz; must be the front end's, if it has one.
    out : float32 array, shape (n_frames, dim), optional
        Written and returned instead of a new array; C-contiguous. Its pages are in memory already,
        which new ones are not. After an error its content is undefined.
    threads : int > 0
        Blocks of frames are shared among so many threads; the values do not depend on it.

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
    if threads < 1:
        raise ParameterError(f"threads must be an integer > 0, got {threads}.")
    total = n_frames(len(y), fe)
    out = check_out(out, (total, dimension(fe, sr)))
    if fe.raw:
        check_finite(y)
        out[:, 0] = y
        return out
    width = n_bands(fe, sr)
    plain = not fe.n_mfcc and not fe.deltas
    bands = out if plain else np.empty((total, width), dtype=np.float32)
    _bands(y, fe, sr, bands, threads, stacklevel=3)
    if fe.compression == "db" and fe.top_db is not None and bands.size:
        np.maximum(bands, bands.max() - np.float32(fe.top_db), out=bands)
    if not plain:
        static = _cepstrum(bands, fe) if fe.n_mfcc else bands
        orders = range(1, fe.deltas + 1)
        parts = [static, *(derivative(static, width=fe.delta_width, order=k) for k in orders)]
        np.concatenate(parts, axis=1, out=out)
    return out


def check_out(out: AnyArray | None, shape: tuple[int, int], dtype: Any = np.float32) -> AnyArray:
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
        Its bank must be neither ``frames`` nor ``cqt``.
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
    if fe.raw or fe.bank in ("frames", "cqt"):
        raise ParameterError(f"front_end must have a spectrum, got {fe.name!r}, which has none.")
    check_rate(fe, sr)
    y = check_waveform(y)
    check_finite(y)
    return power_blocks(y, fe)


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


def _bands(
    y: FloatArray, fe: FrontEnd, sr: int, out: FloatArray, threads: int, *, stacklevel: int
) -> None:
    """Write all that is computed frame by frame: spectrum, bank, compression, norm."""
    if fe.bank == "cqt":
        if not transform(y, fe, sr, out, threads):
            _compress(out, fe)
        _normalise(out, fe)
        return
    bank: BandedBank | None = None
    if fe.bank not in ("none", "frames"):
        bank = _tuned_bank(y, fe, sr)
        warn_of_empty_rows(bank.empty, stacklevel=stacklevel + 1)
    if fe.bank != "frames" and has_lanes(fe):
        compressed = fe.compression != "none"
        fill(y, fe, out, bank=bank, compressed=compressed, threads=threads)
    else:
        for first, S in frame_blocks(y, fe) if fe.bank == "frames" else power_blocks(y, fe):
            block = out[first : first + len(S)]
            if bank is None:
                block[:] = S[:, : block.shape[1]]
            else:
                apply_bank(S, bank, out=block)
            _compress(block, fe)
    _normalise(out, fe)


def _tuned_bank(y: FloatArray, fe: FrontEnd, sr: int) -> BandedBank:
    if not fe.estimate_tuning:
        return _bank(fe, sr)
    spectra = (S for _, S in power_blocks(y, fe))
    tuning = tuning_of_blocks(spectra, fe=fe, sr=sr, bins_per_octave=fe.n_bands)
    return BandedBank.from_dense(dense_bank(fe, sr, tuning=tuning))


def apply_bank(S: FloatArray, bank: BandedBank, *, out: FloatArray) -> None:
    """Write ``S`` (n, n_bins) times the bank into ``out`` (n, n_bands)."""
    if not project(S, bank, out):
        from featx.kernels.spectrum import banded_kernel

        banded_kernel(S, bank.starts, bank.lengths, bank.offsets, bank.weights, out)


def _compress(S: FloatArray, fe: FrontEnd) -> None:
    """Apply the compression in place."""
    from featx.kernels.compression import log_kernel

    if fe.compression != "none":
        decibel = fe.compression == "db"
        log_kernel(
            S,
            np.float32(1.0 if decibel else fe.gain),
            np.float32(0.0 if decibel else fe.offset),
            np.float32(fe.amin),
            np.float32(_FACTORS[fe.compression]),
        )


def _normalise(S: FloatArray, fe: FrontEnd) -> None:
    """Apply the norm of frames in place."""
    from featx.kernels.compression import normalise_kernel

    if fe.frame_norm != "none":
        normalise_kernel(S, fe.frame_norm == "max", _TINY)


@lru_cache(maxsize=64)
def _dct_bank(n_mfcc: int, n_bands: int, lifter: float) -> BandedBank:
    """Return the orthonormal DCT-II rows 0..n_mfcc-1, liftered: a bank without zeros."""
    k = np.arange(n_mfcc)[:, np.newaxis]
    basis = np.sqrt(2.0 / n_bands) * np.cos(
        np.pi * k * (2 * np.arange(n_bands) + 1) / (2 * n_bands)
    )
    basis[0] /= np.sqrt(2.0)
    if lifter > 0:
        basis *= 1.0 + (lifter / 2.0) * np.sin(np.pi * (k + 1) / lifter)
    return BandedBank.from_dense(basis.astype(np.float32))


def _cepstrum(S: FloatArray, fe: FrontEnd) -> FloatArray:
    if fe.n_mfcc > S.shape[1]:
        raise ParameterError(f"n_mfcc must be <= the {S.shape[1]} bands, got {fe.n_mfcc}.")
    out = np.empty((len(S), fe.n_mfcc), dtype=np.float32)
    apply_bank(S, _dct_bank(fe.n_mfcc, S.shape[1], fe.lifter), out=out)
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
        derivative_kernel(x, _derivative_weights(frames, order), out)
    return out


@lru_cache(maxsize=64)
def _derivative_weights(frames: int, order: int) -> DoubleArray:
    """Return what gives the derivative, in the middle, of a polynomial of that degree."""
    places = np.arange(frames) - frames // 2
    fit = np.linalg.pinv(np.vander(places.astype(np.float64), order + 1))
    weights: DoubleArray = math.factorial(order) * fit[0]
    return weights
