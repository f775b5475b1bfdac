"""Why a track is near: what every notion adds to its score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from featx.index.aspects import AspectQuery
from featx.index.exact import unit_rows

if TYPE_CHECKING:
    from featx.types import FloatArray


def reasons(
    query: AspectQuery | FloatArray, vector: FloatArray, aspects: Mapping[str, tuple[int, int]]
) -> dict[str, float]:
    """Return what every notion adds to the score of a track; the sum is the score.

    Parameters
    ----------
    query : AspectQuery or float32 array (dim,)
        What was looked for. Of a plain vector the cosine of whole vectors is divided: a notion
        adds the products of its columns.
    vector : float32 array (dim,)
        The track.
    aspects : mapping of notion to (start, stop)
        Empty for a feature that has none; there is nothing to divide then.

    Returns
    -------
    dict of str to float
        In -1..1, by notion; ``overall`` is the part of whole vectors (``beta``), ``rest`` that of
        columns without a notion.
    """
    if isinstance(query, AspectQuery):
        shares = query.shares() if query.beta < 1 else {}
        parts = {
            notion: (1 - query.beta) * share * _cosine(query.parts[notion], vector, aspects[notion])
            for notion, share in shares.items()
        }
        if query.overall is not None and query.beta > 0:
            parts["overall"] = query.beta * _cosine(query.overall, vector, (0, len(vector)))
        return parts
    if not aspects:
        return {}
    products = np.prod(unit_rows(np.stack([query, vector])).astype(np.float64), axis=0)
    parts = {notion: float(products[a:b].sum()) for notion, (a, b) in aspects.items()}
    free = np.ones(len(products), bool)
    for start, stop in aspects.values():
        free[start:stop] = False
    if free.any():
        parts["rest"] = float(products[free].sum())
    return parts


def _cosine(query: FloatArray, vector: FloatArray, columns: tuple[int, int]) -> float:
    pair = np.stack([query[slice(*columns)], vector[slice(*columns)]])
    return float(np.prod(unit_rows(pair).astype(np.float64), axis=0).sum())
