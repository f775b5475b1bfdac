"""Where two tracks are most alike: the best pair of segments, by features of their frames."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.index.exact import unit_rows
from featx.index.queries import examples_of

if TYPE_CHECKING:
    from featx.index.gallery import Gallery, Neighbour
    from featx.index.queries import Example, Query
    from featx.store.views import FeatureView
    from featx.types import AnyArray, DoubleArray, FloatArray

#: Seconds of a segment, unless frames are longer, and tracks whose frames give mean and spread.
SECONDS = 5.0
_SAMPLED = 16


@dataclass(frozen=True, kw_only=True)
class SegmentPair:
    """The segments of a query and of a track that are most alike.

    Parameters
    ----------
    feature : str
        The frames that were compared, such as ``mfcc.frames``.
    query : str
        Track or file of the query.
    query_start, start : float
        Where the segments of query and track begin, in seconds.
    duration : float
        How long both are, in seconds; shorter where a track is.
    similarity : float
        Cosine of the two, in -1..1.
    """

    feature: str
    query: str
    query_start: float
    start: float
    duration: float
    similarity: float


def frames_of(gallery: Gallery, name: str | None = None) -> Any:
    """Return the frames feature that segments are compared by, or None if there is none.

    Parameters
    ----------
    gallery : Gallery
        Features that were searched; the frames belong to the recipe of one of them.
    name : str, optional
        Such as ``chroma.frames``, of any recipe of the store.

    Raises
    ------
    ParameterError
        If ``name`` is not a frames feature.
    """
    if name is not None:
        extractor, _, feature = name.rpartition(".")
        view = gallery.store[extractor][feature]
        if view.spec.kind != "frames":
            raise ParameterError(
                f"segments must be a feature of frames, got {name!r}, {view.spec.kind}."
            )
        return view
    for view in gallery.views:
        stored = gallery.store[f"{view.recipe.extractor}@{view.recipe.id}"].values()
        frames = [item for item in stored if item.spec.kind == "frames" and _sample(gallery, item)]
        named = [item for item in frames if item.spec.name == "frames"]
        if named or len(frames) == 1:
            return (named or frames)[0]
    return None


def with_segments(
    gallery: Gallery,
    query: Query,
    neighbours: Sequence[Neighbour],
    *,
    name: str | None = None,
    weights: Mapping[str, float] | None = None,
) -> list[Neighbour]:
    """Return neighbours with the pair of segments that is most alike.

    Frames are scaled to mean 0 and standard deviation 1 over some tracks of the store, averaged
    over segments of five seconds that overlap by half, and compared by cosine; where the frames
    have the aspects that were weighted, by their weighted cosines.

    Parameters
    ----------
    gallery : Gallery
        What was searched.
    query : track id, audio file, or several
        As in the search. Vectors and sets of tracks have no segments.
    neighbours : sequence of Neighbour
        What was found.
    name : str, optional
        The frames, such as ``chroma.frames``; by default those of an extractor that was searched.
    weights : mapping of aspect to float, optional
        As in the search.

    Returns
    -------
    list of Neighbour
        Without segments where the store has no frames of the track or the query.
    """
    view = frames_of(gallery, name)
    if view is None:
        return list(neighbours)
    mean, spread = _scaling(gallery, view)
    feature = f"{view.recipe.short_name}.{view.spec.name}"
    parts = _parts(view, weights)
    queries = dict.fromkeys(filter(None, map(_key, examples_of(query))))
    sources = []
    for name_of_query in queries:
        if frames := _frames(gallery, view, name_of_query):
            values, times = frames
            sources.append((name_of_query, *_segments(values, times, mean, spread)))
    found = []
    for item in neighbours:
        pair = None
        if sources and item.track_id in view:
            times = view.times(item.track_id)
            vectors, starts, length = _segments(view[item.track_id], times, mean, spread)
            for example, theirs, their_starts, their_length in sources:
                alike = _cosines(theirs, vectors, parts)
                row, column = np.unravel_index(int(alike.argmax()), alike.shape)
                if pair is None or alike[row, column] > pair.similarity:
                    pair = SegmentPair(
                        feature=feature,
                        query=example,
                        query_start=float(their_starts[row]),
                        start=float(starts[column]),
                        duration=min(length, their_length),
                        similarity=float(alike[row, column]),
                    )
        found.append(dataclasses.replace(item, segments=pair))
    return found


def expect_segments(gallery: Gallery, name: str | None = None) -> bool:
    """Have audio files as queries computed with their frames; return whether there are frames."""
    view = frames_of(gallery, name)
    for file, searched in zip(gallery.files, gallery.views, strict=True):
        if view is not None and searched.recipe.id == view.recipe.id:
            file.also(view.spec.name)
    return view is not None


def _key(example: Example) -> str | None:
    return os.fspath(example) if isinstance(example, (str, os.PathLike)) else None


def _frames(gallery: Gallery, view: FeatureView, example: str) -> Any:
    """Return values and times of a track or file, None for a set of tracks."""
    if example in view:
        return view[example], view.times(example)
    if not os.path.isfile(example):  # noqa: PTH113
        return None
    for file, searched in zip(gallery.files, gallery.views, strict=True):
        if searched.recipe.id == view.recipe.id:
            file.also(view.spec.name)
            features = file.features(example)
            return features[view.spec.name], features.times(view.spec.name)
    return None


def _sample(gallery: Gallery, view: FeatureView) -> list[str]:
    """Return some tracks with frames, spread evenly over the gallery if there are such.

    All tracks of a large store are listed only if there are none.
    """
    step = max(1, len(gallery) // _SAMPLED)
    spread = [name for name in islice(gallery.rows, 0, None, step) if name in view]
    return spread[:_SAMPLED] or [*view.ids[:_SAMPLED]]


def _scaling(gallery: Gallery, view: FeatureView) -> tuple[DoubleArray, DoubleArray]:
    """Return mean and standard deviation of the columns; 1 for a constant one."""
    frames = [view[name] for name in _sample(gallery, view)]
    rows = np.concatenate([np.zeros((0, view.spec.dim)), *frames])
    if not len(rows):
        return np.zeros(view.spec.dim), np.ones(view.spec.dim)
    spread = rows.std(axis=0)
    return rows.mean(axis=0), np.where(spread > 0, spread, 1.0)


def _segments(
    values: AnyArray, times: DoubleArray, mean: DoubleArray, spread: DoubleArray
) -> tuple[FloatArray, DoubleArray, float]:
    """Return means ``(n, dim)`` of overlapping segments, their starts, and their length."""
    scaled = (np.asarray(values, np.float64) - mean) / spread
    count = len(scaled)
    hop = float(times[1] - times[0]) if count > 1 else SECONDS
    length = min(max(1, round(SECONDS / hop)), max(1, count))
    sums = np.concatenate([np.zeros((1, scaled.shape[1])), np.cumsum(scaled, axis=0)])
    begins = np.arange(0, max(1, count - length + 1), max(1, length // 2))
    means = (sums[np.minimum(begins + length, count)] - sums[begins]) / length
    starts = np.maximum(times[begins] - hop / 2, 0.0) if count else np.zeros(1)
    return means.astype(np.float32), starts, length * hop


def _parts(
    view: FeatureView, weights: Mapping[str, float] | None
) -> list[tuple[tuple[int, int], float]]:
    """Return ranges of columns and their shares in the similarity."""
    aspects = view.spec.aspects
    if not weights or not set(weights) <= set(aspects):
        return [((0, view.spec.dim), 1.0)]
    total = sum(map(abs, weights.values()))
    return [(aspects[name], weight / total) for name, weight in weights.items() if weight]


def _cosines(
    ours: FloatArray, theirs: FloatArray, parts: Sequence[tuple[tuple[int, int], float]]
) -> FloatArray:
    products = [
        np.float32(share) * (unit_rows(ours[:, a:b]) @ unit_rows(theirs[:, a:b]).T)
        for (a, b), share in parts
    ]
    total: FloatArray = np.sum(products, axis=0)
    return total


def segment_text(pair: SegmentPair | None) -> str:
    """Return a pair as words of a table, such as ``0:35 like 1:10``."""
    if pair is None:
        return ""
    return f"{clock(pair.start)} like {clock(pair.query_start)} ({pair.similarity:.2f})"


def clock(seconds: float) -> str:
    """Return minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
