"""Exact nearest neighbours: the default index, and the referee of every other."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import DigestError, ParameterError, StoreError
from featx.interfaces import Index
from featx.types import DoubleArray, FloatArray

if TYPE_CHECKING:
    from featx.index.hosting import HostedIndex

FORMAT = 3
_HEADER, _VECTORS = "exact.json", "exact.npy"

#: Scores held at once while searching: 64 MB of float32.
_BLOCK = 2**24

#: Rows held at once in float64.
_ROWS = 8192

#: Rounding of float32 cosines: neighbours as near as the last true one count as found.
_ROUNDING = 1e-5

#: Distances are equal when they agree to this many decimals: float64 sums of float32 products are
#: good to about 1e-15, so scaled copies of one vector tie and different vectors do not.
_DECIMALS = 12


def unit_rows(vectors: FloatArray) -> FloatArray:
    """Scale every row to length 1; zero rows stay zero.

    Parameters
    ----------
    vectors : float array, shape (n, dim)
        Finite values of any size; left untouched.

    Returns
    -------
    float32 array, shape (n, dim)
    """
    unit = np.zeros(vectors.shape, np.float32)
    for start in range(0, len(unit), _ROWS):
        wide = np.asarray(vectors[start : start + _ROWS], dtype=np.float64)
        # scaled by the largest value first: squares of very large or small values leave float64
        largest = np.abs(wide).max(axis=1, keepdims=True, initial=0.0)
        wide = np.divide(wide, largest, out=np.zeros_like(wide), where=largest > 0)
        norms = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
        np.divide(wide, norms, out=wide, where=norms > 0)
        unit[start : start + _ROWS] = wide
    return unit


class ExactIndex(Index):
    """Every query against every vector.

    Candidates come from float32 matrix products; those within the rounding error of the k-th are
    scored again in float64. So the answer does not depend on block sizes, on the other queries of
    a call, or on the BLAS library, and equal distances are ordered by id.

    Examples
    --------
    >>> index = ExactIndex()
    >>> index.build(np.eye(3, dtype=np.float32), ["a", "b", "c"])
    >>> index.search(np.array([[0, 2, 1]], dtype=np.float32), 2)[0]
    [['b', 'c']]
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._unit: FloatArray = np.zeros((0, 1), np.float32)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids in ascending order."""
        return tuple(self._ids)

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return int(self._unit.shape[1])

    def build(self, vectors: FloatArray, ids: Sequence[str]) -> None:
        """Take ``vectors`` and their ids; an earlier content is forgotten.

        Parameters
        ----------
        vectors : float32 array, shape (n, dim)
            Finite. All-zero rows have cosine 0 to everything.
        ids : sequence of n distinct str

        Raises
        ------
        ParameterError
            If shapes disagree, ids repeat, or a value is not finite.
        """
        vectors = _matrix("vectors", vectors)
        if len(ids) != len(vectors):
            raise ParameterError(f"ids must name all {len(vectors)} vectors, got {len(ids)}.")
        if len(set(ids)) != len(ids):
            twice = Counter(ids).most_common(1)[0][0]
            raise ParameterError(f"ids must be distinct, got {twice!r} more than once.")
        order = sorted(range(len(ids)), key=ids.__getitem__)
        self._take(unit_rows(vectors[order]), [ids[i] for i in order])

    def search(self, queries: FloatArray, k: int) -> tuple[list[list[str]], FloatArray]:
        """Find the ``k`` nearest vectors of every query.

        Parameters
        ----------
        queries : float32 array, shape (n_queries, dim)
        k : int > 0
            More than there are vectors gives them all.

        Returns
        -------
        ids : list of lists of str
            Nearest first; equal distances in ascending order of ids.
        distances : float32 array, shape (n_queries, min(k, n))
            1 - cosine, in [0, 2].

        Raises
        ------
        ParameterError
            If ``k`` is not positive or ``queries`` has another dimension or is not finite.
        """
        queries = _matrix("queries", queries)
        if k < 1:
            raise ParameterError(f"k must be an integer > 0, got {k}.")
        if len(self) and queries.shape[1] != self.dim:
            raise ParameterError(
                f"queries must have {self.dim} columns, got shape {queries.shape}."
            )
        k = min(k, len(self))
        distances = np.zeros((len(queries), k), np.float32)
        if k == 0:
            return [[] for _ in queries], distances
        ids: list[list[str]] = []
        unit = unit_rows(queries)
        rows_at_once = max(1, _BLOCK // len(self))
        for start in range(0, len(unit), rows_at_once):
            block = unit[start : start + rows_at_once]
            rough = block @ self._unit.T  # (rows, n)
            for query, scores in zip(block, rough, strict=True):
                nearest, distance = self._nearest(query, scores, k)
                distances[len(ids)] = distance
                ids.append([self._ids[i] for i in nearest])
        return ids, distances

    def save(self, folder: Path, store_digest: str) -> None:
        """Write ``exact.npy`` and ``exact.json`` to ``folder``, replacing an earlier index."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        header = {
            "format": FORMAT,
            "store_digest": store_digest,
            "ids": self._ids,
            "shape": self._unit.shape,
        }
        temporary = folder / f".{_VECTORS}.{os.getpid()}"
        with temporary.open("wb") as file:
            np.save(file, self._unit)
        temporary.replace(folder / _VECTORS)
        (folder / _HEADER).write_text(json.dumps(header), encoding="ascii")

    @classmethod
    def load(cls, folder: Path, store_digest: str) -> ExactIndex:
        """Map what `save` wrote; a search reads the vectors.

        The form of the files is checked here, their bytes by the SHA-256 that a saved index has
        beside them (`featx index build`).

        Raises
        ------
        DigestError
            If the index belongs to another state of the store.
        StoreError
            If a file is missing, cut off, or of another format.
        """
        folder = Path(folder)
        try:
            header = json.loads((folder / _HEADER).read_text(encoding="ascii"))
            if header["format"] != FORMAT:
                raise ValueError(f"format {header['format']!r}")
            ids, shape = list(header["ids"]), tuple(header["shape"])
            # an empty file cannot be mapped
            mode: Any = "r" if 0 not in shape else None
            unit = np.asarray(np.load(folder / _VECTORS, mmap_mode=mode, allow_pickle=False))
            if unit.shape != shape or unit.dtype != np.float32 or len(ids) != len(unit):
                raise ValueError(f"{unit.dtype} vectors {unit.shape} of {len(ids)} ids")
        except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
            raise StoreError(
                f"{folder} must hold an exact index of format {FORMAT}, got: {error}. "
                "Build the index again."
            ) from error
        if header["store_digest"] != store_digest:
            raise DigestError(
                f"index in {folder} must belong to store state {store_digest}, "
                f"got {header['store_digest']}. Build it again."
            )
        index = cls()
        index._take(unit, ids)
        return index

    def _take(self, unit: FloatArray, ids: list[str]) -> None:
        self._unit, self._ids = unit, ids

    def _nearest(
        self, query: FloatArray, rough: FloatArray, k: int
    ) -> tuple[list[int], FloatArray]:
        """Return rows and distances of the ``k`` nearest, given scores in float32."""
        n = len(rough)
        # error of a float32 product of unit vectors, twice: for the k-th score and for a rival;
        # the constant covers the rounding of distances to float32
        margin = 2.0 * (self.dim + 8) * 2.0**-24
        kth = np.partition(rough, n - k)[n - k]
        rows = np.flatnonzero(rough >= kth - margin)
        exact = np.concatenate(
            [self._cosines(query, rows[i : i + _ROWS]) for i in range(0, len(rows), _ROWS)]
        )
        # + 0.0 turns the -0.0 that rounding leaves into 0.0
        distance = (np.round(1.0 - exact, _DECIMALS).clip(0.0, 2.0) + 0.0).astype(np.float32)
        order = np.lexsort((rows, distance))[:k]
        return rows[order].tolist(), distance[order]

    def _cosines(self, query: FloatArray, rows: Any) -> DoubleArray:
        wide = query.astype(np.float64)
        vectors = self._unit[rows].astype(np.float64)
        products: DoubleArray = (vectors * wide).sum(axis=1)
        # float32 does not hold vectors of length 1 exactly
        length = np.sqrt((vectors * vectors).sum(axis=1)) * np.sqrt((wide * wide).sum())
        cosines: DoubleArray = np.divide(
            products, length, out=np.zeros_like(products), where=length > 0
        )
        return cosines


def _matrix(name: str, values: FloatArray) -> FloatArray:
    values = np.asarray(values)
    if values.ndim != 2 or values.shape[1] == 0 or not np.issubdtype(values.dtype, np.floating):
        raise ParameterError(
            f"{name} must be a float array of shape (n, dim), got shape {values.shape}, "
            f"dtype {values.dtype}."
        )
    if not np.all(np.isfinite(values)):
        raise ParameterError(f"{name} must be finite, got NaN or inf.")
    return values


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
