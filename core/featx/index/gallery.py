"""Neighbours among the tracks of a store."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError, StoreError, listed
from featx.index.aspects import AspectIndex, AspectQuery, aspect_rows, check_aspects
from featx.index.exact import ExactIndex, recall
from featx.index.files import FileVectors
from featx.index.fused import FusedView
from featx.index.hosting import HostedIndex, IndexChoice, choose_index
from featx.index.queries import (
    FUSIONS,
    Example,
    Query,
    column_scaling,
    examples_of,
    fuse,
    fuse_nearest,
    prototype,
)
from featx.index.reasons import reasons
from featx.index.saved import FOLDER, IndexDescription, SavedIndex, is_index_folder, write_index
from featx.index.segments import SegmentPair
from featx.store import Store
from featx.store.filenames import safe_name
from featx.store.selecting import clip_feature
from featx.types import DoubleArray, FloatArray

if TYPE_CHECKING:
    from featx.store.views import FeatureView

#: Folders of a saved index: that of whole vectors, and that of aspects.
WHOLE, ASPECTS = "vectors", "aspects"

#: What names a set of tracks in a query, and its column in the store.
_SETS = {"artist": "artist", "album": "album", "tag": "tags"}


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """One answer: a track, its distance (1 - score, in [0, 2]), and its tags in the store.

    ``reasons`` says what every aspect or feature adds to the score; it is empty where there are no
    aspects. ``segments`` says where query and track are most alike, if that was asked for.
    """

    track_id: str
    distance: float
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    reasons: Mapping[str, float] = field(default_factory=dict, hash=False)
    segments: SegmentPair | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        maps = {"tags": dict(self.tags), "reasons": dict(self.reasons)}
        pair = {} if self.segments is None else {"segments": dataclasses.asdict(self.segments)}
        return {"track_id": self.track_id, "distance": self.distance, **maps, **pair}


class Gallery:
    """One clip feature of a store, and the index that answers questions about it.

    Parameters
    ----------
    store : Store
        An open store.
    extractor : str, optional
        Name as the store lists it; may be omitted where there is one, or ``feature`` names it.
    feature : str or sequence of str, optional
        A clip feature, ``summary`` or ``mfcc.summary``; by default ``embedding``, or the only one.
        Several are fused: centred on the tracks that have them all, and compared by the mean of
        their cosines, or with ``weights`` by ``extractor.feature``. Not with a saved index.
    zscore : bool, optional
        Every dimension is scaled to mean 0 and standard deviation 1 over all tracks, before
        anything is compared; one that is constant becomes 0. Values of tags stay as they are.
        By default what a saved index was built with, else not.
    index : str or path
        ``exact``; the name of an installed index, short or full; or the folder of a saved one,
        which also says what the feature is.
    index_params : mapping, optional
        Parameters of the index; strings are parsed as by ``--set``.
    weights_file : path, optional
        Weights for audio files as queries; by default those that a run would take.
    disabled : iterable of str
        Plugins or distributions that are not loaded.

    Raises
    ------
    DigestError
        If a saved index belongs to other values than those in the store.
    ParameterError, PluginError, StoreError
        If a name is unknown, arguments contradict the saved index, or it is damaged.
    """

    def __init__(
        self,
        store: Store,
        extractor: str | None = None,
        feature: str | Sequence[str] | None = None,
        *,
        zscore: bool | None = None,
        index: str | os.PathLike[str] = "exact",
        index_params: Mapping[str, Any] | None = None,
        weights_file: str | os.PathLike[str] | None = None,
        disabled: Iterable[str] = (),
    ) -> None:
        self.store = store
        saved = None
        names: list[str | None] = (
            [feature] if feature is None or isinstance(feature, str) else list(feature)
        )
        if isinstance(index, os.PathLike) or os.sep in index or is_index_folder(index):
            if not is_index_folder(index):
                raise StoreError(
                    f"{os.fspath(index)} holds no saved index. Build one with featx index build."
                )
            if len(names) != 1:
                raise ParameterError(
                    f"features must be one for a saved index, got {len(names)}. Name the index "
                    "instead of its folder."
                )
            saved = SavedIndex(Path(index))
            extractor, names[0] = saved.feature_in(store, extractor, names[0])
        #: The features that are compared.
        self.views: tuple[FeatureView, ...] = tuple(
            clip_feature(store, extractor, name) for name in names
        )
        #: The feature, or all of them as one.
        self.view: Any = FusedView(self.views) if len(names) > 1 else self.views[0]
        #: The kind of index and its parameters.
        self.choice: IndexChoice
        if saved is None:
            self.choice = choose_index(os.fspath(index), index_params, disabled=disabled)
            self.zscore = bool(zscore)
        else:
            self.choice = saved.check(
                self.views[0], store, zscore=zscore, params=index_params, disabled=disabled
            )
            self.zscore = saved.description.zscore
        self._saved = saved
        #: What computes audio files as queries, one per view.
        self.files = [
            FileVectors(view, weights_file=weights_file, disabled=disabled) for view in self.views
        ]
        ids = self.view.ids if saved is None else saved.ids(self.views[0], store)
        #: Row of every track id, in the order of the ids.
        self.rows: Mapping[str, int] = {name: row for row, name in enumerate(ids)}

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, track_id: object) -> bool:
        return track_id in self.rows

    def __repr__(self) -> str:
        return f"<gallery of {self.view!r}, index {self.choice.full_name}>"

    @functools.cached_property
    def vectors(self) -> FloatArray:
        """What is compared, shape ``(n_tracks, dim)``: the values, scaled if ``zscore`` is set."""
        return self._scaled(self.view.values)

    @functools.cached_property
    def index(self) -> HostedIndex:
        """The index of whole vectors, built or loaded on first use."""
        if self._saved is not None:
            return self._saved.load(self.store, self.choice, WHOLE, self.rows)
        return self.choice.build(self.vectors, self.rows)

    @functools.cached_property
    def aspects(self) -> AspectIndex:
        """The index of the feature's aspects, built or loaded on first use."""
        check_aspects(self.view, self.store)
        slices, dim = self.view.spec.aspects, self.view.spec.dim
        if self._saved is not None:
            index = self._saved.load(self.store, self.choice, ASPECTS, self.rows)
        else:
            index = self.choice.build(aspect_rows(self.vectors, slices), self.rows)
        return AspectIndex(slices, index, dim=dim)

    @property
    def folder(self) -> Path:
        """Where the index is saved by default: in the folder of the store.

        Raises
        ------
        ParameterError
            If the store is a merged file.
        """
        if not self.store.path.is_dir():
            raise ParameterError(
                f"{self.store.path} is a merged file and has no folder for indexes. "
                "Name a folder with -o."
            )
        recipe, short = self.view.recipe, self.choice.spec.name
        scaled = "-zscore" if self.zscore else ""
        name = f"{recipe.short_name}.{self.view.spec.name}{scaled}-{short}"
        return self.store.path / FOLDER / safe_name(name)

    def save(self, folder: str | os.PathLike[str]) -> IndexDescription:
        """Build the index, measure its recall, and write it to ``folder``.

        Where the feature has aspects, an index of these is written beside that of whole vectors.
        An index that was saved in ``folder`` is replaced; the new one is complete or not there.

        Returns
        -------
        IndexDescription
            Holds the recall at 10 against exact search.

        Raises
        ------
        ParameterError
            If there are no tracks, or ``folder`` holds something else.
        """
        if len(self.views) > 1:
            raise ParameterError(
                f"feature must be one to save an index, got {listed(self.view.spec.aspects)}. "
                "Build one index per feature, or name the index in the search."
            )
        if not len(self):
            raise ParameterError(
                f"feature must have some tracks, got none of {self.view.spec.name!r}."
            )
        rows: dict[str, tuple[Any, FloatArray]] = {WHOLE: (self.index, self.vectors)}
        if slices := self.view.spec.aspects:
            rows[ASPECTS] = (self.aspects.index, aspect_rows(self.vectors, slices))
        recipe = self.view.recipe
        description = IndexDescription(
            digest=self.view.digest(),
            state=self.view.state(),
            extractor=recipe.extractor,
            recipe=recipe.id,
            feature=self.view.spec.name,
            zscore=self.zscore,
            tracks=len(self),
            dim=self.view.spec.dim,
            index=self.choice.full_name,
            version=self.choice.spec.version,
            params=self.choice.params,
            recall={name: recall(*item, self.view.ids) for name, item in rows.items()},
        )
        return write_index(
            Path(folder),
            description,
            {name: index for name, (index, _) in rows.items()},
            self.view.ids,
        )

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
        if weights and isinstance(self.view, FusedView) and not isinstance(query, Mapping):
            weights = self.view.complete(weights)
        examples = examples_of(query)
        excluded = self._excluded(k, exclude, [*examples, overall])
        vectors = [self.vector(example) for example in examples]
        whole = None if overall is None else self.vector(overall)
        make = functools.partial(AspectQuery, weights=weights or {}, beta=beta, signed=signed)
        n_nearest = k + len(excluded)
        gallery = self if among is None else _Subset(self, among)
        asked: list[AspectQuery | FloatArray]
        if isinstance(query, Mapping):
            asked = [make(parts=dict(zip(query, vectors, strict=True)), overall=whole)]
        else:
            vectors = vectors if fusion == "max" else [fuse(vectors, fusion)]
            if weights or beta > 0 or len(self.views) > 1:
                notions = weights or self.view.spec.aspects
                asked = [
                    make(
                        parts=dict.fromkeys(notions, vector),
                        overall=vector if whole is None else whole,
                    )
                    for vector in vectors
                ]
            else:
                asked = [*vectors]
        by_aspect = [item for item in asked if isinstance(item, AspectQuery)]
        if by_aspect:
            ids, distances = gallery.aspects.search(by_aspect, n_nearest)
        else:
            ids, distances = gallery.index.search(np.stack(vectors), n_nearest)
        names, nearest = fuse_nearest(ids, distances, n_nearest)
        return [
            dataclasses.replace(answer, reasons=self._reasons(asked, answer.track_id))
            for answer in self._answers(names, nearest, excluded, k)
        ]

    def _reasons(
        self, asked: Sequence[AspectQuery | FloatArray], track_id: str
    ) -> Mapping[str, float]:
        """Return the reasons of a track, by the query that it is nearest to."""
        vector, aspects = self.vector(track_id), self.view.spec.aspects
        several = [reasons(query, vector, aspects) for query in asked]
        return max(several, key=lambda parts: sum(parts.values()))

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
        excluded = self._excluded(k, exclude, [])
        if among is not None:
            excluded |= self.rows.keys() - set(among)
        values: FloatArray = self.view.values
        distances = np.float32(1.0) - values[:, columns.index(tag)]
        order = np.argsort(distances, kind="stable")
        return self._answers([self.view.ids[i] for i in order], distances[order], excluded, k)

    def vector(self, example: Example) -> FloatArray:
        """Return the vector of a track, a set, an audio file, or the one given; scaled if need be.

        Text is the id of a track if there is one, else the path of a file, else a set such as
        ``artist:Bach``, ``album:Blue`` or ``tag:jazz``, whose vector is the mean of its tracks.
        """
        if isinstance(example, str) and example in self.rows:
            if self._saved is None:
                row: FloatArray = self.vectors[self.rows[example]]
                return row
            return self._scaled(self.view[example])
        if isinstance(example, os.PathLike) or (
            isinstance(example, str) and os.path.isfile(example)  # noqa: PTH113  (also with NUL)
        ):
            vectors = [file.vector(example) for file in self.files]
            return self._scaled(self._centred(np.concatenate(vectors)))
        if members := self._members(example):
            return prototype(np.stack([self.vector(name) for name in members]))
        if isinstance(example, str):
            try:
                self.view[example]  # raises, and says why it is not there
            except ParameterError as error:
                raise ParameterError(f"{error} There is no such file either.") from None
        vector: FloatArray = np.asarray(example)
        if vector.shape != (self.view.spec.dim,) or vector.dtype.kind not in "fiu":
            raise ParameterError(
                f"query must be a track id, an audio file or a vector of shape "
                f"({self.view.spec.dim},), got shape {vector.shape}, dtype {vector.dtype}."
            )
        return self._scaled(self._centred(vector))

    def _members(self, example: object) -> list[str]:
        """Return the tracks of a set such as ``artist:Bach``; none for any other example."""
        if not isinstance(example, str) or example in self.rows:
            return []
        kind, colon, value = example.partition(":")
        if not colon or kind not in _SETS or os.path.isfile(example):  # noqa: PTH113
            return []
        return self.store.tracks.where([(_SETS[kind], value)], among=self)

    def _centred(self, vector: FloatArray) -> FloatArray:
        return self.view.centred(vector) if isinstance(self.view, FusedView) else vector

    @functools.cached_property
    def _scaling(self) -> tuple[DoubleArray, DoubleArray]:
        return column_scaling(self.view.values)

    def _scaled(self, values: FloatArray) -> FloatArray:
        if not self.zscore:
            return values
        mean, scale = self._scaling
        scaled: FloatArray = ((values - mean) * scale).astype(np.float32)
        return scaled

    def _excluded(
        self, k: int, exclude: Iterable[str] | None, examples: Sequence[Example | None]
    ) -> set[str]:
        if k < 1:
            raise ParameterError(f"k must be an integer > 0, got {k}.")
        if exclude is None:
            texts = [item for item in examples if isinstance(item, str)]
            exclude = [name for text in texts for name in (text, *self._members(text))]
        return set(exclude) & self.rows.keys()

    def _answers(
        self, names: Sequence[str], distances: FloatArray, excluded: set[str], k: int
    ) -> list[Neighbour]:
        candidates = (
            (name, float(distance))
            for name, distance in zip(names, distances, strict=True)
            if name not in excluded
        )
        tracks = self.store.tracks
        return [
            Neighbour(track_id=name, distance=distance, tags=tracks[name].tags)
            for name, distance in itertools.islice(candidates, k)
        ]


class _Subset:
    """Some tracks of a gallery, ranked exactly: no other index can omit tracks."""

    def __init__(self, gallery: Gallery, among: Iterable[str]) -> None:
        selection = set(among)
        self._spec = gallery.view.spec
        self._ids = [name for name in gallery.view.ids if name in selection]
        rows = [row for row, name in enumerate(gallery.view.ids) if name in selection]
        self._vectors = gallery.vectors[rows]

    @property
    def index(self) -> ExactIndex:
        return self._build(self._vectors)

    @property
    def aspects(self) -> AspectIndex:
        rows = aspect_rows(self._vectors, self._spec.aspects)
        return AspectIndex(self._spec.aspects, self._build(rows), dim=self._spec.dim)

    def _build(self, rows: FloatArray) -> ExactIndex:
        index = ExactIndex()
        index.build(rows, self._ids)
        return index
