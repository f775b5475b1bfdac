"""Frequency scales: mel (Slaney and HTK), Bark, ERB rate, and notes. float64 in and out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from featx.errors import ParameterError
from featx.types import DoubleArray

#: Slaney's scale is linear up to this frequency in Hz ...
_BREAK_HZ = 1000.0
#: ... with this many Hz per mel, ...
_HZ_PER_MEL = 200.0 / 3.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
#: ... and logarithmic above: 27 mel from 1000 Hz to 6400 Hz.
_LOG_STEP = np.log(6.4) / 27.0
#: Traunmüller's scale is bent at these Bark, by these slopes beyond them.
_BARK_BOTTOM, _BARK_TOP = 2.0, 20.1
_BARK_LOW, _BARK_HIGH = 0.15, 0.22


def hz_to_mel(frequencies: npt.ArrayLike, *, htk: bool = False) -> DoubleArray:
    """Convert Hz to mel.

    Parameters
    ----------
    frequencies : array_like, >= 0
        In Hz.
    htk : bool
        ``2595 log10(1 + f / 700)`` instead of Slaney's scale, linear below 1000 Hz.

    Returns
    -------
    float64 array of the same shape
    """
    f = np.asarray(frequencies, dtype=np.float64)
    if htk:
        return np.asarray(2595.0 * np.log10(1.0 + f / 700.0))
    above = _BREAK_MEL + np.log(np.maximum(f, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(f >= _BREAK_HZ, above, f / _HZ_PER_MEL)


def mel_to_hz(mels: npt.ArrayLike, *, htk: bool = False) -> DoubleArray:
    """Convert mel to Hz; the inverse of `hz_to_mel`.

    Parameters
    ----------
    mels : array_like, >= 0
        On the scale that ``htk`` names.
    htk : bool
        HTK's scale instead of Slaney's.

    Returns
    -------
    float64 array of the same shape
    """
    m = np.asarray(mels, dtype=np.float64)
    if htk:
        return np.asarray(700.0 * (10.0 ** (m / 2595.0) - 1.0))
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(m, _BREAK_MEL) - _BREAK_MEL))
    return np.where(m >= _BREAK_MEL, above, m * _HZ_PER_MEL)


def mel_frequencies(
    n_mels: int, *, fmin: float = 0.0, fmax: float = 11025.0, htk: bool = False
) -> DoubleArray:
    """Return ``n_mels`` frequencies in Hz, equally spaced in mel from ``fmin`` to ``fmax``."""
    low, high = hz_to_mel([fmin, fmax], htk=htk)
    return mel_to_hz(np.linspace(low, high, n_mels), htk=htk)


def hz_to_bark(frequencies: npt.ArrayLike) -> DoubleArray:
    """Convert Hz to Bark, the number of critical bands below a frequency.

    ``z = 26.81 f / (1960 + f) - 0.53``; 0.15 (2 - z) is added where z < 2, and 0.22 (z - 20.1)
    where z > 20.1.

    Parameters
    ----------
    frequencies : array_like, >= 0
        In Hz.

    Returns
    -------
    float64 array of the same shape, >= -0.16

    References
    ----------
    Traunmüller. "Analytical expressions for the tonotopic sensory scale". JASA 88(1), 1990.
    """
    f = np.asarray(frequencies, dtype=np.float64)
    z = 26.81 * f / (1960.0 + f) - 0.53
    return np.asarray(
        z
        + _BARK_LOW * np.maximum(_BARK_BOTTOM - z, 0.0)
        + _BARK_HIGH * np.maximum(z - _BARK_TOP, 0.0)
    )


def bark_to_hz(barks: npt.ArrayLike) -> DoubleArray:
    """Convert Bark to Hz; the inverse of `hz_to_bark`."""
    z = np.asarray(barks, dtype=np.float64)
    z = np.where(z < _BARK_BOTTOM, (z - _BARK_LOW * _BARK_BOTTOM) / (1.0 - _BARK_LOW), z)
    z = np.where(z > _BARK_TOP, (z + _BARK_HIGH * _BARK_TOP) / (1.0 + _BARK_HIGH), z)
    return np.asarray(1960.0 * (z + 0.53) / (26.28 - z))


def bark_frequencies(n_bands: int, *, fmin: float, fmax: float) -> DoubleArray:
    """Return ``n_bands`` frequencies in Hz, equally spaced in Bark from fmin to fmax."""
    low, high = hz_to_bark([fmin, fmax])
    return bark_to_hz(np.linspace(low, high, n_bands))


def hz_to_erb(frequencies: npt.ArrayLike) -> DoubleArray:
    """Convert Hz to ERB rate, ``21.4 log10(1 + 0.00437 f)``, the number of ERBs below ``f``."""
    f = np.asarray(frequencies, dtype=np.float64)
    return np.asarray(21.4 * np.log10(1.0 + 0.00437 * f))


def erb_to_hz(erbs: npt.ArrayLike) -> DoubleArray:
    """Convert ERB rate to Hz; the inverse of `hz_to_erb`."""
    e = np.asarray(erbs, dtype=np.float64)
    return np.asarray((10.0 ** (e / 21.4) - 1.0) / 0.00437)


def erb_frequencies(n_bands: int, *, fmin: float, fmax: float) -> DoubleArray:
    """Return ``n_bands`` frequencies in Hz, equally spaced in ERB rate from fmin to fmax."""
    low, high = hz_to_erb([fmin, fmax])
    return erb_to_hz(np.linspace(low, high, n_bands))


def log_frequencies(
    bands_per_octave: int, *, fmin: float, fmax: float, fref: float = 440.0
) -> DoubleArray:
    """Return the notes ``fref * 2 ** (i / bands_per_octave)`` in Hz that lie in fmin..fmax.

    Raises
    ------
    ParameterError
        If ``fmin`` is not positive.
    """
    if fmin <= 0:
        raise ParameterError(f"fmin must be > 0, got {fmin}.")
    first = np.floor(np.log2(fmin / fref) * bands_per_octave)
    last = np.ceil(np.log2(fmax / fref) * bands_per_octave)
    notes = fref * 2.0 ** (np.arange(first, last + 1) / bands_per_octave)
    return np.asarray(notes[(notes >= fmin) & (notes <= fmax)])
