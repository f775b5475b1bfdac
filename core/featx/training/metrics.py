"""What methods measure on validation examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx.types import AnyArray

__all__ = ["macro_roc_auc", "roc_auc"]


def roc_auc(scores: AnyArray, positive: AnyArray) -> float | None:
    """Return the probability that a positive scores above a negative, ties counting half.

    Parameters
    ----------
    scores : array, shape (n,)
        Larger means more likely positive.
    positive : bool array, shape (n,)
        The truth.

    Returns
    -------
    float or None
        In [0, 1]; None where there are no positives, or no negatives.
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    n_positive = int(positive.sum())
    n_negative = len(scores) - n_positive
    if n_positive == 0 or n_negative == 0:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    above = ranks[positive].sum() - n_positive * (n_positive + 1) / 2.0
    return float(above / (n_positive * n_negative))


def macro_roc_auc(scores: AnyArray, targets: AnyArray) -> float | None:
    """Return the mean of `roc_auc` over the columns that have both answers; None without any.

    Parameters
    ----------
    scores, targets : arrays, shape (n, n_classes)
        Targets above 0.5 are positive.
    """
    areas = [roc_auc(scores[:, k], targets[:, k] > 0.5) for k in range(targets.shape[1])]
    found = [area for area in areas if area is not None]
    return float(np.mean(found)) if found else None
