"""Queries that weigh the notions of a disentangled vector, over any index.

With unit sub-vectors e_s(x) per notion s, the weighted score

    sum_s w_s cos(e_s(q_s), e_s(x)) / sum_s |w_s|

is one inner product of the gallery row ``[e_1(x) ... e_S(x)]`` with the query
``[w_1 e_1(q_1) ... w_S e_S(q_S)]``. The weights stay on the side of the query, so changing them
rebuilds nothing and negative ones keep their sign. The whole vector is appended as one more slice
(for ``beta``), and a last column fills every row up to one common length, so that an index that
knows cosines only ranks by the inner product.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError, listed
from featx.index.exact import unit_rows
from featx.types import FloatArray

if TYPE_CHECKING:
    from featx.index.hosting import HostedIndex
    from featx.interfaces import Index
    from featx.store import Store
    from featx.store.views import FeatureView


@dataclass(frozen=True, kw_only=True)
class AspectQuery:
    """What to look for, notion by notion.

    Parameters
    ----------
    parts : mapping of notion to float32 array (dim,)
        The example for every notion that counts, as a complete vector; different notions may have
        different examples (mix and match).
    weights : mapping of notion to float
        One weight per notion of ``parts``; equal weights if empty. A single notion gives the
        search by that notion alone.
    overall : float32 array (dim,), optional
        Example for the similarity of whole vectors.
    beta : float in [0, 1]
        Share of ``overall`` in the score; the rest is shared by the notions.
    signed : bool
        Allow weights below 0 ("unlike this").
    """

    parts: Mapping[str, FloatArray] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    overall: FloatArray | None = None
    beta: float = 0.0
    signed: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.beta <= 1.0:
            raise ParameterError(f"beta must lie within 0..1, got {self.beta}.")
        if self.beta > 0 and self.overall is None:
            raise ParameterError(f"overall must be given for beta > 0, got beta {self.beta}.")
        if self.weights and set(self.weights) != set(self.parts):
            raise ParameterError(
                f"weights must be given for {listed(sorted(self.parts))}, "
                f"got {listed(sorted(self.weights))}."
            )
        for notion, weight in self.weights.items():
            if not math.isfinite(weight):
                raise ParameterError(f"weight of {notion!r} must be finite, got {weight}.")
            if weight < 0 and not self.signed:
                raise ParameterError(
                    f"weight of {notion!r} must be >= 0, got {weight}. "
                    "Add --signed (in Python signed=True) to search for what is unlike the example."
                )
        if self.beta < 1 and sum(abs(w) for w in self.shares().values()) == 0:
            raise ParameterError(
                f"weights must not all be 0, got {dict(self.weights)}. Parts without a weight are "
                "left out: give those to compare one above 0."
            )

    def shares(self) -> dict[str, float]:
        """Return the weights divided by the sum of their sizes."""
        weights = self.weights or dict.fromkeys(self.parts, 1.0)
        total = sum(abs(weight) for weight in weights.values())
        return {notion: weight / total if total else 0.0 for notion, weight in weights.items()}


def aspect_rows(vectors: FloatArray, aspects: Mapping[str, tuple[int, int]]) -> FloatArray:
    """Return the rows that an index for `AspectIndex` is built of.

    Parameters
    ----------
    vectors : float32 array, shape (n, dim)
    aspects : mapping of notion to (start, stop)

    Returns
    -------
    float32 array, shape (n, sum of slices + dim + 1)
        Unit slices, the unit whole vector, and what fills every row up to the same length.
    """
    vectors = np.asarray(vectors)
    slices = _checked(aspects, vectors.shape[1] if vectors.ndim == 2 else 0)
    parts = [unit_rows(vectors[:, a:b]) for a, b in slices.values()]
    parts.append(unit_rows(vectors))
    zero_parts = sum((~part.any(axis=1)).astype(np.float64) for part in parts)
    filling = np.sqrt(zero_parts).astype(np.float32)[:, None]
    return np.concatenate([*parts, filling], axis=1)


def _checked(aspects: Mapping[str, tuple[int, int]], dim: int) -> dict[str, tuple[int, int]]:
    if not aspects:
        raise ParameterError("aspects must name at least one notion, got none.")
    needed = max(stop for _, stop in aspects.values())
    if dim < needed:
        raise ParameterError(f"vectors must have at least {needed} columns, got {dim}.")
    return {notion: (int(a), int(b)) for notion, (a, b) in aspects.items()}


def check_aspects(view: FeatureView, store: Store) -> None:
    """Raise `ParameterError` if the feature has no aspects, with those of ``store`` that have."""
    if view.spec.aspects:
        return
    others = [
        f"{name}.{feature}"
        for name in store.current
        for feature, item in store[name].items()
        if item.spec.aspects
    ]
    there = f"In this store {listed(others)} {'has' if len(others) == 1 else 'have'} some"
    raise ParameterError(
        f"{view.recipe.short_name}.{view.spec.name} has no aspects, so --weight, --only, --from "
        "and --beta (in Python weights= and beta=) cannot be used. "
        + (f"{there} (featx info NAME). " if others else "")
        + "Several features can be weighted, too: --features NAME,NAME."
    )


class AspectIndex:
    """Answers `AspectQuery` by an index of the rows that `aspect_rows` makes of a gallery.

    Parameters
    ----------
    aspects : mapping of notion to (start, stop)
        Slices of the vectors, as in `FeatureSpec.aspects`.
    index : Index
        Built of the rows; exact or any other.
    dim : int
        Dimension of the vectors.
    """

    def __init__(
        self, aspects: Mapping[str, tuple[int, int]], index: Index | HostedIndex, *, dim: int
    ) -> None:
        self.aspects = _checked(aspects, dim)
        self.index = index
        self.dim = dim

    def search(self, queries: Sequence[AspectQuery], k: int) -> tuple[list[list[str]], FloatArray]:
        """Find the ``k`` tracks of highest score for every query.

        Returns
        -------
        ids : list of lists of str
            Highest score first, equal ones in ascending order of ids.
        distances : float32 array, shape (n_queries, min(k, n))
            1 - score, in [0, 2]; the score is
            ``(1 - beta) sum_s w_s cos_s / sum_s |w_s| + beta cos``.
        """
        rows = np.stack([self._row(query) for query in queries])
        ids, distances = self.index.search(rows, k)
        # undo the scaling of the cosine: gallery rows all have the same length
        length = math.sqrt(len(self.aspects) + 1)
        scale = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True)) * length
        scores = (1.0 - distances.astype(np.float64)) * scale
        return ids, np.clip(1.0 - scores, 0.0, 2.0).astype(np.float32)

    def _row(self, query: AspectQuery) -> FloatArray:
        unknown = sorted(set(query.parts) - set(self.aspects))
        if unknown:
            raise ParameterError(
                f"aspect must be one of {listed(sorted(self.aspects))}, got {listed(unknown)}."
            )
        shares = query.shares()
        columns: list[FloatArray] = []
        for notion, (start, stop) in self.aspects.items():
            part = np.zeros(stop - start, np.float32)
            if notion in query.parts:
                example = self._example(query.parts[notion])[start:stop]
                part = unit_rows(example[None])[0] * np.float32((1 - query.beta) * shares[notion])
            columns.append(part)
        whole = np.zeros(self.dim, np.float32)
        if query.overall is not None:
            whole = unit_rows(self._example(query.overall)[None])[0] * np.float32(query.beta)
        return np.concatenate([*columns, whole, np.zeros(1, np.float32)])

    def _example(self, vector: FloatArray) -> FloatArray:
        vector = np.asarray(vector)
        if vector.shape != (self.dim,):
            raise ParameterError(
                f"query vectors must have shape ({self.dim},), got {vector.shape}."
            )
        return vector
