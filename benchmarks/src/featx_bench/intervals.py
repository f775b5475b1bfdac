"""95 % intervals: Wilson's for proportions, the bootstrap for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.types import DoubleArray

__all__ = [
    "RESAMPLES",
    "bootstrap",
    "bootstrap_mean",
    "centred_bootstrap",
    "resampled_means",
    "resamples",
    "wilson",
]

#: Resamples of a bootstrap.
RESAMPLES = 1000

_Z = 1.959963984540054


def wilson(hits: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion.

    Parameters
    ----------
    hits : float, 0..n
        Successes; fractions are averages over trials.
    n : int > 0
        Cases.

    References
    ----------
    Wilson, E. B. "Probable inference, the law of succession, and statistical inference". Journal
    of the American Statistical Association, 1927.

    Examples
    --------
    >>> [round(x, 3) for x in wilson(5, 20)]
    [0.112, 0.469]
    """
    if n < 1 or not 0 <= hits <= n:
        raise ParameterError(f"hits must lie within 0..n with n > 0, got {hits} of {n}.")
    share = hits / n
    centre = share + _Z**2 / (2 * n)
    half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    scale = 1 + _Z**2 / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def resamples(n: int, *, seed: int = 0, clusters: Sequence[str] | None = None) -> Any:
    """Yield `RESAMPLES` index arrays drawn with replacement from ``range(n)``.

    With ``clusters`` (one name per case) whole clusters are drawn: cases that share an artist, say,
    are not independent, and intervals that take them so are too narrow.
    """
    members = _clusters(n, clusters)
    for block in _draws(n if members is None else len(members), seed):
        for drawn in block:
            yield drawn if members is None else np.concatenate([members[i] for i in drawn])


def resampled_means(
    values: DoubleArray, *, seed: int = 0, clusters: Sequence[str] | None = None
) -> DoubleArray:
    """Return the means of ``values``, shape (n,), in all `resamples`: shape (`RESAMPLES`,)."""
    sums = np.asarray(values, np.float64)
    sizes = np.ones(len(sums))
    members = _clusters(len(sums), clusters)
    if members is not None:
        sums = np.array([sums[rows].sum() for rows in members])
        sizes = np.array([len(rows) for rows in members])
    blocks = _draws(len(sums), seed)
    means = [sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1) for drawn in blocks]
    return np.concatenate(means)


def _clusters(n: int, clusters: Sequence[str] | None) -> list[Any] | None:
    """Return the cases of every cluster."""
    if clusters is None:
        return None
    if len(clusters) != n:
        raise ParameterError(f"clusters must have one name per case, got {len(clusters)} for {n}.")
    _, inverse = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    return [np.flatnonzero(inverse == i) for i in range(int(inverse.max()) + 1)]


def _draws(n: int, seed: int) -> Iterator[Any]:
    """Yield blocks of indices, `RESAMPLES` rows of n in all, of about a million indices each."""
    rng = np.random.default_rng([seed, 0xB007])
    rows = max(1, 2**20 // n)
    for start in range(0, RESAMPLES, rows):
        yield rng.integers(0, n, (min(rows, RESAMPLES - start), n))


def bootstrap(
    statistic: Callable[[Any], float],
    n: int,
    *,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of ``statistic(indices)``; NaN values are skipped."""
    samples = [statistic(rows) for rows in resamples(n, seed=seed, clusters=clusters)]
    low, high = np.nanpercentile(samples, [2.5, 97.5])
    return float(low), float(high)


def centred_bootstrap(
    statistic: Callable[[Any], float],
    n: int,
    *,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
) -> tuple[float, float, float]:
    """Return ``statistic`` of all cases, and a 95 % interval around it.

    A resample holds cases several times. Average precision takes the copies of a hit for further
    hits, so that resamples lie above the sample, whose value may then be outside their percentiles.
    The spread of the resamples is right, though: it is taken around their mean, and put around the
    value of the sample.
    """
    samples = [statistic(rows) for rows in resamples(n, seed=seed, clusters=clusters)]
    value = statistic(np.arange(n))
    low, high = np.nanpercentile(samples, [2.5, 97.5]) - np.nanmean(samples)
    return value, value + float(low), value + float(high)


def bootstrap_mean(
    values: DoubleArray, *, seed: int = 0, clusters: Sequence[str] | None = None
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean of ``values``, shape (n,)."""
    low, high = np.nanpercentile(resampled_means(values, seed=seed, clusters=clusters), [2.5, 97.5])
    return float(low), float(high)
