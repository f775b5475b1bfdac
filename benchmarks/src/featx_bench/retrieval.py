"""Retrieval: mean average precision, recall@1, Recall@K for several labels per track.

Queries are the tracks themselves; a query is never in its own list. Equal similarities are broken
by a shuffle with a fixed seed: vectors that are all alike score as chance does, whatever the order
of the tracks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError, listed
from featx.index import unit_rows

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

__all__ = [
    "METRICS",
    "PerQuery",
    "mean_average_precision",
    "rankings",
    "recall_at_1",
    "recall_at_k",
]

#: How vectors are compared.
METRICS = ("cosine", "euclidean")

_BLOCK = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class PerQuery:
    """A metric as it is for every query that counts.

    Parameters
    ----------
    values : float64 array, shape (n_queries,), 0..1
        One value per query.
    queries : int array, shape (n_queries,)
        Their rows.
    chance : float64 array, shape (n_queries,)
        The expectation of each under a random order.
    """

    values: DoubleArray
    queries: Any
    chance: DoubleArray

    @property
    def mean(self) -> float:
        """The metric; NaN without queries."""
        return float(self.values.mean()) if len(self.values) else float("nan")


def rankings(
    vectors: FloatArray,
    *,
    groups: Sequence[str] | None = None,
    metric: str = "cosine",
    seed: int = 0,
) -> Iterator[tuple[int, Any]]:
    """Yield every query with the rows of all others, most similar first.

    Parameters
    ----------
    vectors : float array, shape (n, dim)
        A zero row has similarity 0 to everything.
    groups : sequence of str, optional
        One per row: rows of the query's own group are omitted from its list (clips of one
        recording, say). Rows whose group is empty belong to none.
    metric : str
        One of `METRICS`.
    seed : int
        Of the shuffle that breaks ties.
    """
    n = len(vectors)
    if np.ndim(vectors) != 2 or n < 2:
        raise ParameterError(f"vectors must be (n, dim) with n > 1, got shape {np.shape(vectors)}.")
    if groups is not None and len(groups) != n:
        raise ParameterError(f"groups must have one name per row, got {len(groups)} for {n}.")
    if metric not in METRICS:
        raise ParameterError(f"metric must be one of {listed(METRICS)}, got {metric!r}.")
    order = np.random.default_rng([seed, 0x71E5]).permutation(n)
    euclidean = metric == "euclidean"
    rows = (vectors if euclidean else unit_rows(vectors)).astype(np.float64)
    names = None if groups is None else np.asarray(groups, dtype=object)[order]
    gallery = rows[order]
    # the nearer of two by distance has the larger x q - |x|^2 / 2
    halves = (gallery**2).sum(axis=1) / 2 if euclidean else 0.0
    for start in range(0, n, _BLOCK):
        # Rounded: the last bits of a matrix product depend on the place in the matrix.
        scores = np.round(rows[start : start + _BLOCK] @ gallery.T - halves, 12)
        ranked = np.argsort(-scores, axis=1, kind="stable")
        for row, places in enumerate(ranked, start):
            keep = order[places] != row
            if names is not None and groups is not None and groups[row]:
                keep &= names[places] != groups[row]
            yield row, order[places[keep]]


def mean_average_precision(
    vectors: FloatArray,
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    metric: str = "cosine",
    seed: int = 0,
) -> PerQuery:
    """Average precision of every query whose label another track shares.

    ``AP = sum of precision@k over the ranks k of relevant tracks / their number``.

    References
    ----------
    Lee. PhD thesis, eqs. 4.3 and 4.4.

    Examples
    --------
    >>> import numpy as np
    >>> v = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], np.float32)
    >>> mean_average_precision(v, ["a", "a", "b", "b"]).mean
    1.0
    """
    known = _labels(vectors, labels)
    values, queries, chance = [], [], []
    for query, order in rankings(vectors, groups=groups, metric=metric, seed=seed):
        relevant = known[order] == known[query]
        total = int(relevant.sum())
        if not known[query] or total == 0:
            continue
        ranks = np.flatnonzero(relevant) + 1
        values.append(float((np.arange(1, total + 1) / ranks).mean()))
        chance.append(_expected_precision(total, len(order)))
        queries.append(query)
    return _per_query(values, queries, chance)


def recall_at_1(
    vectors: FloatArray,
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    metric: str = "cosine",
    seed: int = 0,
) -> PerQuery:
    """Whether the nearest track has the query's label, for queries whose label another shares."""
    known = _labels(vectors, labels)
    values, queries, chance = [], [], []
    for query, order in rankings(vectors, groups=groups, metric=metric, seed=seed):
        relevant = known[order] == known[query]
        if not known[query] or not relevant.any():
            continue
        values.append(float(relevant[0]))
        chance.append(float(relevant.mean()))
        queries.append(query)
    return _per_query(values, queries, chance)


def recall_at_k(
    vectors: FloatArray,
    label_sets: Sequence[Collection[str]],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    groups: Sequence[str] | None = None,
    metric: str = "cosine",
    seed: int = 0,
) -> dict[int, PerQuery]:
    """Multi-label Recall@K: the share of the query's labels that the K nearest have together.

    Queries without labels are skipped. With one label per track it is the ordinary Recall@K.

    References
    ----------
    Lee. PhD thesis, eq. 5.17.
    """
    if len(label_sets) != len(vectors):
        raise ParameterError(
            f"label_sets must have one set per row, got {len(label_sets)} for {len(vectors)}."
        )
    if not ks or min(ks) < 1:
        raise ParameterError(f"ks must be integers > 0, got {tuple(ks)}.")
    names = sorted({label for labels in label_sets for label in labels})
    column = {name: i for i, name in enumerate(names)}
    truth = np.zeros((len(label_sets), max(1, len(names))), bool)
    for row, labels in enumerate(label_sets):
        truth[row, [column[label] for label in labels]] = True
    values: dict[int, list[float]] = {k: [] for k in ks}
    chance: dict[int, list[float]] = {k: [] for k in ks}
    queries = []
    for query, order in rankings(vectors, groups=groups, metric=metric, seed=seed):
        own = truth[query]
        if not own.any():
            continue
        queries.append(query)
        having = truth[order][:, own].sum(axis=0)
        for k in ks:
            values[k].append(float(truth[order[:k]][:, own].any(axis=0).mean()))
            chance[k].append(float(np.mean([_expected_hit(m, len(order), k) for m in having])))
    return {k: _per_query(values[k], queries, chance[k]) for k in ks}


def _labels(vectors: FloatArray, labels: Sequence[str]) -> Any:
    if len(labels) != len(vectors):
        raise ParameterError(f"labels must have one per row, got {len(labels)} for {len(vectors)}.")
    return np.asarray(labels, dtype=object)


def _expected_precision(relevant: int, n: int) -> float:
    """Return the expectation of the average precision under a random order of ``n`` tracks."""
    harmonic = float((1.0 / np.arange(1, n + 1)).sum())
    if n == 1:
        return 1.0
    return (harmonic + (relevant - 1) / (n - 1) * (n - harmonic)) / n


def _expected_hit(having: int, n: int, k: int) -> float:
    """Return the probability that at least one of ``k`` random tracks of ``n`` has a label."""
    k = min(k, n)
    without = n - having
    if without < k:
        return 1.0
    steps = np.arange(k)
    return 1.0 - float(np.prod((without - steps) / (n - steps)))


def _per_query(values: list[float], queries: list[int], chance: list[float]) -> PerQuery:
    return PerQuery(
        values=np.array(values, np.float64),
        queries=np.array(queries, np.int64),
        chance=np.array(chance, np.float64),
    )
