"""A metric of one cell: a value per track or query, and what is said of all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx_bench.intervals import bootstrap_mean, wilson

if TYPE_CHECKING:
    from featx.types import DoubleArray

__all__ = ["Scores", "paired_difference"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """One metric.

    Parameters
    ----------
    values : float64 array, shape (n,)
        One per query or test track; the metric is their mean. Empty where the metric is no mean.
    ids : tuple of str, length n
        Tracks.
    chance : float, optional
        What a random competitor has.
    hits : bool
        Values are 0 or 1: the interval is Wilson's instead of the bootstrap's.
    clusters : tuple of str, length n or 0
        Such as artists: the bootstrap draws them instead of tracks.
    summary : (float, float, float), optional
        Value, low and high of a metric that is no mean.
    n : int
        Tracks of such a metric.
    """

    values: DoubleArray
    ids: tuple[str, ...] = ()
    chance: float | None = None
    hits: bool = False
    clusters: tuple[str, ...] = ()
    summary: tuple[float, float, float] | None = None
    n: int = 0

    def __post_init__(self) -> None:
        values = np.asarray(self.values, np.float64)
        object.__setattr__(self, "values", values)
        if self.summary is None and (values.ndim != 1 or len(values) != len(self.ids)):
            raise ParameterError(
                f"values must be one per id, got shape {values.shape} for {len(self.ids)} ids."
            )
        if self.clusters and len(self.clusters) != len(values):
            raise ParameterError(
                f"clusters must be one per value, got {len(self.clusters)} for {len(values)}."
            )

    def to_json(self, *, seed: int = 0) -> dict[str, Any]:
        """Return value, interval, number of tracks, chance, and the values by track."""
        low: float | None
        high: float | None
        if self.summary is not None:
            value, low, high = self.summary
        elif not len(self.values):
            value, low, high = math.nan, None, None
        else:
            value = float(self.values.mean())
            if self.hits and not self.clusters:
                low, high = wilson(float(self.values.sum()), len(self.values))
            else:
                low, high = bootstrap_mean(self.values, seed=seed, clusters=self.clusters or None)
        return {
            "value": None if math.isnan(value) else value,
            "low": low,
            "high": high,
            "n": self.n or len(self.values),
            "chance": self.chance,
            "tracks": {i: round(float(v), 6) for i, v in zip(self.ids, self.values, strict=True)}
            if self.ids
            else {},
            "clusters": list(self.clusters),
        }


def paired_difference(
    first: dict[str, Any], second: dict[str, Any], *, seed: int = 0
) -> dict[str, Any] | None:
    """Compare two metrics, as `Scores.to_json` writes them, on the tracks that both have.

    Returns
    -------
    dict or None
        ``difference`` of means (first minus second), its 95 % interval ``low`` to ``high`` by the
        bootstrap over tracks (or clusters), ``n``. None where there are no values by track.
    """
    shared = [track for track in first["tracks"] if track in second["tracks"]]
    if not shared:
        return None
    gaps = np.array([first["tracks"][track] - second["tracks"][track] for track in shared])
    names = dict(zip(first["tracks"], first["clusters"], strict=False))
    clusters: Sequence[str] | None = [names[track] for track in shared] if names else None
    low, high = bootstrap_mean(gaps, seed=seed, clusters=clusters)
    return {
        "difference": float(gaps.mean()),
        "low": low,
        "high": high,
        "n": len(shared),
    }
