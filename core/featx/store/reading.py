"""open_store: features by extractor, feature and track, from a folder or a merged file."""

from __future__ import annotations

import difflib
import functools
import hashlib
import itertools
import os
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.annotations import Events
from featx.errors import ParameterError, StoreError, listed, some
from featx.store.labels import decode, recode
from featx.store.merged import MergedSource, admit_merged
from featx.store.paths import is_merged_file, is_store_folder
from featx.store.records import Recipe, TrackRecord, Unit, column_values, encode_text
from featx.store.sources import Block, Entry, FolderSource, Source
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray

#: Hexadecimal digits of a recipe that ``name@recipe`` must give at least.
_SHORTEST_RECIPE = 4


class FeatureView:
    """One feature of all tracks that have it, in the order of their ids.

    What it holds is fixed when first asked for; a run that goes on beside it does not change it.
    """

    def __init__(self, source: Source, recipe: Recipe, spec: FeatureSpec) -> None:
        self._source = source
        self.recipe = recipe
        #: Name, kind, dimension, unit, aspects. For time axes ask `times`: they may depend on the
        #: rate of the track.
        self.spec = spec

    def __repr__(self) -> str:
        name = f"{self.recipe.extractor}@{self.recipe.id}"
        return f"<{self.spec.kind} feature {self.spec.name!r} of {name}, {len(self)} tracks>"

    @functools.cached_property
    def _entries(self) -> list[Entry]:
        return self._source.entries(self.recipe.id, self.spec.name)

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
                f"values must be asked of a clip feature, got {self.spec.kind!r}. "
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
        found: dict[str, int] = {}
        for entry in self._entries:
            with self._source.lock:
                offsets = self._source.block(entry.container, self.spec.name).offsets
                found[entry.track_id] = int(offsets[entry.row + 1] - offsets[entry.row])
        return found

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
        spec, sr, count = self._axis(track_id)
        return spec.times(count, sr=sr)

    def spans(self, track_id: str) -> DoubleArray:
        """Return start and end of the frames of one track in seconds, shape ``(T, 2)``."""
        spec, sr, count = self._axis(track_id)
        return spec.spans(count, sr=sr)

    def sr(self, track_id: str) -> int:
        """Return the rate in Hz that the time axis of one track counts in."""
        return self._axis(track_id)[1]

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

    def _axis(self, track_id: str) -> tuple[FeatureSpec, int, int]:
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
        return self._source.locate(self.recipe.id, self.spec.name, track_id)

    def _locate(self, track_id: str) -> tuple[Block, int]:
        entry = self._find(track_id)
        if entry is None:
            for unit in self._source.units(track_id, self.recipe.id):
                if unit.status != "ok" and (not unit.features or self.spec.name in unit.features):
                    raise ParameterError(
                        f"track {track_id!r} has no {self.spec.name!r}: {unit.status} "
                        f"({unit.code}: {unit.reason})."
                    )
            raise ParameterError(
                f"track_id must be one of the {len(self)} with {self.spec.name!r}, "
                f"got {track_id!r}.{_hint(track_id, self.ids)}"
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

    def __getitem__(self, feature: str) -> FeatureView:
        if feature not in self._features:
            raise ParameterError(
                f"feature of {self.name!r} must be one of {list(self._features)}, got {feature!r}."
            )
        return self._features[feature]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)


class TrackTable(Mapping[str, TrackRecord]):
    """The tracks of a store by id: path, content, size, duration, sr, channels, tags."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, track_id: str) -> TrackRecord:
        record = self._source.track(track_id)
        if record is None:
            raise ParameterError(
                f"track_id must be one of the store's, got {track_id!r}.{_hint(track_id, self)}"
            )
        return record

    def __contains__(self, track_id: object) -> bool:
        return isinstance(track_id, str) and self._source.track(track_id) is not None

    def __iter__(self) -> Iterator[str]:
        return (record.track_id for record in self._source.tracks())

    def __len__(self) -> int:
        return self._source.count_tracks()

    def records(self) -> Iterator[TrackRecord]:
        """Yield all records in the order of their ids."""
        return self._source.tracks()

    def column(self, name: str) -> list[Any]:
        """Return one field or tag of all tracks, such as ``duration`` or ``artist``."""
        return [
            getattr(record, name) if hasattr(record, name) else record.tags.get(name)
            for record in self._source.tracks()
        ]

    def where(
        self,
        conditions: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        *,
        among: Container[object] | None = None,
        **tags: str,
    ) -> list[str]:
        """Return the ids of tracks whose columns have these values, such as ``artist="Bach"``.

        In the column ``tags`` it is one of the values between semicolons.

        Parameters
        ----------
        conditions : mapping or pairs of column and value, optional
            All must hold, those in ``tags`` too. Pairs may repeat a column: several tags.
        among : container of track ids, optional
            Tracks to choose from, such as a feature.

        Raises
        ------
        ParameterError
            If there is no such track; the message lists the values or columns that there are.
        """
        records = list(self.records())
        left = [record for record in records if among is None or record.track_id in among]
        pairs = conditions.items() if isinstance(conditions, Mapping) else conditions
        wanted = [*pairs, *tags.items()]
        for place, (name, value) in enumerate(wanted, start=1):
            held = [column_values(name, record.tags.get(name, "")) for record in left]
            left = [record for record, values in zip(left, held, strict=True) if value in values]
            if left:
                continue
            known = sorted({key for record in records for key in record.tags})
            values = sorted({one for several in held for one in several})
            near = difflib.get_close_matches(value, values, n=3)
            hint = f"Values of {name}: {some(dict.fromkeys([*near, *values]))}."
            if name not in known:
                hint = f"Columns of this store: {listed(known)}."
            asked = [f"{key}={text}" for key, text in wanted[:place]]
            raise ParameterError(
                f"conditions must hold for some track, got {listed(asked)}. {hint}"
            )
        return [record.track_id for record in left]


class Store(Mapping[str, ExtractorView]):
    """An open store: extractor name to its features.

    An extractor is called by its short name (``mfcc``), its full name (``featx-spectral:mfcc``), or
    either with a recipe (``mfcc@0123abcd``, four digits or more). Without a recipe the one
    committed last is meant. Iteration lists every recipe under its shortest unambiguous name.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        #: The folder or file.
        self.path = source.path
        self.tracks = TrackTable(source)
        self._recipes = source.recipes()
        self._labels = label_recipes([recipe for recipe, _ in self._recipes])
        self._views: dict[str, ExtractorView] = {}

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<store {self.path}: {len(self.tracks)} tracks, {', '.join(self)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (self.path,)

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and len(self._matches(name)) > 0

    def __getitem__(self, name: str) -> ExtractorView:
        recipe = self.recipe(name)
        if recipe.id not in self._views:
            label = next(label for label, item in self._labels.items() if item.id == recipe.id)
            specs = next(specs for item, specs in self._recipes if item.id == recipe.id)
            self._views[recipe.id] = ExtractorView(self._source, label, recipe, specs)
        return self._views[recipe.id]

    @property
    def source(self) -> Source:
        """Where the features lie, for the other modules of this room."""
        return self._source

    @property
    def recipes(self) -> list[Recipe]:
        """All recipes, the most recently committed one first."""
        return [recipe for recipe, _ in self._recipes]

    def recipe(self, name: str) -> Recipe:
        """Return the recipe that ``name`` means.

        Raises
        ------
        ParameterError
            If there is none, or the short name belongs to extractors of several distributions, or
            the recipe's digits fit several.
        """
        matches = self._matches(name)
        if not matches:
            raise ParameterError(
                f"extractor must be one of {list(self._labels)}, got {name!r}."
                f"{_hint(name, self._labels)}"
            )
        names = sorted({recipe.extractor for recipe in matches})
        if len(names) > 1:
            raise ParameterError(f"extractor {name!r} is ambiguous: use one of {names}.")
        if "@" in name and len(matches) > 1:
            known = [f"{names[0]}@{recipe.id}" for recipe in matches]
            raise ParameterError(f"extractor {name!r} is ambiguous: use one of {known}.")
        return matches[0]

    def _matches(self, name: str) -> list[Recipe]:
        stem, mark, digits = name.partition("@")
        if mark and len(digits) < _SHORTEST_RECIPE:
            return []
        return [
            recipe
            for recipe, _ in self._recipes
            if stem in {recipe.extractor, recipe.short_name} and recipe.id.startswith(digits)
        ]

    def outcomes(self) -> Iterator[Unit]:
        """Yield failed and skipped units in the order of track, recipe and feature."""
        for item in self._source.current():
            if item.status != "ok":
                yield item.to_unit()

    def units(self, track_id: str) -> list[Unit]:
        """Return the latest outcomes of one track under every recipe."""
        return [
            unit for recipe, _ in self._recipes for unit in self._source.units(track_id, recipe.id)
        ]

    def digest(self) -> str:
        """Return a SHA-256 over all (track, feature, bytes, status), sorted.

        It does not depend on how tracks were grouped into shards, nor on the order of work. The
        bytes enter through the digest that each shard keeps per track; `featx verify` checks
        those against the values.
        """
        digest = hashlib.sha256()
        digests: dict[tuple[int, str], AnyArray] = {}
        for item in self._source.current():
            value = b""
            if item.container is not None and item.row is not None:
                key = (item.container, item.feature)
                if key not in digests:
                    with self._source.lock:
                        digests[key] = self._source.block(*key).digests
                value = digests[key][item.row].tobytes()
            for part in (
                encode_text(item.track_id),
                f"{item.recipe}/{item.feature}".encode(),
                value,
                item.status.encode(),
            ):
                digest.update(len(part).to_bytes(8, "little"))
                digest.update(part)
        return digest.hexdigest()

    def close(self) -> None:
        """Close all files."""
        self._source.close()


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a store folder or a merged file for reading.

    Parameters
    ----------
    path : path
        The folder given to ``featx run -o``, or a file made by ``featx merge``.

    Returns
    -------
    Store
        Mapping of extractor name to features: ``open_store(path)["samplecnn"]["embedding"]``.

    Raises
    ------
    StoreError
        If it is no store, or damaged. Shards that this user did not write here are checked first,
        as ``featx verify`` does, once.
    """
    path = Path(path).resolve()
    if is_store_folder(path):
        return Store(FolderSource(path))
    if is_merged_file(path):
        admit_merged(path)
        return Store(MergedSource(path))
    raise StoreError(f"store must be a store folder or a merged file, got {path}.")


def label_recipes(recipes: list[Recipe]) -> dict[str, Recipe]:
    """Return the shortest unambiguous name of every recipe, given in order of preference."""
    owners: dict[str, set[str]] = {}
    for recipe in recipes:
        owners.setdefault(recipe.short_name, set()).add(recipe.extractor)
    labels: dict[str, Recipe] = {}
    for recipe in recipes:
        alone = len(owners[recipe.short_name]) == 1
        name = recipe.short_name if alone else recipe.extractor
        labels[f"{name}@{recipe.id}" if name in labels else name] = recipe
    return labels


def _hint(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(itertools.islice(known, 10_000)), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
