"""From frames to spans: the most probable sequence of classes, cut where it changes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.analysis import Transitions, viterbi

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray


def lasting(n_states: int, *, hop: float, mean_duration: float) -> Transitions:
    """Return transitions of states that last so many seconds on average, then change to any other.

    Parameters
    ----------
    n_states : int > 1
    hop, mean_duration : float > 0
        Seconds between two frames, and that a state lasts.
    """
    leave = min(hop / mean_duration, 0.5)
    matrix = np.full((n_states, n_states), math.log(leave / (n_states - 1)))
    np.fill_diagonal(matrix, math.log(1.0 - leave))
    return Transitions.from_dense(matrix)


def unit(rows: FloatArray) -> FloatArray:
    """Return rows, along the last axis, of length 1; zero where they are zero."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1.0), np.float32)


def softmax(scores: FloatArray) -> FloatArray:
    """Return probabilities over the last axis."""
    x = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(x / x.sum(axis=-1, keepdims=True))


def spans(
    log_observed: FloatArray,
    times: DoubleArray,
    duration: float,
    *,
    transitions: Transitions,
    column: str,
    label: Callable[[int, slice], str],
) -> dict[str, Any]:
    """Decode frames and return the spans of equal labels as columns of events.

    Parameters
    ----------
    log_observed : float32 array, shape (n_frames, n_states), n_frames > 0
        Log probabilities of the states in every frame.
    times : float64 array, shape (n_frames,)
        Centres of the frames in seconds. A state changes half-way between two of them.
    duration : float
        Seconds of the recording, where the last span ends.
    transitions : Transitions
    column : str
        Name of the column of labels.
    label : callable
        ``label(state, frames)`` of a state in a slice of frames; no two states share one.

    Returns
    -------
    dict of time, end, ``column`` and confidence (mean probability of the state)
    """
    path, _ = viterbi(log_observed, transitions=transitions)
    edges = np.minimum([0.0, *(times[:-1] + times[1:]) / 2, duration], duration)
    probability = softmax(log_observed)[np.arange(len(path)), path]
    first = np.flatnonzero(np.diff(path, prepend=-1))
    runs = [slice(a, b) for a, b in zip(first, [*first[1:], len(path)], strict=True)]
    # a frame that is centred on the end of the recording has no duration
    runs = [run for run in runs if edges[run.start] < edges[run.stop]]
    return {
        "time": [edges[run.start] for run in runs],
        "end": [edges[run.stop] for run in runs],
        column: [label(int(path[run.start]), run) for run in runs],
        "confidence": [float(probability[run].mean()) for run in runs],
    }
