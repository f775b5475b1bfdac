"""What methods measure on validation examples."""

from __future__ import annotations

import numpy as np

from featx.types import AnyArray, DoubleArray


def roc_auc(scores: AnyArray, truth: AnyArray) -> DoubleArray:
    """Return the area under the ROC curve of every column.

    It is the probability that a positive scores above a negative, ties counting half.

    Parameters
    ----------
    scores : array, shape (n, n_classes)
        Larger means more likely positive.
    truth : bool array, shape (n, n_classes)
        Which are positive.

    Returns
    -------
    float64 array, shape (n_classes,)
        In [0, 1]; NaN if there are no positives or no negatives.
    """
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth, bool)
    positive = truth.sum(axis=0).astype(np.float64)
    pairs = positive * (len(truth) - positive)
    above = np.empty(len(positive))
    for column in range(len(positive)):
        _, inverse, counts = np.unique(scores[:, column], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
        above[column] = ranks[truth[:, column]].sum()
    above -= positive * (positive + 1.0) / 2.0
    area: DoubleArray = np.divide(above, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)
    return area


def macro_roc_auc(scores: AnyArray, targets: AnyArray) -> float | None:
    """Return the mean of `roc_auc` over the columns that have both answers; None without any.

    Parameters
    ----------
    scores, targets : arrays, shape (n, n_classes)
        Targets above 0.5 are positive.
    """
    areas = roc_auc(scores, np.asarray(targets) > 0.5)
    known = areas[~np.isnan(areas)]
    return float(known.mean()) if len(known) else None
