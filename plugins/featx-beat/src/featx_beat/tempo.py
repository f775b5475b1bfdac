"""Tempo from the periodicity of an envelope, with how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray, FloatArray

__all__ = ["periodicity", "tempo_candidates", "tempo_of_beats"]

#: Seconds over which the envelope is compared with itself, and the mean of the prior.
_WINDOW, _CENTRE = 8.0, 120.0
#: Relations of tempi that are taken for one another.
_RELATIVES = (0.5, 2.0, 1 / 3, 3.0, 2 / 3, 1.5)


def periodicity(strength: FloatArray, *, fps: float) -> DoubleArray:
    """Return how much an envelope is like itself a number of frames later, 0..1.

    The mean is taken out, windows of 8 s are compared with themselves, and their sums are divided
    by that of lag 0. White noise gives a few hundredths.

    Parameters
    ----------
    strength : float32 array, shape (n_frames,)
    fps : float > 0
        Frames per second.

    Returns
    -------
    float64 array, shape (n_lags,)
        Of lags 0, 1, ... up to half a window, or the length of the envelope; zeros for a constant.
    """
    n = min(round(_WINDOW * fps), len(strength))
    lags = n // 2 + 1
    total = np.zeros(lags)
    if n == 0:
        return total
    hop = max(1, n // 2)
    for begin in range(0, max(1, len(strength) - n + 1), hop):
        part = strength[begin : begin + n].astype(np.float64)
        part -= part.mean()
        spectrum = np.fft.rfft(part, 2 * n)
        total += np.fft.irfft(np.abs(spectrum) ** 2)[:lags]
    if total[0] <= 1e-12:
        return np.zeros(lags)
    # fewer products meet at long lags
    total *= n / (n - np.arange(lags))
    similar: DoubleArray = np.clip(total / total[0], 0.0, 1.0)
    return similar


def tempo_candidates(
    similar: DoubleArray, *, fps: float, min_bpm: float, max_bpm: float
) -> DoubleArray:
    """Return the likely tempi in beats per minute, most likely first.

    Local maxima of the `periodicity` within the limits, weighted by a Gaussian of one octave around
    120 per minute.
    """
    lags = np.arange(1, len(similar) - 1)
    bpm = 60.0 * fps / lags
    peaks = (similar[1:-1] > similar[:-2]) & (similar[1:-1] >= similar[2:]) & (similar[1:-1] > 0)
    peaks &= (bpm >= min_bpm) & (bpm <= max_bpm)
    lags, bpm = lags[peaks], bpm[peaks]
    prior = np.exp(-0.5 * np.log2(bpm / _CENTRE) ** 2)
    order = np.argsort(-similar[lags] * prior, kind="stable")
    tempi: DoubleArray = 60.0 * fps / (lags[order] + _vertex(similar, lags[order]))
    return tempi


def _vertex(values: DoubleArray, places: AnyArray) -> DoubleArray:
    before, here, after = values[places - 1], values[places], values[places + 1]
    curve = before - 2 * here + after
    moves = 0.5 * (before - after) / np.where(curve < 0, curve, 1.0)
    vertex: DoubleArray = np.where(curve < 0, moves, 0.0)
    return vertex


def tempo_of_beats(
    seconds: DoubleArray, similar: DoubleArray, *, fps: float
) -> tuple[DoubleArray, DoubleArray]:
    """Return the tempo of beats and its nearest rival in beats per minute, and confidences.

    The tempo follows from the median distance of beats. The rival is that simple multiple
    which the `periodicity` supports most; the confidences are their shares of it. The tempo of the
    beats comes first, also where the rival has more support: most music repeats every bar, too.
    """
    if len(seconds) < 2:
        return np.empty(0), np.empty(0)
    tempo = 60.0 / float(np.median(np.diff(seconds)))

    def support(bpm: float) -> float:
        lag = 60.0 * fps / bpm
        near = similar[max(1, int(lag)) : int(lag) + 2]
        return float(near.max(initial=0.0))

    rivals = [tempo * factor for factor in _RELATIVES if 30.0 <= tempo * factor <= 300.0]
    rival = max(rivals, key=support)
    shares = np.array([support(tempo), support(rival)]) + 1e-9
    return np.array([tempo, rival]), shares / shares.sum()
