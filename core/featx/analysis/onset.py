"""Onset strength: how much a spectrogram rises from frame to frame, and where it peaks."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from featx.errors import ParameterError, listed
from featx.frontend.checks import check_array
from featx.frontend.compression import Decibel
from featx.frontend.framing import Framing
from featx.frontend.front_end import FrontEnd
from featx.frontend.geometry import framing_of
from featx.frontend.lanes import frame_window
from featx.frontend.presets import preset
from featx.frontend.processor import compute
from featx.frontend.triangles import Mel
from featx.types import AnyArray, FloatArray

_AGGREGATES = ("mean", "median")
#: Pole of the filter that takes out the mean, as in librosa.
_POLE = 0.99


def spectral_flux(
    S: FloatArray,
    *,
    lag: int = 1,
    max_size: int = 1,
    ref: FloatArray | None = None,
    aggregate: str = "sum",
) -> FloatArray:
    """Return how much every frame rises above an earlier one, falls not counted.

    Parameters
    ----------
    S : float32 array, shape (n_frames, n_bins)
        Finite; usually logarithmic.
    lag : int > 0
        Frames between the two.
    max_size : int > 0
        Bins over which the earlier frame takes its maximum first, so that partials may move.
    ref : float32 array, shape (n_frames, n_bins), optional
        What frames are compared with, ``lag`` frames later, in place of the filtered ``S``.
    aggregate : {'sum', 'mean', 'median'}
        What becomes of the bins of a frame.

    Returns
    -------
    float32 array, shape (n_frames,), >= 0
        In the unit of ``S``. The first ``lag`` frames are 0.
    """
    from featx.kernels.onset import flux_kernel, maximum_kernel, median_flux_kernel

    S = _check_finite("S", S)
    for name, value in (("lag", lag), ("max_size", max_size)):
        _check_integer(name, value, at_least=1)
    if aggregate not in ("sum", *_AGGREGATES):
        raise ParameterError(f"aggregate must be sum, mean or median, got {aggregate!r}.")
    if ref is not None:
        before = _check_finite("ref", ref)
        if before.shape != S.shape:
            raise ParameterError(f"ref must have the shape of S, {S.shape}, got {before.shape}.")
    elif max_size == 1:
        before = S
    else:
        before = np.empty_like(S)
        maximum_kernel(S, min(max_size, 2 * S.shape[1]), before)
    out = np.zeros(len(S), np.float32)
    if S.size == 0:
        return out
    if aggregate == "median":
        median_flux_kernel(S, before, lag, np.empty(S.shape[1], np.float32), out)
    else:
        flux_kernel(S, before, lag, 1.0 / S.shape[1] if aggregate == "mean" else 1.0, out)
    return out


def onset_strength(
    y: FloatArray | None = None,
    *,
    S: FloatArray | None = None,
    sr: int = 22050,
    lag: int = 1,
    max_size: int = 1,
    ref: FloatArray | None = None,
    detrend: bool = False,
    center: bool = True,
    aggregate: str = "mean",
    n_fft: int = 2048,
    hop_length: int = 512,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
) -> FloatArray:
    """Return the onset strength envelope, as librosa's ``onset.onset_strength`` does.

    Parameters
    ----------
    y : float32 array, shape (n_samples,), optional
        Mono waveform; its power mel spectrogram in dB, 80 dB below the loudest value at most, takes
        the place of ``S``.
    S : float32 array, shape (n_frames, n_bins), optional
        Log spectrogram. Either ``y`` or ``S`` must be given.
    sr : int > 0
        Rate of ``y`` in Hz.
    lag, max_size, ref
        As in `spectral_flux`.
    detrend : bool
        Take out the mean by a first-order high-pass; values may then be negative.
    center : bool
        Frames are centred: shift the envelope by half a window, ``n_fft // (2 * hop_length)``
        frames.
    aggregate : {'mean', 'median'}
        Over bins.
    n_fft, hop_length, n_mels, fmin, fmax
        As in `melspectrogram`; with ``S`` only the first two count, for ``center``.

    Returns
    -------
    float32 array, shape (n_frames,)
        dB per frame for ``y``; zeros for silence.

    References
    ----------
    Böck, Widmer. "Maximum filter vibrato suppression for onset detection". DAFx, 2013.
    """
    from featx.kernels.onset import detrend_kernel

    if y is not None and S is not None:
        raise ParameterError("only one of y and S must be given, got both.")
    if aggregate not in _AGGREGATES:
        raise ParameterError(f"aggregate must be {listed(_AGGREGATES)}, got {aggregate!r}.")
    for name, value in (("n_fft", n_fft), ("hop_length", hop_length)):
        _check_integer(name, value, at_least=1)
    if y is not None:
        fe = FrontEnd(
            name="onset_strength",
            sr=sr,
            framing=Framing(n_fft=n_fft, hop_length=hop_length, pad_mode="constant"),
            bank=Mel(n_bands=n_mels, fmin=fmin, fmax=fmax),
            compression=Decibel(top_db=80.0),
        )
        levels = compute(y, fe, sr=sr)
    elif S is not None:
        levels = S
    else:
        raise ParameterError("y or S must be given, got neither.")
    flux = spectral_flux(levels, lag=lag, max_size=max_size, ref=ref, aggregate=aggregate)
    if center:
        shift = min(n_fft // (2 * hop_length), len(flux))
        flux = np.concatenate([np.zeros(shift, np.float32), flux[: len(flux) - shift]])
    if detrend:
        detrend_kernel(flux, _POLE)
    return flux


def superflux(
    y: FloatArray,
    *,
    sr: int = 44100,
    front_end: FrontEnd | str = "fe-superflux",
    max_size: int = 3,
    ratio: float = 0.5,
) -> FloatArray:
    """Return the SuperFlux detection function: a flux that vibrato does not raise.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform.
    sr : int > 0
        Its rate in Hz; must be the front end's, if it has one.
    front_end : FrontEnd or str
        A log-frequency spectrogram with compression.
    max_size : int > 0
        Bins over which the earlier frame takes its maximum.
    ratio : float within 0..1
        As in `overlap_lag`, which gives the lag.

    Returns
    -------
    float32 array, shape (n_frames,), >= 0
        Sum over bins, in the unit of the front end. `peak_pick` finds the onsets: its means and
        thresholds are absolute, so do not scale.

    Raises
    ------
    ParameterError
        As `compute`.

    References
    ----------
    Böck, Widmer. "Maximum filter vibrato suppression for onset detection". DAFx, 2013.
    """
    fe = preset(front_end)
    return spectral_flux(compute(y, fe, sr=sr), lag=overlap_lag(fe, ratio=ratio), max_size=max_size)


def overlap_lag(front_end: FrontEnd | str, *, ratio: float = 0.5) -> int:
    """Return how many frames lie between two windows that overlap where they are high.

    The distance, from the middle of the window to the first sample above ``ratio`` of its peak, in
    hops, to the nearest integer (half to even) and at least 1.

    Parameters
    ----------
    front_end : FrontEnd or str
        Whose window and hop count.
    ratio : float within 0..1
        Smaller values overlap less.

    Raises
    ------
    ParameterError
        If ``ratio`` is out of range, or the front end breaks a rule.
    """
    framing = framing_of(preset(front_end))
    if not 0.0 <= ratio < 1.0:
        raise ParameterError(f"ratio must lie within 0..1, 1 excluded, got {ratio!r}.")
    taper = frame_window(framing)
    first = int(np.argmax(taper > ratio * taper.max()))
    distance = Fraction(framing.frame_samples, 2) - first
    return max(1, round(distance / Fraction(framing.hop_length)))


def peak_pick(
    x: FloatArray,
    *,
    pre_max: int,
    post_max: int,
    pre_avg: int,
    post_avg: int,
    delta: float,
    wait: int,
) -> AnyArray:
    """Return the frames where an envelope peaks, as librosa's ``util.peak_pick`` does.

    Frame t is a peak if it is the largest of ``x[t - pre_max : t + post_max]``, is at least
    ``delta`` above the mean of ``x[t - pre_avg : t + post_avg]``, and comes more than ``wait``
    frames after the last peak. Windows end at the ends of ``x``. For windows that include their
    last frame, as SuperFlux's do, add 1 to ``post_max`` and ``post_avg``.

    Parameters
    ----------
    x : float32 array, shape (n_frames,)
        Finite.
    pre_max, pre_avg, wait : int >= 0
        Frames.
    post_max, post_avg : int > 0
        Frames; 1 looks at nothing later.
    delta : float >= 0
        In the unit of ``x``.

    Returns
    -------
    int64 array, shape (n_peaks,)
        Rising.
    """
    from featx.kernels.onset import pick_kernel

    x = _check_finite("x", x, ndim=1)
    for name, value in (("pre_max", pre_max), ("pre_avg", pre_avg), ("wait", wait)):
        _check_integer(name, value, at_least=0)
    for name, value in (("post_max", post_max), ("post_avg", post_avg)):
        _check_integer(name, value, at_least=1)
    if not 0.0 <= delta < math.inf:
        raise ParameterError(f"delta must be a finite number >= 0, got {delta!r}.")
    peaks, count = np.empty(len(x), np.int64), np.zeros(1, np.int64)
    pick_kernel(x, pre_max, post_max, pre_avg, post_avg, float(delta), wait, peaks, count)
    return peaks[: count[0]].copy()


def _check_integer(name: str, value: Any, *, at_least: int) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < at_least:
        raise ParameterError(f"{name} must be an integer >= {at_least}, got {value!r}.")


def _check_finite(name: str, x: Any, *, ndim: int = 2) -> FloatArray:
    """Return ``x`` as a contiguous array, after checking shape, dtype and values."""
    array = check_array(name, x, ndim=ndim)
    if array.size and not (array.min() > -math.inf and array.max() < math.inf):
        n_bad = np.count_nonzero(~np.isfinite(array))
        raise ParameterError(f"{name} must be finite, got {n_bad} values that are not.")
    return array
