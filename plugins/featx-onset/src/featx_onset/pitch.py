"""Fundamental frequency of a voice, for the pitch of notes and where it moves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from featx.analysis import yin_blocks, yin_periods
from featx_onset.config import SR

Array = npt.NDArray[Any]

#: Samples between frames, and range in Hz.
HOP, LOWEST, HIGHEST = 160, 65.0, 1100.0
#: Samples that are compared, and the longest lag.
_WINDOW, _LONGEST = 512, math.ceil(SR / LOWEST)
#: A trough below this is a period; of several the first.
_TROUGH = 0.15
#: Frames with more aperiodicity have no pitch.
VOICED = 0.3


def pitch_track(y: Array) -> tuple[Array, Array]:
    """Return frequency and aperiodicity by YIN, 100 frames a second.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        At 16000 Hz.

    Returns
    -------
    f0 : float64 array, shape (1 + n_samples // 160,)
        In Hz.
    aperiodicity : float64 array of the same shape
        About 0 for tones, about 1 for noise; 1 for silence.
    """
    f0, aperiodicity = np.empty((2, 1 + len(y) // HOP))
    for first, d in yin_blocks(y, max_lag=_LONGEST, win_length=_WINDOW, hop_length=HOP):
        rows = slice(first, first + len(d))
        lags, aperiodicity[rows] = yin_periods(
            d, min_lag=int(SR // HIGHEST), trough_threshold=_TROUGH
        )
        f0[rows] = SR / lags
    return f0, aperiodicity


def held_pitch(f0: Array, voiced: Array) -> Array:
    """Return the pitch in cents above 440 Hz, held where there is none; 0 without any."""
    frames = np.flatnonzero(voiced)
    if len(frames) == 0:
        return np.zeros(len(f0))
    last = np.searchsorted(frames, np.arange(len(f0)), "right") - 1
    return np.asarray(1200.0 * np.log2(f0[frames[np.maximum(last, 0)]] / 440.0))


def pitch_steps(f0: Array, voiced: Array, *, cents: float = 80.0) -> Array:
    """Return the frames where the median pitch of 200 ms moves by more than ``cents`` in 100 ms."""
    if len(f0) < 11:
        return np.zeros(0, np.int64)
    held = np.pad(held_pitch(f0, voiced), 10, mode="edge")
    median = np.median(np.lib.stride_tricks.sliding_window_view(held, 21), axis=1)
    move = np.zeros(len(f0))
    move[5:-5] = np.abs(median[10:] - median[:-10])
    move[~voiced] = 0.0
    padded = np.pad(move, 10)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 21).max(axis=1)
    frames = np.flatnonzero((move > cents) & (move == highest))
    return np.asarray(frames[np.diff(frames, prepend=-100) > 10])


def note_pitch(f0: Array, voiced: Array, spans: Array) -> Array:
    """Return the median frequency of every span of frames, NaN where none of them is voiced."""
    out = np.full(len(spans), np.nan)
    for k, (start, end) in enumerate(spans):
        inside = slice(int(np.ceil(start)), int(end) + 1)
        pitch = f0[inside][voiced[inside]]
        if len(pitch):
            out[k] = np.median(pitch)
    return out
