"""Correntropy between the bands of a voice and themselves a little earlier.

Chang, Lee. "Pairwise approach to singing onset and offset detection by correntropy". ICASSP, 2014.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from featx.frontend import erb_frequencies
from featx_onset import kernels
from featx_onset.config import FMAX, FMIN, HOP, N_BANDS, SR

Array = npt.NDArray[Any]

#: Cut-off of the low-pass behind the rectifier, in Hz.
_ENVELOPE_HZ = 50.0
#: Level that the louder parts are brought to before the logarithm; the floor is what counts as 0.
_LEVEL, _LEVEL_FLOOR = 0.3, 1e-4
#: Bands that never get louder than this are not scaled up to 1.
_BAND_FLOOR = 1e-2
#: Multiples of Silverman's width, and what the product is limited to.
_RATIOS, _NARROWEST, _WIDEST = (4.0, 8.0, 16.0), 0.1, 0.4
#: Differences that Silverman's width is taken from, at most.
_POOLED = 1_000_000


def hop_levels(y: Array) -> Array:
    """Return the RMS of every hop, one per frame of the bands.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        At 16000 Hz.

    Returns
    -------
    float64 array, shape (1 + n_samples // 80,)
    """
    padded = np.zeros((1 + len(y) // HOP) * HOP, np.float32)
    padded[: len(y)] = y
    frames = padded.reshape(-1, HOP)
    return np.asarray(np.sqrt(np.einsum("tj,tj->t", frames, frames, dtype=np.float64) / HOP))


def gammatone_envelopes(y: Array) -> Array:
    """Return the envelopes of 64 fourth-order gammatone bands from 80 to 7000 Hz.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        At 16000 Hz.

    Returns
    -------
    float32 array, shape (1 + n_samples // 80, 64), >= 0
        Half-wave rectified and low-pass filtered at 50 Hz, 200 frames a second.
    """
    centres = np.asarray(erb_frequencies(N_BANDS, fmin=FMIN, fmax=FMAX), np.float64)
    width = 1.019 * 24.7 * (1.0 + 4.37e-3 * centres)
    radius = np.exp(-2 * np.pi * width / SR)
    angle = 2 * np.pi * centres / SR
    bands = np.stack([radius * np.cos(angle), radius * np.sin(angle), 2 * (1 - radius) ** 4])
    out = np.empty((1 + len(y) // HOP, N_BANDS), np.float32)
    state = np.zeros((10, N_BANDS))
    samples = np.ascontiguousarray(y, np.float32).view()
    samples.flags.writeable = False  # a writeable array is another type to numba
    kernels.envelope_kernel(samples, HOP, bands, _lowpass(), state, out)
    return out


def _lowpass() -> Array:
    """Return gain and feedback of a second-order Butterworth filter, by the bilinear transform."""
    k = math.tan(math.pi * _ENVELOPE_HZ / SR)
    norm = 1.0 + math.sqrt(2.0) * k + k * k
    return np.array([k * k, 2 * (k * k - 1), 1 - math.sqrt(2.0) * k + k * k]) / norm


def compressed_bands(envelopes: Array, level: float) -> tuple[Array, Array]:
    """Return the bands on a logarithmic scale of about 0..1, and the weights of the bands.

    Parameters
    ----------
    envelopes : float32 array, shape (n_frames, n_bands)
        Written over.
    level : float >= 0
        RMS of the louder parts of the waveform.

    Returns
    -------
    X : float32 array, shape (n_frames, n_bands), >= 0
        Relative to the 95th percentile of every band.
    weights : float64 array, shape (n_bands,)
        Proportional to energy ** 0.3, of sum 1.
    """
    energy = np.einsum("tc,tc->c", envelopes, envelopes, dtype=np.float64)
    total = (energy**0.3).sum()
    weights = energy**0.3 / total if total > 0 else np.full(len(energy), 1 / len(energy))
    envelopes *= np.float32(1000.0 * _LEVEL / max(level, _LEVEL_FLOOR))
    X = np.log1p(envelopes, out=envelopes)
    for c in range(X.shape[1]):
        X[:, c] /= max(float(np.percentile(X[:, c], 95)), _BAND_FLOOR)
    return X, weights


def correntropy_change(
    X: Array, weights: Array, *, lag: int, sigma: float, spread: int = 1
) -> Array:
    """Return one minus the correntropy of the frames around every frame, and its signed parts.

    Parameters
    ----------
    X : float32 array, shape (n_frames, n_bands)
    weights : float64 array, shape (n_bands,)
        Of sum 1.
    lag : int > 0
        Frames between the two that are compared, half of them before the frame.
    sigma : float > 0
        Width of the Gaussian kernel, in the unit of ``X``.
    spread : int >= 0
        Bands to either side over which the lower of the two takes its maximum, so that
        partials may move; 0 gives plain correntropy.

    Returns
    -------
    float32 array, shape (n_frames, 3), within 0..1
        Change, rise and fall; the first is the sum of the others. 0 without both frames.
    """
    out = np.zeros((len(X), 3), np.float32)
    kernels.correntropy_kernel(X, weights, lag, float(sigma), spread, out)
    return out


def silverman_width(X: Array, *, lag: int) -> float:
    """Return Silverman's kernel width of the differences between frames ``lag`` apart."""
    if len(X) <= lag:
        return 0.0
    step = max(1, (len(X) - lag) * X.shape[1] // _POOLED)
    differences = (X[lag::step] - X[:-lag:step]).ravel()
    low, high = np.percentile(differences, [25, 75])
    scale = min(float(differences.std(dtype=np.float64)), (high - low) / 1.34)
    return float(0.9 * scale * (X.size / lag) ** -0.2)


def adapted_width(X: Array, weights: Array, *, lag: int) -> float:
    """Return the multiple of Silverman's width with the highest contrast, within 0.1..0.4."""
    base = silverman_width(X, lag=lag)
    widths = sorted({min(max(ratio * base, _NARROWEST), _WIDEST) for ratio in _RATIOS})

    def contrast(sigma: float) -> float:
        d = correntropy_change(X, weights, lag=lag, sigma=sigma)[:, 0]
        median, high, top = np.percentile(d, [50, 90, 99])
        return float((top - median) / (high - median + 1e-3))

    return max(widths, key=contrast)


def autocorrentropy(x: Array, *, starts: Array, width: int, lags: Array, sigma: float) -> Array:
    """Return how alike a signal is to itself some samples earlier, window by window.

    Parameters
    ----------
    x : float32 array, shape (n_samples,)
    starts : int64 array, shape (n_frames,)
        First sample of every window, at least the largest lag.
    width : int > 0
        Samples of a window.
    lags : int64 array, shape (n_lags,), >= 0
    sigma : float > 0
        Width of the Gaussian kernel, in the unit of ``x``.

    Returns
    -------
    float32 array, shape (n_frames, n_lags), within 0..1
    """
    out = np.empty((len(starts), len(lags)), np.float32)
    kernels.autocorrentropy_kernel(x, starts, width, lags, float(sigma), out)
    return out
