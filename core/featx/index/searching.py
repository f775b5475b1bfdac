"""`featx.search`: one question to a store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featx.index.gallery import Gallery
from featx.index.segments import expect_segments, with_segments
from featx.store import Store, open_store

if TYPE_CHECKING:
    from featx.index.gallery import Neighbour
    from featx.index.queries import Example, Query


def search(
    store: Store | str | os.PathLike[str],
    query: Query,
    *,
    extractor: str | None = None,
    feature: str | Sequence[str] | None = None,
    k: int = 10,
    exclude: Iterable[str] | None = None,
    among: Iterable[str] | None = None,
    fusion: str = "mean",
    weights: Mapping[str, float] | None = None,
    overall: Example | None = None,
    beta: float = 0.0,
    signed: bool = False,
    zscore: bool | None = None,
    index: str | os.PathLike[str] = "exact",
    index_params: Mapping[str, Any] | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    segments: bool | str = False,
) -> list[Neighbour]:
    """Find the tracks of a store that are nearest to a query by cosine distance.

    Parameters
    ----------
    store : Store or path
        For many searches make a `featx.index.Gallery` once: this function reads and indexes the
        feature anew.
    query : track id, audio file, vector (dim,), sequence of these, or mapping of aspect to these
        One example; several examples, joined by ``fusion``; or another example for every aspect.
        Text is the id of a track if there is one, else the path of an audio file, whose features
        are computed as the store's were, else a set of tracks: ``artist:Bach``, ``album:Blue`` or
        ``tag:jazz``.
    extractor, feature : str, optional
        The clip feature that is compared, such as ``feature="mfcc.summary"``, or several, see
        `featx.index.Gallery`; neither is needed where the store has one.
    k : int > 0
        How many tracks to return.
    exclude : iterable of track ids, optional
        Left out of the answer; by default the tracks of the query, those of its sets included.
        ``()`` keeps them.
    among : iterable of track ids, optional
        Only these are ranked, exactly, such as those of ``store.tracks.where(artist="Bach")``; by
        default all.
    fusion : {'mean', 'prototype', 'max'}
        Several examples: mean of their unit vectors; plain mean, the prototype of a set; or the
        tracks nearest to any one of them.
    weights : mapping of aspect to float, optional
        Weight of every aspect, or of every feature where there are several; those that are not
        named do not count.
    overall : track id, audio file or vector, optional
        Example for the similarity of whole vectors; by default the query itself.
    beta : float in [0, 1]
        Share of the similarity of whole vectors in an aspect-weighted score.
    signed : bool
        Allow weights below 0: unlike the example in that aspect.
    zscore, index, index_params, weights_file
        See `featx.index.Gallery`.
    segments : bool or str
        Say where query and track are most alike, by the frames of an extractor that is compared, or
        those named, such as ``chroma.frames``; see `featx.index.with_segments`.

    Returns
    -------
    list of Neighbour
        Nearest first, equal distances in ascending order of ids. At most k.

    Raises
    ------
    ParameterError
        If a track, aspect or feature is unknown, or a value is out of range.
    AudioError
        If an audio file cannot be decoded.
    DigestError
        If a saved index belongs to other values than those in the store.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    try:
        gallery = Gallery(
            opened,
            extractor,
            feature,
            zscore=zscore,
            index=index,
            index_params=index_params,
            weights_file=weights_file,
        )
        name = segments if isinstance(segments, str) else None
        if segments:
            expect_segments(gallery, name)
        neighbours = gallery.search(
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
        if not segments:
            return neighbours
        return with_segments(gallery, query, neighbours, name=name, weights=weights)
    finally:
        if opened is not store:
            opened.close()
