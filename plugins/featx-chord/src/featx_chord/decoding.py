"""From frames to spans: the most probable sequence of classes, cut where it changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.analysis import Transitions, viterbi

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

__all__ = ["lasting", "softmax", "spans"]


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
        ``label(state, frames)``: the label of a state in a slice of frames.

    Returns
    -------
    dict of time, end, ``column`` and confidence (mean probability of the state)
    """
    path, _ = viterbi(log_observed, transitions=transitions)
    edges = np.minimum([0.0, *(times[:-1] + times[1:]) / 2, duration], duration)
    first = np.flatnonzero(np.diff(path, prepend=-1))
    last = [*first[1:], len(path)]
    probability = softmax(log_observed)[np.arange(len(path)), path]
    rows = [
        (a, b, label(int(path[a]), slice(a, b)), probability[a:b])
        for a, b in zip(first, last, strict=True)
    ]
    return _joined(rows, edges, column)


def _joined(rows: Sequence[Any], edges: DoubleArray, column: str) -> dict[str, Any]:
    merged: list[list[Any]] = []
    for a, b, text, probability in rows:
        if edges[b] <= edges[a]:  # a frame that is centred on the end of the recording
            continue
        if merged and merged[-1][2] == text:
            merged[-1][1] = edges[b]
            merged[-1][3].append(probability)
        else:
            merged.append([edges[a], edges[b], text, [probability]])
    return {
        "time": [row[0] for row in merged],
        "end": [row[1] for row in merged],
        column: [row[2] for row in merged],
        "confidence": [float(np.concatenate(row[3]).mean()) for row in merged],
    }
