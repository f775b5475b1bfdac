"""How two clip features of one store differ: neighbours, geometry, and the tracks that moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.index import unit_rows
from featx_bench.intervals import bootstrap_mean

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

__all__ = ["Difference", "compare_features", "linear_cka"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Difference:
    """What `compare_features` found.

    Parameters
    ----------
    k : int
        Neighbours that were compared.
    overlap : (value, low, high)
        Mean share of the k nearest neighbours that both features have, with a 95 % interval.
    chance : float
        The share that two random features have.
    cka : float, 0..1
        Linear centred kernel alignment; 1 for the same vectors up to rotation and scale.
    moved : tuple of (track id, share of neighbours kept)
        The track with the fewest common neighbours first.
    """

    k: int
    overlap: tuple[float, float, float]
    chance: float
    cka: float
    moved: tuple[tuple[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "moved": [list(item) for item in self.moved]}


def compare_features(
    ids: tuple[str, ...], first: FloatArray, second: FloatArray, *, k: int = 10
) -> Difference:
    """Compare two features of the same tracks by cosine.

    Parameters
    ----------
    ids : tuple of str, length n
    first, second : float arrays, shape (n, dim_1) and (n, dim_2)
    k : int, 1..n - 2
        Neighbours.
    """
    n = len(ids)
    if not 1 <= k <= n - 2:
        raise ParameterError(f"k must lie within 1..{n - 2} for {n} tracks, got {k}.")
    near_first, near_second = _neighbours(first, k), _neighbours(second, k)
    kept = np.array(
        [len(set(a) & set(b)) / k for a, b in zip(near_first, near_second, strict=True)]
    )
    order = np.argsort(kept, kind="stable")
    return Difference(
        k=k,
        overlap=(float(kept.mean()), *bootstrap_mean(kept)),
        chance=k / (n - 1),
        cka=linear_cka(first, second),
        moved=tuple((ids[i], float(kept[i])) for i in order),
    )


def linear_cka(first: FloatArray, second: FloatArray) -> float:
    """Return the linear centred kernel alignment of two features of the same tracks.

    References
    ----------
    Kornblith, Norouzi, Lee, Hinton. "Similarity of neural network representations revisited". ICML,
    2019.
    """
    a = np.asarray(first, np.float64) - np.mean(first, axis=0, dtype=np.float64)
    b = np.asarray(second, np.float64) - np.mean(second, axis=0, dtype=np.float64)
    scale = _energy(a.T @ a) * _energy(b.T @ b)
    return _energy(a.T @ b) ** 2 / scale if scale > 0 else 0.0


def _energy(matrix: DoubleArray) -> float:
    return float(np.linalg.norm(matrix))


def _neighbours(vectors: FloatArray, k: int) -> Any:
    unit = unit_rows(vectors).astype(np.float64)
    scores = np.round(unit @ unit.T, 12)
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]
