"""Fundamental frequency of a voice, for the pitch of notes and where it moves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from featx.analysis import yin_normalised_difference
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
#: Frames that are looked at together.
_BLOCK = 8192


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
    n_frames = 1 + len(y) // HOP
    length = _WINDOW + _LONGEST
    f0, aperiodicity = np.empty((2, n_frames))
    padded = np.zeros((n_frames - 1) * HOP + length, np.float32)
    inner = padded[length // 2 :][: len(y)]
    inner[:] = y[: len(inner)]
    for first in range(0, n_frames, _BLOCK):
        last = min(first + _BLOCK, n_frames) - 1
        d = yin_normalised_difference(
            padded[first * HOP : last * HOP + length], max_lag=_LONGEST, frame_length=length,
            win_length=_WINDOW, hop_length=HOP, center=False,
        )  # fmt: skip
        f0[first : last + 1], aperiodicity[first : last + 1] = _periods(d)
    return f0, aperiodicity


def _periods(d: Array) -> tuple[Array, Array]:
    """Return frequency and depth of the first deep trough of every row, or of the deepest place."""
    shortest = int(SR // HIGHEST)
    inside = d[:, shortest:-1]
    trough = (
        (inside < _TROUGH) & (inside < d[:, shortest - 1 : -2]) & (inside <= d[:, shortest + 1 :])
    )
    first = np.where(trough.any(axis=1), trough.argmax(axis=1), inside.argmin(axis=1))
    lags, rows = first + shortest, np.arange(len(d))
    before, here, after = (d[rows, lags + k].astype(np.float64) for k in (-1, 0, 1))
    bend, slope = before + after - 2 * here, 0.5 * (after - before)
    bent = np.abs(slope) < np.abs(bend)
    shift = np.divide(slope, bend, out=np.zeros(len(d)), where=bent)
    return SR / (lags - shift), here


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
