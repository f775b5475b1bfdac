"""Neighbours among the tracks of a store."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from featx.errors import ParameterError, listed
from featx.index.aspects import AspectIndex, AspectQuery
from featx.index.exact import ExactIndex
from featx.index.queries import column_scaling, fuse_mean, fuse_nearest, prototype
from featx.store import Store, open_store
from featx.store.records import split_tags

if TYPE_CHECKING:
    from featx.store.reading import ExtractorView, FeatureView
    from featx.types import FloatArray

__all__ = ["FUSIONS", "Gallery", "Neighbour", "search", "tracks_where"]

#: How several examples become one search: mean of unit vectors, plain mean (the prototype of a
#: set), or the nearest to any of them.
FUSIONS: tuple[str, ...] = ("mean", "prototype", "max")

#: A track of the store, or a vector.
Example: TypeAlias = "str | FloatArray"

#: One example, several, or one per aspect.
Query: TypeAlias = "Example | Sequence[Example] | Mapping[str, Example]"


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """One answer: a track, its distance (1 - score, in [0, 2]), and its tags in the store."""

    track_id: str
    distance: float
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"track_id": self.track_id, "distance": self.distance, "tags": dict(self.tags)}


class Gallery:
    """One clip feature of a store, read once, indexed when first asked.

    Parameters
    ----------
    store : Store
        An open store.
    extractor : str
        Name as the store lists it.
    feature : str, optional
        A clip feature; by default ``embedding``, or the only clip feature there is.
    zscore : bool
        Every dimension is scaled to mean 0 and standard deviation 1 over all tracks, before
        anything is compared; one that is constant becomes 0. Values of tags stay as they are.
    """

    def __init__(
        self, store: Store, extractor: str, feature: str | None = None, *, zscore: bool = False
    ) -> None:
        self.store = store
        self.view = _clip_feature(store[extractor], feature)
        self._stored: FloatArray = self.view.values
        self._scaling = column_scaling(self._stored) if zscore else None
        self.vectors = self._scaled(self._stored)
        self._rows = {name: row for row, name in enumerate(self.view.ids)}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, track_id: object) -> bool:
        return track_id in self._rows

    @functools.cached_property
    def index(self) -> ExactIndex:
        """The index of whole vectors."""
        index = ExactIndex()
        index.build(self.vectors, self.view.ids)
        return index

    @functools.cached_property
    def aspects(self) -> AspectIndex:
        """The index of the feature's aspects."""
        index = AspectIndex(self.view.spec.aspects)
        index.build(self.vectors, self.view.ids)
        return index

    def search(
        self,
        query: Query,
        *,
        k: int = 10,
        exclude: Iterable[str] | None = None,
        among: Iterable[str] | None = None,
        fusion: str = "mean",
        weights: Mapping[str, float] | None = None,
        overall: Example | None = None,
        beta: float = 0.0,
        signed: bool = False,
    ) -> list[Neighbour]:
        """Find the nearest tracks; the parameters are those of `featx.search`."""
        if fusion not in FUSIONS:
            raise ParameterError(f"fusion must be one of {listed(FUSIONS)}, got {fusion!r}.")
        examples = _examples(query)
        left_out = self._left_out(k, exclude, among, [*examples, overall])
        vectors = [self.vector(example) for example in examples]
        whole = None if overall is None else self.vector(overall)
        ask = functools.partial(AspectQuery, weights=weights or {}, beta=beta, signed=signed)
        wanted = k + len(left_out)
        if isinstance(query, Mapping):
            mixed = ask(parts=dict(zip(query, vectors, strict=True)), overall=whole)
            ids, distances = self.aspects.search([mixed], wanted)
        else:
            vectors = vectors if fusion == "max" else [_fuse(vectors, fusion)]
            if weights or beta > 0:
                notions = weights or self.view.spec.aspects
                queries = [
                    ask(
                        parts=dict.fromkeys(notions, vector),
                        overall=vector if whole is None else whole,
                    )
                    for vector in vectors
                ]
                ids, distances = self.aspects.search(queries, wanted)
            else:
                ids, distances = self.index.search(np.stack(vectors), wanted)
        names, nearest = fuse_nearest(ids, distances, wanted)
        return self._answers(names, nearest, left_out, k)

    def search_tag(
        self,
        tag: str,
        *,
        k: int = 10,
        exclude: Iterable[str] | None = None,
        among: Iterable[str] | None = None,
    ) -> list[Neighbour]:
        """Find the tracks with the highest value in the column called ``tag``.

        The distance is 1 - value; equal ones come in ascending order of ids. ``exclude`` and
        ``among`` are those of `featx.search`.
        """
        columns = self.view.spec.column_names
        if tag not in columns:
            raise ParameterError(
                f"tag must be one of the columns of {self.view.spec.name!r}, "
                f"{listed(columns)}, got {tag!r}."
            )
        left_out = self._left_out(k, exclude, among, [])
        distances = 1.0 - self._stored[:, columns.index(tag)]
        order = np.argsort(distances, kind="stable")
        return self._answers([self.view.ids[i] for i in order], distances[order], left_out, k)

    def vector(self, example: Example) -> FloatArray:
        """Return the vector of a track of the store, or check and scale the one given."""
        if isinstance(example, str):
            if example not in self._rows:
                self.view[example]  # raises, and says why it is not there
            row: FloatArray = self.vectors[self._rows[example]]
            return row
        vector: FloatArray = np.asarray(example)
        if vector.shape != (self.view.spec.dim,):
            raise ParameterError(
                f"query must be a track id or a vector of shape ({self.view.spec.dim},), "
                f"got shape {vector.shape}."
            )
        return self._scaled(vector)

    def _scaled(self, values: FloatArray) -> FloatArray:
        if self._scaling is None:
            return values
        mean, scale = self._scaling
        scaled: FloatArray = ((values - mean) * scale).astype(np.float32)
        return scaled

    def _left_out(
        self,
        k: int,
        exclude: Iterable[str] | None,
        among: Iterable[str] | None,
        examples: Sequence[Example | None],
    ) -> set[str]:
        if k < 1:
            raise ParameterError(f"k must be an integer > 0, got {k}.")
        names = (item for item in examples if isinstance(item, str)) if exclude is None else exclude
        left_out = set(names) & self._rows.keys()
        return left_out if among is None else left_out | (self._rows.keys() - set(among))

    def _answers(
        self, names: Sequence[str], distances: FloatArray, left_out: set[str], k: int
    ) -> list[Neighbour]:
        kept = (
            (name, float(distance))
            for name, distance in zip(names, distances, strict=True)
            if name not in left_out
        )
        tracks = self.store.tracks
        return [
            Neighbour(track_id=name, distance=distance, tags=tracks[name].tags)
            for name, distance in itertools.islice(kept, k)
        ]


def search(
    store: Store | str | os.PathLike[str],
    extractor: str,
    feature: str | None = None,
    *,
    query: Query,
    k: int = 10,
    exclude: Iterable[str] | None = None,
    among: Iterable[str] | None = None,
    fusion: str = "mean",
    weights: Mapping[str, float] | None = None,
    overall: Example | None = None,
    beta: float = 0.0,
    signed: bool = False,
    zscore: bool = False,
) -> list[Neighbour]:
    """Find the tracks of a store that are nearest to a query, exactly, by cosine.

    Parameters
    ----------
    store : Store or path
        For many searches make a `featx.index.Gallery` once: this function reads and indexes the
        feature anew.
    extractor : str
        Name as the store lists it, such as ``samplecnn`` or ``samplecnn@0123abcd``.
    feature : str, optional
        A clip feature; by default ``embedding``, or the only clip feature there is.
    query : track id, vector (dim,), sequence of these, or mapping of aspect to one of these
        One example; several examples, joined by ``fusion``; or another example for every aspect.
    k : int > 0
        How many tracks to return.
    exclude : iterable of track ids, optional
        Left out of the answer; by default the tracks of the query. ``()`` keeps them.
    among : iterable of track ids, optional
        Only these are ranked, such as those of `featx.index.tracks_where`; by default all.
    fusion : {'mean', 'prototype', 'max'}
        Several examples: mean of their unit vectors; plain mean, the prototype of a set; or the
        tracks nearest to any one of them.
    weights : mapping of aspect to float, optional
        Weight of every aspect; aspects that are not named do not count.
    overall : track id or vector, optional
        Example for the similarity of whole vectors; by default the query itself.
    beta : float in [0, 1]
        Share of the similarity of whole vectors in an aspect-weighted score.
    signed : bool
        Allow weights below 0: unlike the example in that aspect.
    zscore : bool
        Scale every dimension first, see `featx.index.Gallery`.

    Returns
    -------
    list of Neighbour
        Nearest first, equal distances in ascending order of ids. At most k.

    Raises
    ------
    ParameterError
        If a track, aspect or feature is unknown, or a value is out of range.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    try:
        return Gallery(opened, extractor, feature, zscore=zscore).search(
            query,
            k=k,
            exclude=exclude,
            among=among,
            fusion=fusion,
            weights=weights,
            overall=overall,
            beta=beta,
            signed=signed,
        )
    finally:
        if opened is not store:
            opened.close()


def tracks_where(store: Store, **tags: str) -> list[str]:
    """Return the ids of tracks whose columns have these values, such as ``artist="Bach"``.

    In the column ``tags`` it is one of the values between semicolons.

    The result is a query for `search`, with ``fusion="prototype"`` for the mean of the set, or
    narrows its answer down as ``among``.
    """
    return [
        record.track_id
        for record in store.tracks.records()
        if all(
            value in column_values(name, record.tags.get(name, "")) for name, value in tags.items()
        )
    ]


def column_values(name: str, text: str) -> tuple[str, ...]:
    """Return what a column of a manifest holds: ``text``, or for ``tags`` what it is joined of."""
    if name == "tags":
        return split_tags(text)
    return (text,) if text else ()


def _clip_feature(extractor: ExtractorView, feature: str | None) -> FeatureView:
    clips = [name for name, view in extractor.items() if view.spec.kind == "clip"]
    if feature is None:
        if "embedding" in clips:
            feature = "embedding"
        elif len(clips) == 1:
            feature = clips[0]
        else:
            raise ParameterError(
                f"feature of {extractor.name!r} must be named, one of {clips}, got none."
            )
    view = extractor[feature]
    if view.spec.kind != "clip":
        raise ParameterError(
            f"feature must be one vector per track, one of {clips}, got {feature!r}, which is "
            f"{view.spec.kind!r}."
        )
    return view


def _examples(query: Query) -> list[Example]:
    if isinstance(query, str):
        return [query]
    if isinstance(query, np.ndarray):
        return [query] if query.ndim == 1 else list(query)
    examples = list(query.values() if isinstance(query, Mapping) else query)
    if not examples:
        raise ParameterError("query must hold at least one example, got none.")
    return examples


def _fuse(vectors: Sequence[FloatArray], fusion: str) -> FloatArray:
    if len(vectors) == 1:
        return vectors[0]
    return (prototype if fusion == "prototype" else fuse_mean)(np.stack(vectors))
