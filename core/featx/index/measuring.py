"""How many of the true neighbours an index finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from featx.index.exact import ExactIndex

if TYPE_CHECKING:
    from featx.index.hosting import HostedIndex
    from featx.interfaces import Index
    from featx.types import FloatArray

#: Rounding of float32 cosines: neighbours as near as the last true one count as found.
_ROUNDING = 1e-5


def recall(
    index: Index | HostedIndex,
    vectors: FloatArray,
    ids: Sequence[str],
    *,
    k: int = 10,
    n_queries: int = 256,
) -> float | None:
    """Return the share of the ``k`` nearest others that an index finds, against exact search.

    Parameters
    ----------
    index : Index
        Built of ``vectors`` and ``ids``.
    vectors : float32 array, shape (n, dim)
        Evenly spaced rows of it are the queries; a query does not count as its own neighbour.
    ids : sequence of n str
    k, n_queries : int > 0
        Neighbours, and queries at most.

    Returns
    -------
    float or None
        In [0, 1]; None for fewer than two vectors. A neighbour as near as the k-th true one counts.
    """
    k = min(k, len(ids) - 1)
    if k < 1:
        return None
    rows = np.unique(np.linspace(0, len(ids) - 1, min(n_queries, len(ids))).astype(int))
    queries = np.asarray(vectors)[rows]
    referee = ExactIndex()
    referee.build(vectors, ids)
    true_ids, true_distances = referee.search(queries, k + 1)
    names, distances = index.search(queries, k + 1)
    hits = 0
    for row, truth, limits, answer, near in zip(
        rows, true_ids, true_distances, names, distances, strict=True
    ):
        limit = [far for name, far in zip(truth, limits, strict=True) if name != ids[row]][k - 1]
        others = [far for name, far in zip(answer, near, strict=True) if name != ids[row]][:k]
        hits += sum(far <= limit + _ROUNDING for far in others)
    return float(hits / (k * len(rows)))
