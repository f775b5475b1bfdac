"""Several clip features as one, whose aspects are the features."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError, listed
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.store.views import FeatureView
    from featx.types import DoubleArray, FloatArray


class FusedView:
    """Clip features side by side, of the tracks that have them all, each centred on these tracks.

    Vectors that share a large mean are all alike by cosine; without it, features of any kind and
    scale can be weighed against each other, as aspects called ``extractor.feature``.

    Parameters
    ----------
    views : sequence of FeatureView
        Two at least, distinct.
    """

    def __init__(self, views: Sequence[FeatureView]) -> None:
        names = [f"{view.recipe.short_name}.{view.spec.name}" for view in views]
        if len(set(names)) != len(names):
            raise ParameterError(f"features must be distinct, got {listed(names)}.")
        self.views = tuple(views)
        shared = set.intersection(*(set(view.ids) for view in views))
        self.ids = tuple(name for name in views[0].ids if name in shared)
        if not self.ids:
            raise ParameterError(
                f"features must have some tracks in common, got none of {listed(names)}."
            )
        ends = accumulate((view.spec.dim for view in views), initial=0)
        aspects = dict(zip(names, pairwise(ends), strict=True))
        dim = sum(view.spec.dim for view in views)
        self.spec = FeatureSpec(name="fused", kind="clip", dim=dim, aspects=aspects)

    def __repr__(self) -> str:
        return f"<{' and '.join(self.spec.aspects)}, {len(self.ids)} tracks>"

    def complete(self, weights: Mapping[str, float], *, rest: float = 1.0) -> dict[str, float]:
        """Return a weight for every feature: the one given for it or its extractor, or ``rest``."""
        complete = dict.fromkeys(self.spec.aspects, rest)
        for name, weight in weights.items():
            matches = [known for known in complete if name in (known, known.rpartition(".")[0])]
            if len(matches) != 1:
                raise ParameterError(
                    f"weights must be given for one of {listed(complete)}, got {name!r}."
                )
            complete[matches[0]] = weight
        return complete

    @functools.cached_property
    def _raw(self) -> FloatArray:
        columns = []
        for view in self.views:
            rows = {name: row for row, name in enumerate(view.ids)}
            columns.append(view.values[[rows[name] for name in self.ids]])
        return np.concatenate(columns, axis=1).astype(np.float32)

    @functools.cached_property
    def _mean(self) -> DoubleArray:
        mean: DoubleArray = self._raw.mean(axis=0, dtype=np.float64)
        return mean

    @functools.cached_property
    def values(self) -> FloatArray:
        """Centred vectors, shape ``(n_tracks, dim)``."""
        return self.centred(self._raw)

    def centred(self, vectors: FloatArray) -> FloatArray:
        """Return vectors, their features one after the other, without the mean of the tracks."""
        return (vectors - self._mean).astype(np.float32)

    def __getitem__(self, track_id: str) -> FloatArray:
        return self.centred(np.concatenate([view[track_id] for view in self.views]))
