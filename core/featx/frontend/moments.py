"""Statistics over time, block by block, by sums in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError, listed
from featx.frontend.memory import thread_array
from featx.types import DoubleArray, FloatArray

if TYPE_CHECKING:
    from featx.frontend.bands import Clip
    from featx.frontend.rows import Rows
    from featx.frontend.streams import Block

#: What `featx.frontend.statistics` computes, in the order of its documentation.
STATISTICS = ("mean", "std", "min", "max", "delta_mean", "delta_std")


def checked_statistics(statistics: Sequence[str]) -> tuple[str, ...]:
    """Return the names of statistics, after checking that they are known."""
    names = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    if not names or not set(names) <= set(STATISTICS):
        raise ParameterError(
            f"statistics must be some of {listed(STATISTICS)}, got {listed(names)}."
        )
    return names


def describe(
    rows: Rows, clip: Clip, blocks: Iterable[Block], names: Sequence[str]
) -> Iterator[DoubleArray]:
    """Yield the moments of all blocks, `Rows.piece` frames each."""
    from featx.kernels import moments

    extremes = "min" in names or "max" in names
    rises = "delta_mean" in names or "delta_std" in names
    for excerpt, first, stop in blocks:
        values = thread_array("values", stop - first, rows.dim)
        rows.write(excerpt, clip, first, stop, values)
        for at in range(0, stop - first, rows.piece):
            described = np.empty((moments.ROWS, rows.dim))
            moments.moments_kernel(values[at : at + rows.piece], extremes, rises, described)
            yield described


def statistic_rows(names: Sequence[str], described: Iterable[DoubleArray], dim: int) -> FloatArray:
    """Return the statistics, shape ``(len(names), dim)``, of moments in their order."""
    from featx.kernels import moments as m

    total = np.zeros((m.ROWS, dim))
    for item in described:
        m.fold_kernel(item, total)
    makers: dict[str, Callable[[], DoubleArray]] = {
        "mean": lambda: total[m.MEAN],
        "std": lambda: np.sqrt(total[m.SPREAD] / np.maximum(total[m.COUNT], 1.0)),
        "min": lambda: total[m.LEAST],
        "max": lambda: total[m.MOST],
        "delta_mean": lambda: total[m.RISE_MEAN],
        "delta_std": lambda: np.sqrt(total[m.RISE_SPREAD] / np.maximum(total[m.RISES], 1.0)),
    }
    return np.stack([makers[name]() for name in names]).astype(np.float32)
