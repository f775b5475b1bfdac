"""Best paths: hidden Markov models decoded, and beats linked into chains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from featx.analysis.transitions import Transitions, check_below_infinity
from featx.errors import ParameterError
from featx.frontend.checks import check_array
from featx.types import AnyArray, DoubleArray, FloatArray

#: Scores kept at a time; longer sequences are computed twice, piece by piece.
_KEPT_BYTES = 1 << 26


def viterbi(
    log_observed: FloatArray,
    *,
    transitions: Transitions | AnyArray,
    log_initial: AnyArray | None = None,
    columns: AnyArray | None = None,
) -> tuple[AnyArray, float]:
    """Return the most probable sequence of states of a hidden Markov model.

    Parameters
    ----------
    log_observed : float32 array, shape (n_steps, n_columns)
        Log probability of what was observed, for every state; -inf is impossible.
    transitions : Transitions, or array of shape (n_states, n_states)
        Log probabilities of going from state to state. A matrix is turned into `Transitions` first:
        do so yourself when there are many sequences.
    log_initial : array, shape (n_states,), optional
        Log probabilities of the first state; uniform by default.
    columns : int array, shape (n_states,), optional
        The column of ``log_observed`` that a state sees. By default its own, the state's number.

    Returns
    -------
    path : int64 array, shape (n_steps,)
        Among equally probable states the lowest, decided from the end.
    log_probability : float
        Of the path together with what was observed; 0.0 without steps.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or no path is possible.

    Notes
    -----
    Scores are float32, renewed every step so that the best is 0; ties are ties of those. Memory is
    bounded by 64 MiB of scores, or 4 bytes per step and state with several predecessors.

    References
    ----------
    Rabiner. "A tutorial on hidden Markov models". Proceedings of the IEEE, 1989, eq. 32-35.
    """
    from featx.kernels.vector import lanes

    if not isinstance(transitions, Transitions):
        transitions = Transitions.from_dense(transitions)
    observed, seen = _check_observed(log_observed, transitions.n_states, columns)
    if len(observed) == 0:
        return np.empty(0, np.int64), 0.0
    first = _first_scores(observed[0][seen], log_initial)
    shift = first.max()
    path = np.empty(len(observed), np.int64)
    total = np.array([shift], np.float64)
    if shift > -math.inf:
        first -= shift
        kind, arrays = transitions.layout(lanes())
        if kind == "sparse":
            _decode_sparse(transitions, observed, seen, first, path, total)
        else:
            if columns is not None:
                observed = observed[:, seen]
            _decode(transitions, kind, arrays, observed, first, path, total)
    if total[0] == -math.inf:
        raise ParameterError(
            "log_observed, log_initial and transitions must leave a possible path, got none."
        )
    return path, float(total[0])


def link_beats(
    strength: FloatArray, *, period: float, tightness: float = 100.0
) -> tuple[FloatArray, AnyArray]:
    """Return how well a chain of beats can end at every frame, and which beat comes before.

    The score of frame t is its strength plus the largest ``score[u] - tightness * log((t - u) /
    period) ** 2`` over the frames u from two periods to half a period (rounded) earlier. Follow the
    links from a late frame with a high score to get its chain.

    Parameters
    ----------
    strength : float32 array, shape (n_frames,)
        How much every frame is like a beat; finite.
    period : float > 0
        Frames between two beats, at least 2.
    tightness : float > 0
        Penalty for deviations from the period.

    Returns
    -------
    scores : float32 array, shape (n_frames,)
    links : int64 array, shape (n_frames,)
        -1 begins a chain: too early for a beat before, or before the first frame of at least 0.01
        of the largest strength. Among equal ones the latest beat.

    References
    ----------
    Ellis. "Beat tracking by dynamic programming". Journal of New Music Research, 2007.
    """
    from featx.kernels.sequence import beat_links_kernel

    strength = check_array("strength", strength, ndim=1)
    if not np.isfinite(strength).all():
        raise ParameterError("strength must be finite, got NaN or infinite values.")
    if not 2 <= period < math.inf:
        raise ParameterError(f"period must be a finite number >= 2, got {period!r}.")
    if not 0 < tightness < math.inf:
        raise ParameterError(f"tightness must be a finite number > 0, got {tightness!r}.")
    nearest, furthest = max(1, round(period / 2)), math.floor(2 * period)
    distances = np.arange(nearest, furthest + 1)
    costs: DoubleArray = tightness * (np.log(distances) - math.log(period)) ** 2
    scores, links = np.empty(len(strength)), np.empty(len(strength), np.int64)
    floor = 0.01 * float(strength.max(initial=0.0))
    beat_links_kernel(strength, costs, nearest, floor, scores, links)
    return scores.astype(np.float32), links


def _check_observed(
    log_observed: Any, n_states: int, columns: AnyArray | None
) -> tuple[FloatArray, AnyArray]:
    """Return the observations and the column of every state."""
    log_observed = check_array("log_observed", log_observed)
    check_below_infinity("log_observed", log_observed)
    n_columns = log_observed.shape[1]
    if columns is None:
        if n_columns != n_states:
            raise ParameterError(
                f"log_observed must have a column for each of {n_states} states, got {n_columns}. "
                "Assign a column to each state with columns=."
            )
        seen = np.arange(n_states)
    else:
        seen = np.asarray(columns)
        if seen.shape != (n_states,) or seen.dtype.kind not in "iu":
            raise ParameterError(
                f"columns must be {n_states} integers, got shape {seen.shape}, dtype {seen.dtype}."
            )
        if not (seen.min() >= 0 and seen.max() < n_columns):
            raise ParameterError(
                f"columns must lie within 0..{n_columns - 1}, got {seen.min()}..{seen.max()}."
            )
        seen = seen.astype(np.int64)
    return log_observed, seen


def _first_scores(observed: FloatArray, log_initial: AnyArray | None) -> FloatArray:
    if log_initial is None:
        return observed + np.float32(-math.log(len(observed)))
    initial = np.asarray(log_initial, dtype=np.float32)
    if initial.shape != observed.shape:
        raise ParameterError(f"log_initial must have shape {observed.shape}, got {initial.shape}.")
    check_below_infinity("log_initial", initial)
    return observed + initial


def _decode_sparse(
    transitions: Transitions,
    observed: FloatArray,
    columns: AnyArray,
    first: FloatArray,
    path: AnyArray,
    total: DoubleArray,
) -> None:
    from featx.kernels.sequence import sparse_viterbi_kernel

    rows = np.stack([first, first])
    links = np.empty((len(path), max(1, int(transitions.choices.max()) + 1)), np.int32)
    sparse_viterbi_kernel(
        transitions.starts, transitions.sources, transitions.log_probabilities,
        transitions.choices, observed, columns, rows, links, path, total,
    )  # fmt: skip


def _decode(
    transitions: Transitions,
    kind: str,
    arrays: Any,
    observed: FloatArray,
    first: FloatArray,
    path: AnyArray,
    total: DoubleArray,
) -> None:
    """Compute all scores and trace the path back; piece by piece if they are too many to keep."""
    from featx.kernels.sequence import trace_kernel

    forward = _Forward(transitions.n_states, kind, arrays)
    steps = max(1, _KEPT_BYTES // (4 * forward.padded))
    begins = list(range(1, len(observed), steps))
    before = [forward.pad(first)]
    scores = np.empty((0, forward.padded), np.float32)
    for begin in begins:
        scores = forward(before[-1], observed[begin : begin + steps], total)
        before.append(scores[-1].copy())
    if total[0] == -math.inf:
        return
    path[-1] = int(np.argmax(before[-1]))
    for begin, row in zip(reversed(begins), reversed(before[:-1]), strict=True):
        if begin != begins[-1]:
            scores = forward(row, observed[begin : begin + steps], np.zeros(1))
        piece = path[begin - 1 : begin + steps]
        trace_kernel(
            transitions.starts,
            transitions.sources,
            transitions.log_probabilities,
            np.concatenate([row[np.newaxis], scores]),
            piece,
        )


class _Forward:
    """The scores of some steps after others, by a kernel for vectors."""

    def __init__(self, n_states: int, kind: str, arrays: Any) -> None:
        from featx.kernels.sequence import GROUP
        from featx.kernels.vector import lanes, marker

        width = GROUP * lanes()
        self.padded = -(-n_states // width) * width
        self._n_states, self._kind, self._arrays = n_states, kind, arrays
        self._w, self._lanes = marker(lanes()), np.empty(lanes(), np.float32)

    def pad(self, row: FloatArray) -> FloatArray:
        """Return ``row`` with impossible states behind."""
        out = np.full((*row.shape[:-1], self.padded), -math.inf, np.float32)
        out[..., : self._n_states] = row
        return out

    def __call__(self, before: FloatArray, observed: FloatArray, total: DoubleArray) -> FloatArray:
        from featx.kernels.sequence import banded_scores_kernel, dense_scores_kernel

        seen = self.pad(observed)
        scores = np.empty_like(seen)
        if self._kind == "dense":
            n = self._n_states
            dense_scores_kernel(self._w, n, self._arrays, seen, before, self._lanes, scores, total)
        else:
            size = self.padded + 2 * self._arrays[3]
            work = np.full(size, -math.inf, np.float32)
            banded_scores_kernel(
                self._w, self._arrays, seen, before, work, self._lanes, scores, total
            )
        return scores
