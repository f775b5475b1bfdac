"""Several examples become one query, or several rankings one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from featx.errors import ParameterError
from featx.index.exact import unit_rows
from featx.types import DoubleArray, FloatArray

#: How several examples become one search: mean of unit vectors, plain mean (the prototype of a
#: set), or the nearest to any of them.
FUSIONS: tuple[str, ...] = ("mean", "prototype", "max")

#: A track of the store, a set such as ``artist:Bach``, an audio file, or a vector.
Example: TypeAlias = "str | os.PathLike[str] | FloatArray"

#: One example, several, or one per aspect.
Query: TypeAlias = "Example | Sequence[Example] | Mapping[str, Example]"


def examples_of(query: Query) -> list[Example]:
    """Return the examples of a query, one at least."""
    if isinstance(query, (str, os.PathLike)):
        return [query]
    if isinstance(query, np.ndarray):
        return [query] if query.ndim == 1 else list(query)
    examples = list(query.values() if isinstance(query, Mapping) else query)
    if not examples:
        raise ParameterError("query must hold at least one example, got none.")
    return examples


def fuse(vectors: Sequence[FloatArray], fusion: str) -> FloatArray:
    """Return one vector for several, by the mean or as a prototype."""
    if len(vectors) == 1:
        return vectors[0]
    return (prototype if fusion == "prototype" else fuse_mean)(np.stack(vectors))


def prototype(vectors: FloatArray) -> FloatArray:
    """Return the mean of a set, such as all tracks of an artist or with a tag.

    Parameters
    ----------
    vectors : float32 array, shape (n, dim), n >= 1
        As extracted: longer vectors count for more.

    Returns
    -------
    float32 array, shape (dim,)
    """
    return _mean(vectors)


def fuse_mean(queries: FloatArray) -> FloatArray:
    """Return the mean of the queries after scaling each to length 1: every query counts alike.

    Parameters
    ----------
    queries : float32 array, shape (n, dim), n >= 1

    Returns
    -------
    float32 array, shape (dim,)
    """
    return _mean(unit_rows(queries))


def fuse_nearest(
    ids: Sequence[Sequence[str]], distances: FloatArray, k: int
) -> tuple[list[str], FloatArray]:
    """Rank by the nearest of several queries (the maximum of their scores).

    Parameters
    ----------
    ids, distances
        As `featx.Index.search` returns them for the queries, with at least ``k`` neighbours each;
        then the result is exact, because a track among the k best of the maximum is among the k
        best of the query that gives the maximum.
    k : int > 0

    Returns
    -------
    ids : list of str
        Nearest first, equal distances in ascending order of ids.
    distances : float32 array, shape (<= k,)
    """
    best: dict[str, np.float32] = {}
    for names, row in zip(ids, distances, strict=True):
        for name, distance in zip(names, row, strict=True):
            best[name] = min(distance, best.get(name, distance))
    order = sorted(best, key=lambda name: (best[name], name))[:k]
    return order, np.array([best[name] for name in order], dtype=np.float32)


def column_scaling(vectors: FloatArray) -> tuple[DoubleArray, DoubleArray]:
    """Return what makes z-scores of columns: subtract the first, multiply by the second.

    Parameters
    ----------
    vectors : float32 array, shape (n, dim), n >= 1

    Returns
    -------
    mean : float64 array, shape (dim,)
    scale : float64 array, shape (dim,)
        One over the standard deviation; 0 for a constant column.
    """
    wide = vectors.astype(np.float64)
    spread = wide.std(axis=0)
    # the mean of equal numbers is rounded, so that their deviation need not be 0
    varies = vectors.min(axis=0) < vectors.max(axis=0)
    return wide.mean(axis=0), np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)


def _mean(vectors: FloatArray) -> FloatArray:
    if vectors.ndim != 2 or len(vectors) == 0:
        raise ParameterError(f"vectors must be (n, dim) with n >= 1, got shape {vectors.shape}.")
    mean: FloatArray = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean
