"""Scalar descriptors of magnitude spectra and frames, as librosa defines them.

Every function takes the spectra of some frames and answers for each frame alone, so a recording
may come in blocks. Silent frames give 0, and full flatness.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from featx_spectral.config import CONTRAST_BANDS, CONTRAST_FMIN

Array = npt.NDArray[Any]

#: Power below which a bin counts as this much, in `flatness`.
_FLATNESS_FLOOR = 1e-10
#: Share of a band's bins that make its peak and its valley.
_CONTRAST_QUANTILE = 0.02
#: Samples this small count as zero, as in librosa.
_ZERO = 1e-10
#: Power and dynamic range of the decibels in `contrast_db`.
_CONTRAST_FLOOR, _CONTRAST_RANGE_DB = 1e-10, 80.0


def moments(S: Array, frequencies: Array) -> tuple[Array, Array]:
    """Return centroid and bandwidth in Hz: mean and standard deviation of frequency under |X|."""
    weights = S.astype(np.float64)
    total = weights.sum(axis=1, keepdims=True)
    np.divide(weights, total, out=weights, where=total > 0)
    centroid = weights @ frequencies
    spread = (frequencies - centroid[:, np.newaxis]) ** 2
    return centroid, np.sqrt((weights * spread).sum(axis=1))


def rolloff(S: Array, frequencies: Array, *, roll_percent: float) -> Array:
    """Return the lowest frequency in Hz with ``roll_percent`` of the magnitude at or below it."""
    below = np.cumsum(S, axis=1, dtype=np.float64)
    return np.asarray(frequencies[(below >= roll_percent * below[:, -1:]).argmax(axis=1)])


def flatness(S: Array) -> Array:
    """Return geometric over arithmetic mean of the power: 1 for noise and silence, 0 for a tone."""
    power = np.maximum(_FLATNESS_FLOOR, S.astype(np.float64) ** 2)
    return np.asarray(np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1))


def peaks_and_valleys(S: Array, frequencies: Array) -> tuple[Array, Array]:
    """Return the means of the loudest and faintest bins of every octave band, (n, bands)."""
    edges = np.concatenate([[0.0], CONTRAST_FMIN * 2.0 ** np.arange(CONTRAST_BANDS + 1)])
    peaks, valleys = [], []
    for band in range(CONTRAST_BANDS + 1):
        first = int(np.searchsorted(frequencies, edges[band], side="left"))
        stop = int(np.searchsorted(frequencies, edges[band + 1], side="right"))
        if band > 0:
            first -= 1
        if band == CONTRAST_BANDS:
            stop = len(frequencies)
        count = max(1, int(np.rint(_CONTRAST_QUANTILE * (stop - first))))
        if band < CONTRAST_BANDS:
            stop -= 1
        ordered = np.sort(S[:, first:stop], axis=1)
        valleys.append(ordered[:, :count].mean(axis=1))
        peaks.append(ordered[:, -count:].mean(axis=1))
    return np.stack(peaks, axis=1), np.stack(valleys, axis=1)


def contrast_db(peaks: Array, valleys: Array) -> Array:
    """Return peak over valley in dB for a whole recording, each within 80 dB of its own maximum."""
    return _decibels(peaks) - _decibels(valleys)


def _decibels(x: Array) -> Array:
    level = 10.0 * np.log10(np.maximum(_CONTRAST_FLOOR, x.astype(np.float64)))
    return np.asarray(np.maximum(level, level.max(initial=-np.inf) - _CONTRAST_RANGE_DB))


def flux(S: Array, before: Array) -> Array:
    """Return the rise of the magnitudes since the frame before, summed, over half the frame length.

    A sine of amplitude a that starts out of silence adds up to a. ``before`` is the last spectrum
    of the previous block, or the first of this one.
    """
    rise = np.maximum(np.diff(np.vstack([before[np.newaxis], S]), axis=0), 0.0)
    return np.asarray(rise.sum(axis=1, dtype=np.float64) / (S.shape[1] - 1))


def frame_levels(
    y: Array, first: int, n_frames: int, *, frame_length: int, hop_length: int
) -> tuple[Array, Array]:
    """Return zero-crossing rate and RMS of ``n_frames`` centred frames from ``first`` on.

    Beyond its ends the signal is zero for the RMS, and keeps its sign for the crossings.
    """
    start = first * hop_length - frame_length // 2
    length = (n_frames - 1) * hop_length + frame_length
    places = np.arange(start, start + length)
    edge = y[np.clip(places, 0, len(y) - 1)]
    inside = np.where((places >= 0) & (places < len(y)), edge, 0.0).astype(np.float64)
    squares = np.lib.stride_tricks.sliding_window_view(inside, frame_length)[::hop_length]
    rms = np.sqrt(np.einsum("tj,tj->t", squares, squares) / frame_length)
    negative = np.signbit(np.where(np.abs(edge) <= _ZERO, np.float32(0.0), edge))
    crossings = (negative[1:] != negative[:-1]).astype(np.float32)
    spans = np.lib.stride_tricks.sliding_window_view(crossings, frame_length - 1)[::hop_length]
    return spans.sum(axis=1, dtype=np.float64) / frame_length, rms
