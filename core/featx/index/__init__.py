"""Nearest neighbours of what a store holds, through exact search or any index of a plugin."""

from __future__ import annotations

from featx.index.aspects import AspectIndex, AspectQuery, aspect_rows
from featx.index.exact import ExactIndex, unit_rows
from featx.index.files import FileVectors
from featx.index.fused import FusedView
from featx.index.gallery import Gallery, Neighbour
from featx.index.hosting import EXACT, HostedIndex, IndexChoice, choose_index
from featx.index.measuring import recall
from featx.index.queries import FUSIONS, column_scaling, fuse_mean, fuse_nearest, prototype
from featx.index.reasons import reasons
from featx.index.saved import IndexDescription, saved_indexes
from featx.index.searching import search

__all__ = [
    "EXACT",
    "FUSIONS",
    "AspectIndex",
    "AspectQuery",
    "ExactIndex",
    "FileVectors",
    "FusedView",
    "Gallery",
    "HostedIndex",
    "IndexChoice",
    "IndexDescription",
    "Neighbour",
    "aspect_rows",
    "choose_index",
    "column_scaling",
    "fuse_mean",
    "fuse_nearest",
    "prototype",
    "reasons",
    "recall",
    "saved_indexes",
    "search",
    "unit_rows",
]
