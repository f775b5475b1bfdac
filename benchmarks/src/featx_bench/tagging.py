"""Tags by prototypes: ROC-AUC and average precision per tag."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.index import prototype, unit_rows

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

__all__ = [
    "TagScores",
    "average_precision",
    "macro_mean",
    "prototype_scores",
    "tag_matrix",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class TagScores:
    """Scores of the test tracks for every tag that can be measured.

    Parameters
    ----------
    tags : tuple of str
        In the order of the columns.
    scores, truth : arrays, shape (n, n_tags)
        Cosine to the prototype, and whether the track has the tag.
    excluded : tuple of str
        Tags without a positive in training, or without positives or negatives in the test split.
    """

    tags: tuple[str, ...]
    scores: DoubleArray
    truth: Any
    excluded: tuple[str, ...]


def tag_matrix(tags: Sequence[Collection[str]], names: Sequence[str]) -> Any:
    """Return a boolean array ``(n, len(names))`` of who has which tag."""
    return np.array([[name in own for name in names] for own in tags], bool).reshape(
        len(tags), len(names)
    )


def prototype_scores(
    train: FloatArray,
    train_tags: Sequence[Collection[str]],
    test: FloatArray,
    test_tags: Sequence[Collection[str]],
) -> TagScores:
    """Score test tracks by their cosine to the mean of the training tracks with a tag.

    References
    ----------
    Lee. PhD thesis, eq. 2.9.
    """
    names = sorted({tag for own in (*train_tags, *test_tags) for tag in own})
    having, truth = tag_matrix(train_tags, names), tag_matrix(test_tags, names)
    counts = truth.sum(axis=0)
    usable = having.any(axis=0) & (counts > 0) & (counts < len(truth))
    if not usable.any():
        raise ParameterError("at least one tag must have positives and negatives, got none.")
    centres = np.stack([prototype(train[having[:, i]]) for i in np.flatnonzero(usable)])
    scores = unit_rows(test).astype(np.float64) @ unit_rows(centres).astype(np.float64).T
    return TagScores(
        tags=tuple(name for name, use in zip(names, usable, strict=True) if use),
        scores=scores,
        truth=truth[:, usable],
        excluded=tuple(name for name, use in zip(names, usable, strict=True) if not use),
    )


def macro_mean(values: DoubleArray) -> float:
    """Return the mean over tags that can be measured; NaN where none can.

    A resample of tracks may hold all or none of a tag.
    """
    known = ~np.isnan(values)
    return float(values[known].mean()) if known.any() else float("nan")


def average_precision(scores: DoubleArray, truth: Any) -> DoubleArray:
    """Return the average precision of every column as scikit-learn has it; NaN without positives.

    Parameters
    ----------
    scores : float array, shape (n, n_tags)
    truth : bool array, shape (n, n_tags)
    """
    averages = np.full(scores.shape[1], np.nan)
    for i in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-scores[:, i], kind="stable")
        ranked, right = scores[order, i], truth[order, i].astype(np.float64)
        # equal scores are one threshold
        last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
        hits = np.cumsum(right)[last]
        recall = hits / hits[-1]
        averages[i] = float((np.diff(recall, prepend=0.0) * hits / (last + 1)).sum())
    return averages
