"""Transitions between the states of a hidden Markov model, and how `viterbi` reads them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from featx.errors import ParameterError
from featx.types import AnyArray, FloatArray

#: Estimated cycles of a vector of a matrix or band, most of them for its way from the cache; of an
#: edge and of a state of sparse transitions.
_VECTOR, _EDGE, _STATE = 5.0, 2.5, 3.0


@dataclass(frozen=True, eq=False)
class Transitions:
    """Log probabilities of going from state to state, as the edges that are possible.

    Made by `from_dense` or `from_edges`. How they are laid out for `viterbi` (a matrix, diagonals
    or edges) follows from their pattern and changes its speed only.

    Attributes
    ----------
    n_states : int > 0
    starts : int64 array, shape (n_states + 1,)
        The edges into state j are ``starts[j] .. starts[j + 1] - 1``.
    sources : int64 array, shape (n_edges,)
        Where they come from, rising for every j.
    log_probabilities : float32 array, shape (n_edges,)
        Natural logarithms, or any other scores; finite.
    """

    n_states: int
    starts: AnyArray
    sources: AnyArray
    log_probabilities: FloatArray

    @classmethod
    def from_dense(cls, log_transition: AnyArray) -> Transitions:
        """Take a matrix whose entry (i, j) leads from i to j; -inf is impossible.

        Raises
        ------
        ParameterError
            If it is not square, or holds NaN or +inf.
        """
        matrix = np.asarray(log_transition, dtype=np.float32)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
            raise ParameterError(f"log_transition must be square, got shape {matrix.shape}.")
        check_below_infinity("log_transition", matrix)
        if (
            len(matrix) > 1
            and (matrix >= 0).all()
            and np.allclose(matrix.sum(axis=1), 1, atol=1e-4)
        ):
            raise ParameterError(
                "log_transition must be logarithms, got probabilities: every row sums to 1. "
                "Take np.log of them."
            )
        targets, sources = np.nonzero(-math.inf < matrix.T)
        return cls._sorted(len(matrix), sources, targets, matrix[sources, targets])

    @classmethod
    def from_edges(
        cls, sources: AnyArray, targets: AnyArray, log_probabilities: AnyArray, *, n_states: int
    ) -> Transitions:
        """Take edges in any order, each from a source to a target state.

        Parameters
        ----------
        sources, targets : int arrays, shape (n_edges,)
            States 0 .. n_states - 1; no pair twice.
        log_probabilities : array, shape (n_edges,)
            -inf drops the edge.
        n_states : int > 0
        """
        ends = np.asarray(sources), np.asarray(targets)
        weights = np.asarray(log_probabilities, dtype=np.float32)
        if n_states < 1:
            raise ParameterError(f"n_states must be an integer > 0, got {n_states}.")
        for name, states in zip(("sources", "targets"), ends, strict=True):
            if states.shape != weights.shape or states.ndim != 1 or states.dtype.kind not in "iu":
                raise ParameterError(
                    f"{name} must be integers, one for each of {weights.shape} probabilities, "
                    f"got shape {states.shape}, dtype {states.dtype}."
                )
            if len(states) and not (states.min() >= 0 and states.max() < n_states):
                raise ParameterError(
                    f"{name} must lie within 0..{n_states - 1}, got {states.min()}..{states.max()}."
                )
        check_below_infinity("log_probabilities", weights)
        possible = weights > -math.inf
        source, target = (states[possible].astype(np.int64) for states in ends)
        order = np.lexsort((source, target))
        source, target, weights = source[order], target[order], weights[possible][order]
        if ((np.diff(source) == 0) & (np.diff(target) == 0)).any():
            raise ParameterError("sources and targets must be different pairs, got one twice.")
        return cls._sorted(n_states, source, target, weights)

    @classmethod
    def _sorted(
        cls, n_states: int, sources: AnyArray, targets: AnyArray, weights: FloatArray
    ) -> Transitions:
        starts = np.zeros(n_states + 1, np.int64)
        np.cumsum(np.bincount(targets, minlength=n_states), out=starts[1:])
        return cls(n_states, starts, sources, np.ascontiguousarray(weights))

    @cached_property
    def targets(self) -> AnyArray:
        """Where every edge leads."""
        return np.repeat(np.arange(self.n_states), np.diff(self.starts))

    @cached_property
    def choices(self) -> AnyArray:
        """Number the states that are reached from several; -1 for the others."""
        several = np.diff(self.starts) > 1
        return np.where(several, np.cumsum(several) - 1, -1)

    @cached_property
    def _layouts(self) -> dict[int, tuple[str, Any]]:
        return {}

    def layout(self, lanes: int) -> tuple[str, Any]:
        """Return 'dense', 'banded' or 'sparse', the fastest for so many lanes, and its arrays."""
        if lanes == 0:
            return "sparse", None
        if lanes not in self._layouts:
            self._layouts[lanes] = self._lay_out(lanes)
        return self._layouts[lanes]

    def _lay_out(self, lanes: int, *, kind: str | None = None) -> tuple[str, Any]:
        from featx.kernels.sequence import GROUP

        n_edges, width = len(self.sources), GROUP * lanes
        padded = -(-self.n_states // width) * width
        groups, span = self.targets // width, 2 * self.n_states + 1
        keys = groups * span + (self.sources - self.targets + self.n_states)
        entries, place = np.unique(keys, return_inverse=True)
        costs = {
            "dense": _VECTOR * self.n_states * padded / lanes,
            "banded": _VECTOR * GROUP * len(entries),
            "sparse": _EDGE * n_edges + _STATE * self.n_states,
        }
        kind = kind or min(costs, key=lambda name: costs[name])
        if kind == "dense":
            matrix = np.full((padded // width, self.n_states, width), -math.inf, np.float32)
            matrix[groups, self.sources, self.targets % width] = self.log_probabilities
            return kind, matrix.ravel()
        if kind == "banded":
            weights = np.full((len(entries), width), -math.inf, np.float32)
            weights[place, self.targets % width] = self.log_probabilities
            begins = np.searchsorted(entries // span, np.arange(padded // width + 1))
            offsets = entries % span - self.n_states
            margin = int(np.abs(offsets).max(initial=0))
            return kind, (begins, offsets, weights.ravel(), margin)
        return kind, None


def check_below_infinity(name: str, x: AnyArray) -> None:
    """Raise if ``x`` holds NaN or +inf."""
    if x.size and not x.max() < math.inf:
        raise ParameterError(f"{name} must hold logarithms below +inf, got NaN or +inf.")
