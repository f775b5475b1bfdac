"""Pairs of onset and offset out of a detection function: candidates, fitness, schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from featx_onset import kernels

Array = npt.NDArray[Any]

#: Points of the template, and how steep its ends are.
_POINTS, _STEEPNESS = 65, 0.98


def local_maxima(x: Array, *, reach: int, threshold: float) -> Array:
    """Return the frames above ``threshold`` that no frame within ``reach`` exceeds.

    Of equal frames next to each other the first counts.

    Parameters
    ----------
    x : array, shape (n_frames,)

    Returns
    -------
    int64 array, shape (n_peaks,)
        Rising.
    """
    high = np.flatnonzero(x > threshold)
    padded = np.concatenate([np.full(reach, -np.inf), x, np.full(reach, -np.inf)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    before = padded[high + reach - 1]
    return np.asarray(high[(windows[high].max(axis=1) == x[high]) & (x[high] > before)])


def template() -> Array:
    """Return the inverse hyperbolic template: 1 at both ends, 0 in the middle, shape (65,)."""
    u = np.abs(np.linspace(-1.0, 1.0, _POINTS))
    return np.asarray(np.arctanh(_STEEPNESS * u) / np.arctanh(_STEEPNESS))


def pair_fitness(
    d: Array, onsets: Array, offsets: Array, *, shortest: int, longest: int, penalty: float
) -> Array:
    """Return every pair of an onset and a later offset, and how well the template fits it.

    The fitness is the correlation of change and template, times the geometric mean of rise and
    fall at the ends, minus ``penalty`` times the mean change in the middle 60 %.

    Parameters
    ----------
    d : float32 array, shape (n_frames, 3)
        Change, rise and fall.
    onsets, offsets : int64 arrays
        Candidates, rising frames.
    shortest, longest : int > 0
        Frames between onset and offset.

    Returns
    -------
    float64 array, shape (n_pairs, 3)
        Frame of the onset, frame of the offset, fitness.
    """
    counts = np.searchsorted(offsets, onsets + longest, "right") - np.searchsorted(
        offsets, onsets + shortest, "left"
    )
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    out = np.empty((first[-1], 3))
    kernels.fitness_kernel(d, onsets, offsets, shortest, longest, template(), penalty, first, out)
    return out


def best_pairs(pairs: Array, *, threshold: float, slack: int) -> Array:
    """Return the pairs whose fitness above ``threshold`` adds up to most, without overlap.

    Parameters
    ----------
    pairs : float64 array, shape (n_pairs, 3)
        As `pair_fitness` returns them.
    slack : int >= 0
        Frames by which a note may begin before the last one has ended; less than the shortest pair.

    Returns
    -------
    float64 array, shape (n_chosen, 3)
        By onset.
    """
    pairs = pairs[pairs[:, 2] > threshold]
    pairs = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    before = np.searchsorted(pairs[:, 1], pairs[:, 0] + slack, "right")
    chosen = np.empty(len(pairs), np.bool_)
    best = np.empty(len(pairs) + 1)
    kernels.schedule_kernel(pairs[:, 2] - threshold, before, best, chosen)
    return np.asarray(pairs[chosen])
