"""YIN: difference functions of frames and the fundamental frequency read from them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.checks import check_finite, check_waveform, frozen
from featx.types import DoubleArray, FloatArray

#: Frames computed together; what they share is computed once.
_BLOCK = 64


def yin_difference(
    y: FloatArray,
    *,
    max_lag: int,
    frame_length: int = 2048,
    win_length: int | None = None,
    hop_length: int | None = None,
    center: bool = True,
    pad_mode: str = "constant",
) -> FloatArray:
    """Return how much every frame differs from itself some samples later.

    Column k is the sum of ``(x[j] - x[j + k]) ** 2`` over j < ``win_length``, x being the frame
    followed by zeros.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform.
    max_lag : int > 0
        Largest lag in samples, below ``frame_length``.
    frame_length, hop_length : int > 0
        Samples; a hop is a quarter of a frame by default.
    win_length : int > 0, optional
        Samples that are compared with later ones. By default all of the frame, as in librosa 0.11:
        the zeros then raise long lags, which keeps multiples of the period away. With
        ``frame_length - max_lag`` or less no zero is met, as in the paper.
    center : bool
        Centre frame t on sample ``t * hop_length``; else it begins there.
    pad_mode : {'constant', 'reflect'}
        What centred frames see beyond the ends; a signal too short to reflect gets zeros.

    Returns
    -------
    float32 array, shape (n_frames, max_lag + 1), >= 0
        Column 0 is 0. ``n_frames`` as for front ends; no samples give no frames.

    Raises
    ------
    ParameterError
        If ``y`` is not a float32 waveform within ±1e9, or another argument breaks its rule.

    References
    ----------
    de Cheveigné, Kawahara. "YIN, a fundamental frequency estimator for speech and music". JASA,
    2002, eq. 6.
    """
    y = check_waveform(y)
    check_finite(y)
    hop, win = _sizes(frame_length, win_length, hop_length, max_lag, pad_mode)
    left = frame_length // 2 if center else 0
    spare = len(y) + 2 * left - frame_length
    total = 0 if len(y) == 0 or spare < 0 else 1 + spare // hop
    out = np.empty((total, max_lag + 1), np.float32)
    reflect = pad_mode == "reflect" and len(y) > left
    for first, samples in _blocks(y, total, hop, frame_length, left, reflect):
        _difference(samples, hop, frame_length, win, out[first : first + _BLOCK])
    return out


def yin_normalised_difference(
    y: FloatArray,
    *,
    max_lag: int,
    frame_length: int = 2048,
    win_length: int | None = None,
    hop_length: int | None = None,
    center: bool = True,
    pad_mode: str = "constant",
) -> FloatArray:
    """Return the difference function over its mean up to each lag: near 0 at periods, else near 1.

    Parameters and errors as `yin_difference`.

    Returns
    -------
    float32 array, shape (n_frames, max_lag + 1), >= 0
        Column 0 is 1, and silent frames are 1.

    References
    ----------
    de Cheveigné, Kawahara. "YIN, a fundamental frequency estimator for speech and music". JASA,
    2002, eq. 8.
    """
    from featx.kernels.pitch import normalise_difference_kernel

    d = yin_difference(
        y, max_lag=max_lag, frame_length=frame_length, win_length=win_length,
        hop_length=hop_length, center=center, pad_mode=pad_mode,
    )  # fmt: skip
    normalise_difference_kernel(d, d)
    return d


def yin_blocks(
    y: FloatArray, *, max_lag: int, win_length: int, hop_length: int, block: int = 8192
) -> Iterator[tuple[int, FloatArray]]:
    """Yield the normalised difference functions of a long signal, some thousand frames at a time.

    Frame t is centred on sample ``t * hop_length``, and compares ``win_length`` samples with the
    ``max_lag`` that follow, zeros beyond the ends of the signal.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform.
    max_lag, win_length, hop_length, block : int > 0
        Samples, and frames at a time.

    Yields
    ------
    first : int
        The number of the first of these frames; there are ``1 + n_samples // hop_length`` in all.
    d : float32 array, shape (n_frames, max_lag + 1), >= 0
        As `yin_normalised_difference` returns it.
    """
    n_frames, length = 1 + len(y) // hop_length, win_length + max_lag
    for first in range(0, n_frames, block):
        last = min(first + block, n_frames) - 1
        samples = np.zeros((last - first) * hop_length + length, np.float32)
        start = first * hop_length - length // 2
        inner = y[max(start, 0) : start + len(samples)]
        samples[max(-start, 0) :][: len(inner)] = inner
        yield first, yin_normalised_difference(
            samples, max_lag=max_lag, frame_length=length, win_length=win_length,
            hop_length=hop_length, center=False,
        )  # fmt: skip


def yin(
    y: FloatArray,
    *,
    fmin: float,
    fmax: float,
    sr: int = 22050,
    frame_length: int = 2048,
    win_length: int | None = None,
    hop_length: int | None = None,
    trough_threshold: float = 0.1,
    center: bool = True,
    pad_mode: str = "constant",
) -> FloatArray:
    """Return the fundamental frequency of every frame by YIN, as librosa's ``yin`` does.

    The smallest lag counts at which the normalised difference has a trough below the threshold; if
    there is none, the lag at which it is lowest. There is no decision on voicing: noise gets some
    frequency, and silence the highest one, ``sr / floor(sr / fmax)``. A tone above ``fmax`` is
    found at the first of its sub-multiples (f / 2, f / 3, …) within range.

    By default, numbers are librosa's, and low tones come out some cents too high: the zeros behind
    the frame pull the trough to shorter lags. ``win_length=frame_length // 2`` has no such bias for
    periods up to the other half.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform.
    fmin, fmax : float > 0
        Range in Hz, ``fmin < fmax <= sr / 2``. A frame must be longer than a period of ``fmin``;
        two periods and more are wise.
    sr : int > 0
        Rate of ``y`` in Hz.
    trough_threshold : float > 0
        Of the normalised difference.
    frame_length, win_length, hop_length, center, pad_mode
        As in `yin_difference`.

    Returns
    -------
    float32 array, shape (n_frames,)
        Hz, between about ``fmin`` and ``fmax``.

    Raises
    ------
    ParameterError
        As `yin_difference`, or if the range breaks its rule.

    References
    ----------
    de Cheveigné, Kawahara. "YIN, a fundamental frequency estimator for speech and music". JASA,
    2002.
    """
    from featx.kernels.pitch import yin_kernel

    if sr <= 0:
        raise ParameterError(f"sr must be > 0, got {sr}.")
    if not 0 < fmin < fmax <= sr / 2:
        raise ParameterError(
            f"fmin and fmax must be within 0 < fmin < fmax <= sr / 2 = {sr / 2:g} Hz, "
            f"got {fmin:g} and {fmax:g}."
        )
    if not trough_threshold > 0:
        raise ParameterError(f"trough_threshold must be > 0, got {trough_threshold!r}.")
    longest = math.ceil(sr / fmin)
    if longest >= frame_length:
        raise ParameterError(
            f"frame_length must exceed a period of fmin, {longest} samples, got {frame_length}. "
            "Raise fmin or take longer frames."
        )
    d = yin_normalised_difference(
        y, max_lag=longest, frame_length=frame_length, win_length=win_length,
        hop_length=hop_length, center=center, pad_mode=pad_mode,
    )  # fmt: skip
    out = np.empty(len(d), np.float32)
    yin_kernel(d, int(sr // fmax), np.float32(trough_threshold), float(sr), out)
    return out


def yin_periods(
    d: FloatArray, *, min_lag: int, trough_threshold: float
) -> tuple[DoubleArray, FloatArray]:
    """Return the period of every frame and how aperiodic it is, as the second half of YIN.

    Parameters
    ----------
    d : float32 array, shape (n_frames, max_lag + 1)
        Normalised difference functions.
    min_lag : int > 0
        Shortest period in samples, below ``max_lag``.
    trough_threshold : float > 0
        The first trough below it is the period; where there is none, the lowest place.

    Returns
    -------
    lags : float64 array, shape (n_frames,)
        In samples, refined by a parabola.
    aperiodicity : float32 array of the same shape
        About 0 for tones, about 1 for noise; 1 for silence.
    """
    inside = d[:, min_lag:-1]
    trough = (
        (inside < trough_threshold)
        & (inside < d[:, min_lag - 1 : -2])
        & (inside <= d[:, min_lag + 1 :])
    )
    first = np.where(trough.any(axis=1), trough.argmax(axis=1), inside.argmin(axis=1))
    lags, rows = first + min_lag, np.arange(len(d))
    before, here, after = (d[rows, lags + k].astype(np.float64) for k in (-1, 0, 1))
    bend, slope = before + after - 2 * here, 0.5 * (after - before)
    bent = np.abs(slope) < np.abs(bend)
    shift = np.divide(slope, bend, out=np.zeros(len(d)), where=bent)
    return lags - shift, here.astype(np.float32)


def _sizes(
    frame_length: Any, win_length: Any, hop_length: Any, max_lag: Any, pad_mode: str
) -> tuple[int, int]:
    """Return hop and window in samples, after checking all sizes."""
    if not isinstance(frame_length, int) or frame_length < 2:
        raise ParameterError(f"frame_length must be an integer > 1, got {frame_length!r}.")
    hop = max(1, frame_length // 4) if hop_length is None else hop_length
    win = frame_length if win_length is None else win_length
    if not isinstance(hop, int) or hop < 1:
        raise ParameterError(f"hop_length must be an integer > 0, got {hop!r}.")
    if not isinstance(win, int) or not 1 <= win <= frame_length:
        raise ParameterError(
            f"win_length must be an integer within 1..{frame_length}, got {win!r}."
        )
    if not isinstance(max_lag, int) or not 1 <= max_lag < frame_length:
        raise ParameterError(
            f"max_lag must be an integer within 1..frame_length - 1 = {frame_length - 1}, "
            f"got {max_lag!r}."
        )
    if pad_mode not in ("constant", "reflect"):
        raise ParameterError(f"pad_mode must be 'constant' or 'reflect', got {pad_mode!r}.")
    return hop, win


def _blocks(
    y: FloatArray, total: int, hop: int, frame_length: int, left: int, reflect: bool
) -> Iterator[tuple[int, FloatArray]]:
    """Yield the first frame of every block and the samples that its frames look at."""
    for first in range(0, total, _BLOCK):
        start = first * hop - left
        stop = start + (min(_BLOCK, total - first) - 1) * hop + frame_length
        if start >= 0 and stop <= len(y):
            yield first, y[start:stop]
        elif reflect:
            i = np.abs(np.arange(start, stop))
            yield first, y[np.minimum(i, 2 * (len(y) - 1) - i)]
        else:
            samples = np.zeros(stop - start, np.float32)
            inner = y[max(start, 0) : max(stop, 0)]
            samples[max(-start, 0) :][: len(inner)] = inner
            yield first, samples


def _difference(
    samples: FloatArray, hop: int, frame_length: int, win: int, out: FloatArray
) -> None:
    """Write the difference functions of a block of frames, by vectors where there are some."""
    from featx.kernels.pitch import GROUP, difference_kernel, lane_difference_kernel
    from featx.kernels.plan import workspaces
    from featx.kernels.vector import lanes, marker

    samples = frozen(samples)
    count = lanes()
    if count == 0:
        difference_kernel(samples, hop, frame_length, win, out)
        return
    group = GROUP * count
    n_lags = -(-out.shape[1] // group) * group
    rows = 2 * (_BLOCK + min(win, frame_length) // hop)
    pieces, tail, lags = workspaces.take((rows * group, 2 * group, _BLOCK * n_lags))
    d, energies = lags.reshape(_BLOCK, n_lags)[: len(out)], np.empty(_BLOCK)
    lane_difference_kernel(
        marker(count), samples, hop, frame_length, win, pieces, tail, energies, d
    )
    out[:] = d[:, : out.shape[1]]
