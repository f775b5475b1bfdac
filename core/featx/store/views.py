"""One feature of a store, and all features of one recipe."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.annotations import Events
from featx.errors import ParameterError, listed
from featx.notebook import html_table
from featx.store.labels import decode, recode
from featx.store.records import Recipe, encode_text
from featx.store.sources import Block, Entry, Source
from featx.store.tracks import TrackTable, gone_error, near_name
from featx.types import FeatureSpec

if TYPE_CHECKING:
    import pandas

    from featx.store.datasets import FeatureDataset
    from featx.types import AnyArray, DoubleArray


class FeatureView:
    """One feature of all tracks that have it, in the order of their ids.

    What it holds is fixed when first asked for; a run beside it does not change it.
    """

    def __init__(
        self,
        source: Source,
        recipe: Recipe,
        spec: FeatureSpec,
        *,
        among: frozenset[str] | None = None,
    ) -> None:
        self._source = source
        self._among = among
        self.recipe = recipe
        #: Name, kind, dimension, unit, aspects. For time axes ask `times`: they may depend on the
        #: rate of the track.
        self.spec = spec

    def __repr__(self) -> str:
        name = f"{self.recipe.extractor}@{self.recipe.id}"
        return f"<{self.spec.kind} feature {self.spec.name!r} of {name}, {len(self)} tracks>"

    def __reduce__(self) -> tuple[Any, ...]:
        name = f"{self.recipe.extractor}@{self.recipe.id}"
        return _reopen, (self._source.path, name, self.spec.name)

    def _repr_html_(self) -> str:
        rows = []
        for track_id in self.ids[:5]:
            values = self[track_id]
            columns = values.dtype.names or (str(values.dtype),)
            rows.append((track_id, " x ".join(map(str, values.shape)), ", ".join(columns)))
        title = f"{self.recipe.short_name}.{self.spec.name}: {self.spec.kind}, {len(self)} tracks"
        return html_table(title, ("track", "shape", "values"), rows)

    @functools.cached_property
    def _entries(self) -> list[Entry]:
        entries = self._source.entries(self.recipe.id, self.spec.name)
        if not self._source.hidden and self._among is None:
            return entries
        return [entry for entry in entries if self._may_show(entry.track_id)]

    def _may_show(self, track_id: str) -> bool:
        among = self._among is None or track_id in self._among
        return among and track_id not in self._source.hidden

    def among(self, track_ids: Iterable[str]) -> FeatureView:
        """Return this feature of some tracks only."""
        return FeatureView(self._source, self.recipe, self.spec, among=frozenset(track_ids))

    @property
    def licences(self) -> dict[str, str]:
        """Licences of the ``extractor`` and of its ``weights``, as far as the store knows them."""
        return self._source.licences(self.recipe.id)

    @functools.cached_property
    def ids(self) -> tuple[str, ...]:
        """Track ids, sorted by their UTF-8 bytes; row i of `values` belongs to ``ids[i]``."""
        return tuple(entry.track_id for entry in self._entries)

    @functools.cached_property
    def values(self) -> AnyArray:
        """All vectors of a clip feature, shape ``(n_tracks, D)``, read-only, kept once read.

        Raises
        ------
        ParameterError
            For frames and events; use `packed`, or one track at a time.
        """
        if self.spec.kind != "clip":
            raise ParameterError(
                f"values requires a clip feature, got {self.spec.kind!r}. "
                "Use feature[track_id] or feature.packed()."
            )
        values = self.packed()[0]
        values.flags.writeable = False
        return values

    def packed(self) -> tuple[AnyArray, AnyArray]:
        """Return the rows of all tracks end to end and offsets ``(n_tracks + 1,)`` int64.

        Track i of `ids` has ``values[offsets[i]:offsets[i + 1]]``.
        """
        entries = self._entries
        groups: dict[int, list[int]] = {}
        for i, entry in enumerate(entries):
            groups.setdefault(entry.container, []).append(i)
        offsets = np.zeros(len(entries) + 1, np.int64)
        if self.spec.kind == "clip":
            offsets += np.arange(len(offsets))
        else:
            for container, members in groups.items():
                with self._source.lock:
                    lengths = np.diff(self._source.block(container, self.spec.name).offsets)
                offsets[np.array(members) + 1] = lengths[[entries[i].row for i in members]]
            np.cumsum(offsets, out=offsets)
        values = np.empty((int(offsets[-1]), self.spec.dim), self.spec.dtype)
        labels = self._source.labels(self.spec, groups)
        for container, members in groups.items():
            with self._source.lock:
                block = self._source.block(container, self.spec.name)
                rows, starts = block.read_all(), block.offsets
                rows = recode(self.spec, rows, block.labels, labels)
            if self.spec.kind == "clip":
                values[members] = rows[[entries[i].row for i in members]]
                continue
            for i in members:
                row = entries[i].row
                values[offsets[i] : offsets[i + 1]] = rows[starts[row] : starts[row + 1]]
        if self.spec.has_labels:
            values = decode(self.spec, values, labels)
        return values, offsets

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, track_id: object) -> bool:
        return isinstance(track_id, str) and self._find(track_id) is not None

    def __getitem__(self, track_id: str) -> AnyArray:
        """Return one track: ``(D,)`` for clip, ``(T, D)`` for frames, ``(N, k)`` for events.

        Events with labels are structured arrays ``(N,)`` with a field per column.
        """
        with self._source.lock:
            block, row = self._locate(track_id)
            return self._values(block, block.rows(row))

    def lengths(self) -> dict[str, int]:
        """Return the rows of every track by its id, reading no values; 1 for a clip feature."""
        lengths: dict[str, int] = {}
        for entry in self._entries:
            with self._source.lock:
                offsets = self._source.block(entry.container, self.spec.name).offsets
                lengths[entry.track_id] = int(offsets[entry.row + 1] - offsets[entry.row])
        return lengths

    def part(self, track_id: str, start: int, stop: int) -> AnyArray:
        """Return rows ``start`` to ``stop`` of one track, ``(n, D)``; fewer behind its end.

        Only the chunks that hold them are read.
        """
        if not 0 <= start <= stop:
            raise ParameterError(f"start and stop must be 0 <= start <= stop, got {start}, {stop}.")
        with self._source.lock:
            block, row = self._locate(track_id)
            rows = block.part(row, start, stop)
            return decode(self.spec, rows, block.labels) if self.spec.has_labels else rows

    def items(self) -> Iterator[tuple[str, AnyArray]]:
        """Yield ``(track_id, values)`` in the order of `ids`."""
        for entry in self._entries:
            with self._source.lock:
                block = self._source.block(entry.container, self.spec.name)
                values = self._values(block, block.rows(entry.row))
            yield entry.track_id, values

    def events(self, track_id: str, *, name: str = "") -> Events:
        """Return the events of one track with the meaning of their columns, as `Events.of`.

        ``name`` is what they are called, by default as the feature.
        """
        return Events.of(self.spec, self[track_id], name=name)

    def times(self, track_id: str) -> DoubleArray:
        """Return the centres of the frames of one track in seconds, shape ``(T,)``."""
        spec, sr, count = self.axis(track_id)
        return spec.times(count, sr=sr)

    def spans(self, track_id: str) -> DoubleArray:
        """Return start and end of the frames of one track in seconds, shape ``(T, 2)``."""
        spec, sr, count = self.axis(track_id)
        return spec.spans(count, sr=sr)

    def sr(self, track_id: str) -> int:
        """Return the rate in Hz that the time axis of one track counts in."""
        return self.axis(track_id)[1]

    @property
    def tracks(self) -> TrackTable:
        """The tracks of the store, also those without this feature."""
        return TrackTable(self._source)

    def to_frame(self, *, metadata: bool | Sequence[str] = True) -> pandas.DataFrame:
        """Return a table of pandas: what is known of the tracks, then the feature.

        One row per track of a clip feature, per frame, or per event. The index is the track id;
        frames have a column ``time`` in seconds.

        Parameters
        ----------
        metadata : bool or sequence of str
            Columns about tracks that stand before the feature: all (path, duration, rate, channels
            and every tag such as ``artist``), none, or those named. One that has the name of a
            column of the feature is called ``track.NAME``.

        Raises
        ------
        ParameterError
            If pandas is not installed, or the store knows no such column.
        """
        from featx.store.frames import feature_frame

        return feature_frame(self, metadata=metadata)

    def labels(self, column: str) -> AnyArray:
        """Return the value of a column such as ``artist`` for every track, in the order of `ids`.

        Returns
        -------
        array of str, shape (n_tracks,)
            Empty text where nothing is known.

        Raises
        ------
        ParameterError
            If no track has this column.
        """
        from featx.store.frames import label_array

        return label_array(self, column)

    def dataset(
        self,
        *,
        label: str | None = None,
        n_frames: int | None = None,
        among: Sequence[str] | None = None,
    ) -> FeatureDataset:
        """Return a data set for `torch.utils.data.DataLoader`.

        Item i is the tensor of one track, or with ``label`` the pair of it and the index of its
        class; its `ids` and `classes` name them.

        Parameters
        ----------
        label : str, optional
            A column of the manifest, such as ``artist``, that every track must have.
        n_frames : int > 0, optional
            Take so many frames from a random place (by torch's generator), so that tracks can be
            stacked; zeros follow a shorter track. By default all frames.
        among : sequence of track ids, optional
            Only these tracks, such as ``store.tracks.where(split="train")``.

        Raises
        ------
        ParameterError
            For events, or if a label is missing.
        """
        from featx.store.datasets import FeatureDataset

        return FeatureDataset(self, label=label, n_frames=n_frames, among=among)

    def state(self) -> str:
        """Return a hash that is equal only where `digest` is, or nothing if it is not known.

        It costs nothing, but differs after any change of the store, also one of other features.
        """
        return self._source.state()

    def digest(self) -> str:
        """Return a SHA-256 over all (track, bytes): the state of this feature.

        It does not depend on how tracks were grouped into shards, and other features do not enter.
        """
        digest = hashlib.sha256(f"{self.recipe.id}/{self.spec.name}".encode())
        blocks: dict[int, AnyArray] = {}
        for entry in self._entries:
            if entry.container not in blocks:
                with self._source.lock:
                    blocks[entry.container] = self._source.block(
                        entry.container, self.spec.name
                    ).digests
            track = encode_text(entry.track_id)
            digest.update(len(track).to_bytes(8, "little") + track)
            digest.update(blocks[entry.container][entry.row].tobytes())
        return digest.hexdigest()

    def axis(self, track_id: str) -> tuple[FeatureSpec, int, int]:
        """Return what the time axis of one track follows from: its spec, rate and row count."""
        with self._source.lock:
            block, row = self._locate(track_id)
            count = int(block.offsets[row + 1] - block.offsets[row])
            return block.spec(row), int(block.sr[row]), count

    def _values(self, block: Block, rows: AnyArray) -> AnyArray:
        """Return the rows of one track as users see them."""
        if self.spec.has_labels:
            return decode(self.spec, rows, block.labels)
        return rows[0] if self.spec.kind == "clip" else rows

    def _find(self, track_id: str) -> Entry | None:
        if not self._may_show(track_id):
            return None
        return self._source.locate(self.recipe.id, self.spec.name, track_id)

    def _locate(self, track_id: str) -> tuple[Block, int]:
        if not isinstance(track_id, str):
            raise ParameterError(
                f"track_id must be text such as {next(iter(self.ids), 'a.ogg')!r}, got "
                f"{track_id!r}. Row i of feature.values belongs to feature.ids[i]."
            )
        entry = self._find(track_id)
        if entry is None and track_id in self._source.hidden:
            raise gone_error(track_id)
        if entry is None:
            for unit in self._source.units(track_id, self.recipe.id):
                if unit.status != "ok" and (not unit.features or self.spec.name in unit.features):
                    raise ParameterError(
                        f"track {track_id!r} has no {self.spec.name!r}: {unit.status} "
                        f"({unit.code}: {unit.reason})."
                    )
            raise ParameterError(
                f"track_id must be one of the {len(self)} with {self.spec.name!r}, "
                f"got {track_id!r}.{near_name(track_id, self.ids)}"
            )
        return self._source.block(entry.container, self.spec.name), entry.row


class ExtractorView(Mapping[str, FeatureView]):
    """The features stored for one recipe of an extractor."""

    def __init__(
        self, source: Source, name: str, recipe: Recipe, specs: Mapping[str, FeatureSpec]
    ) -> None:
        #: The name under which the store lists it.
        self.name = name
        self.recipe = recipe
        self._features = {
            key: FeatureView(source, recipe, spec) for key, spec in sorted(specs.items())
        }

    def __repr__(self) -> str:
        return f"<{self.name} ({self.recipe.extractor}@{self.recipe.id}): {', '.join(self)}>"

    def _repr_html_(self) -> str:
        rows = [
            (name, view.spec.kind, view.spec.dim, view.spec.unit, len(view), view.spec.description)
            for name, view in self.items()
        ]
        columns = ("feature", "kind", "columns", "unit", "tracks", "description")
        return html_table(f"{self.name} ({self.recipe.extractor}@{self.recipe.id})", columns, rows)

    def __getitem__(self, feature: str) -> FeatureView:
        if feature not in self._features:
            raise UnstoredFeatureError(self, str(feature))
        return self._features[feature]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)


class UnstoredFeatureError(ParameterError):
    """The store has an extractor without this feature; its plugin may have such an output."""

    def __init__(self, view: ExtractorView, feature: str) -> None:
        there = listed(f"{view.name}.{name}" for name in view)
        super().__init__(
            f"{view.name}.{feature} is not in this store, which has {there}."
            f"{near_name(feature, view)}"
        )
        #: Full name of the extractor, and the feature that is missing.
        self.unstored = (view.recipe.extractor, feature)

    def __reduce__(self) -> tuple[Any, ...]:
        return ParameterError, self.args


def _reopen(path: Path, extractor: str, feature: str) -> FeatureView:
    from featx.store.reading import open_store

    return open_store(path)[extractor][feature]
