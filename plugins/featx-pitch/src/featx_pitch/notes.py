"""Notes out of pitch, voicing and level."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Frames a second.
RATE = 100.0
#: Unvoiced frames that a note may have inside.
_BRIDGE = 2
#: Frames on either side of a step, and cents by which their medians differ.
_REACH, _STEP = 7, 100.0
#: Frames of one period of vibrato: over so many, too, must the pitch move, by half as much.
_VIBRATO = 18
#: Frames around a dip of the level within which it must be higher, and by how many dB.
_AROUND, _DIP = 12, 8.0
#: Frames to either side within which nothing may be louder by more than these dB.
_NEAR, _BELOW = 30, 10.0


def find_notes(pitch: Array, voiced: Array, levels: Array, *, shortest: float) -> Array:
    """Return the notes of one voice.

    A note is a run of voiced frames that are not much softer than those 0.3 s before and behind. It
    is divided where the median pitch moves by a semitone within 0.14 s, unless it is vibrato, and
    where the level rises again after a dip.

    Parameters
    ----------
    pitch : float64 array, shape (n_frames,)
        In Hz, > 0.
    voiced : bool array of the same shape
    levels : float64 array of the same shape
        RMS.
    shortest : float > 0
        Seconds.

    Returns
    -------
    float64 array, shape (n_notes, 3)
        First frame, the one behind the last, and median frequency.
    """
    cents = 1200.0 * np.log2(pitch / 440.0)
    decibels = 20.0 * np.log10(np.maximum(levels, 1e-9))
    padded = np.pad(decibels, _NEAR, constant_values=-np.inf)
    loudest = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEAR + 1).max(axis=1)
    voiced = voiced & (decibels >= loudest - _BELOW)
    notes = []
    for start, stop in _runs(voiced):
        cuts = np.union1d(
            start + pitch_steps(cents[start:stop]), start + rises_after_dips(decibels[start:stop])
        )
        edges = [start, *_apart(cuts, start, stop, round(shortest * RATE)), stop]
        for a, b in pairwise(edges):
            inside = pitch[a:b][voiced[a:b]]
            if b - a >= shortest * RATE and len(inside):
                notes.append((a, b, float(np.median(inside))))
    return np.array(notes, np.float64).reshape(-1, 3)


def _runs(voiced: Array) -> Array:
    """Return start and stop of the runs of voiced frames, short gaps filled, (n_runs, 2)."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]]).astype(np.int8)))
    runs = changes.reshape(-1, 2)
    if len(runs) == 0:
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] > _BRIDGE
    starts = runs[np.concatenate([[True], apart]), 0]
    stops = runs[np.concatenate([apart, [True]]), 1]
    return np.stack([starts, stops], axis=1)


def _apart(cuts: Array, start: int, stop: int, least: int) -> list[int]:
    """Return the cuts that leave at least ``least`` frames on either side."""
    chosen, last = [], start
    for cut in cuts.tolist():
        if cut - last >= least and stop - cut >= least:
            chosen.append(int(cut))
            last = cut
    return chosen


def pitch_steps(cents: Array) -> Array:
    """Return the frames where the median of the pitch behind differs most from that before."""
    move = _median_moves(cents, _REACH)
    move[_median_moves(cents, _VIBRATO) < _STEP / 2] = 0.0
    return _peaks(move, threshold=_STEP, reach=_REACH)


def _median_moves(cents: Array, reach: int) -> Array:
    """Return how far the medians of ``reach`` frames behind and before every frame lie apart."""
    padded = np.pad(cents, reach, mode="edge")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, reach), axis=1)
    return np.asarray(np.abs(median[reach:] - median[:-reach])[: len(cents)])


def rises_after_dips(decibels: Array) -> Array:
    """Return the frames where the level rises fastest after a dip between louder parts."""
    n = len(decibels)
    if n < 2 * _AROUND:
        return np.zeros(0, np.int64)
    padded = np.pad(decibels, _AROUND, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(padded, _AROUND).max(axis=1)
    depth = np.minimum(highest[:n], highest[_AROUND + 1 :][:n]) - decibels
    dips = _peaks(depth, threshold=_DIP, reach=_AROUND // 2)
    slope = np.diff(decibels, append=decibels[-1])
    return np.array([dip + int(np.argmax(slope[dip : dip + _AROUND])) for dip in dips], np.int64)


def _peaks(x: Array, *, threshold: float, reach: int) -> Array:
    """Return the frames above ``threshold`` that no frame within ``reach`` exceeds.

    Of equal ones the middle.
    """
    padded = np.pad(x, reach, constant_values=-np.inf)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    frames = np.flatnonzero((x >= threshold) & (x == highest))
    groups = np.split(frames, np.flatnonzero(np.diff(frames) > reach) + 1)
    return np.array([group[len(group) // 2] for group in groups if len(group)], np.int64)
