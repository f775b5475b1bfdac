"""Nearest neighbours of what a store holds: exact search and aspect-weighted queries."""

from __future__ import annotations

from featx.index.aspects import AspectIndex, AspectQuery
from featx.index.exact import ExactIndex, unit_rows
from featx.index.gallery import (
    FUSIONS,
    Gallery,
    Neighbour,
    column_values,
    search,
    tracks_where,
)
from featx.index.queries import column_scaling, fuse_mean, fuse_nearest, prototype

__all__ = [
    "FUSIONS",
    "AspectIndex",
    "AspectQuery",
    "ExactIndex",
    "Gallery",
    "Neighbour",
    "column_scaling",
    "column_values",
    "fuse_mean",
    "fuse_nearest",
    "prototype",
    "search",
    "tracks_where",
    "unit_rows",
]
