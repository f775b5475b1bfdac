"""Nearest neighbours of what a store holds: exact search and aspect-weighted queries."""

from __future__ import annotations

from featx.index.aspects import AspectIndex, AspectQuery
from featx.index.exact import ExactIndex, unit_rows
from featx.index.queries import fuse_mean, fuse_nearest, prototype

__all__ = [
    "AspectIndex",
    "AspectQuery",
    "ExactIndex",
    "fuse_mean",
    "fuse_nearest",
    "prototype",
    "unit_rows",
]
