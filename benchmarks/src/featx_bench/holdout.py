"""Hold-out prediction: does a track of the same artist win against four of others?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError
from featx.index import unit_rows
from featx_bench.retrieval import PerQuery

if TYPE_CHECKING:
    from featx.types import FloatArray

__all__ = ["holdout"]


def holdout(
    vectors: FloatArray,
    labels: Sequence[str],
    *,
    positives: FloatArray | None = None,
    positive_labels: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    n_negatives: int = 4,
) -> PerQuery:
    """Probability that a positive is strictly more similar than ``n_negatives`` others.

    The protocol draws one positive and the negatives for every anchor at random. Here every
    anchor has the exact probability of a right answer over all such draws, so that the result has
    no noise of drawing.

    Parameters
    ----------
    vectors : float array, shape (n, dim)
        Anchors, and negatives of every other label.
    labels : sequence of str, length n
        What anchor and positive share; anchors without a label are skipped.
    positives : float array, shape (m, dim), optional
        Where positives come from, with ``positive_labels``; by default the other ``vectors``.
    groups : sequence of str, optional
        One per anchor: no positive is taken from the anchor's own group, such as its recording.
        Only where positives are the other vectors.
    n_negatives : int > 0
        Chance is ``1 / (1 + n_negatives)``.

    References
    ----------
    Lee. PhD thesis, table 4.5.
    """
    n = len(vectors)
    if len(labels) != n or (groups is not None and len(groups) != n):
        raise ParameterError(f"labels and groups must have one name per row, {n} in all.")
    if positives is not None and len(positive_labels) != len(positives):
        raise ParameterError("positive_labels must have one name per row of positives.")
    if n_negatives < 1:
        raise ParameterError(f"n_negatives must be an integer > 0, got {n_negatives}.")
    unit = unit_rows(vectors).astype(np.float64)
    other = unit if positives is None else unit_rows(positives).astype(np.float64)
    names = np.asarray(labels, dtype=object)
    others = names if positives is None else np.asarray(positive_labels, dtype=object)
    own_groups = None if groups is None else np.asarray(groups, dtype=object)
    values, queries = [], []
    for row in range(n):
        same = others == names[row]
        if positives is None:
            same[row] = False
            if own_groups is not None and own_groups[row]:
                same &= own_groups != own_groups[row]
        against = names != names[row]
        if not names[row] or not same.any() or against.sum() < n_negatives:
            continue
        wins = np.round(other[same] @ unit[row], 12)
        losses = np.sort(np.round(unit[against] @ unit[row], 12))
        below = np.searchsorted(losses, wins, "left")  # negatives that are strictly less similar
        steps = np.arange(n_negatives)
        chances = np.clip((below[:, None] - steps) / (len(losses) - steps), 0.0, None)
        values.append(float(chances.prod(axis=1).mean()))
        queries.append(row)
    return PerQuery(
        values=np.array(values, np.float64),
        queries=np.array(queries, np.int64),
        chance=np.full(len(values), 1.0 / (1 + n_negatives)),
    )
