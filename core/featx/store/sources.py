"""Where features lie: blocks of packed arrays, in the shards of a folder or in one merged file."""

from __future__ import annotations

import functools
import itertools
import json
import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py

from featx.errors import StoreError
from featx.store.admission import admit_shards
from featx.store.catalogue import LatestOutcome, LedgerView, StoredCost
from featx.store.labels import Vocabularies, join
from featx.store.records import Recipe, TrackRecord, Unit, decode_text
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray

#: HDF5 files that one open store keeps open, and bytes of chunk cache per dataset in them.
OPEN_FILES = 24
CHUNK_CACHE = 2**20


class Entry(NamedTuple):
    """Where one feature of one track lies: number of the container, row in it."""

    track_id: str
    container: int
    row: int


class Block:
    """One feature of many tracks inside one HDF5 file.

    ``group`` holds values, offsets, digests and description; ``about`` the rates and content
    hashes of the tracks.
    """

    def __init__(self, group: Any, *, about: Any) -> None:
        self._group = group
        self._about = about
        self._values = group["values"]
        self.offsets = _array(group["offsets"])

    @functools.cached_property
    def _specs(self) -> list[FeatureSpec]:
        plain = json.loads(self._group["spec"][:].tobytes())
        return [FeatureSpec.from_json(i) for i in (plain if isinstance(plain, list) else [plain])]

    @functools.cached_property
    def labels(self) -> Vocabularies:
        """Texts of the label columns, which the values number; empty without such columns."""
        if "labels" not in self._group:
            return {}
        vocabularies: Vocabularies = json.loads(self._group["labels"][:].tobytes())
        return vocabularies

    @functools.cached_property
    def _axis(self) -> AnyArray | None:
        return _array(self._group["axis"]) if "axis" in self._group else None

    @functools.cached_property
    def sr(self) -> AnyArray:
        """Rates in Hz, one per track."""
        return _array(self._about["sr"])

    @functools.cached_property
    def content(self) -> AnyArray:
        """Content hashes as bytes, one per track."""
        return _array(self._about["content"])

    @functools.cached_property
    def digests(self) -> AnyArray:
        """Value digests, shape ``(n_tracks, 16)`` uint8."""
        return _array(self._group["digests"])

    def spec(self, row: int) -> FeatureSpec:
        """Return the description that holds for ``row``."""
        return self._specs[0 if self._axis is None else int(self._axis[row])]

    def rows(self, row: int) -> AnyArray:
        """Return the values of one track, always two-dimensional, labels as codes."""
        return _array(self._values, int(self.offsets[row]), int(self.offsets[row + 1]))

    def part(self, row: int, start: int, stop: int) -> AnyArray:
        """Return rows ``start`` to ``stop`` of the values of one track."""
        first, end = int(self.offsets[row]), int(self.offsets[row + 1])
        return _array(self._values, min(first + start, end), min(first + stop, end))

    def many(self, rows: Sequence[int]) -> list[AnyArray]:
        """Return the values of several tracks, in one read where they lie close together."""
        starts = [int(self.offsets[row]) for row in rows]
        stops = [int(self.offsets[row + 1]) for row in rows]
        first, last = min(starts), max(stops)
        if last - first > 2 * sum(b - a for a, b in zip(starts, stops, strict=True)):
            return [self.rows(row) for row in rows]
        block = _array(self._values, first, last)
        return [block[a - first : b - first] for a, b in zip(starts, stops, strict=True)]

    def read_all(self) -> AnyArray:
        """Return the packed values of all tracks."""
        return _array(self._values)


def _array(dataset: Any, start: int | None = None, stop: int | None = None) -> AnyArray:
    """Read rows of a dataset."""
    try:
        rows: AnyArray = dataset[start:stop]
    except OSError as error:
        raise StoreError(
            f"{dataset.file.filename} is damaged: {dataset.name} cannot be read. "
            "Run featx verify --repair."
        ) from error
    return rows


class Source(ABC):
    """What `Store` needs of a store folder or a merged file."""

    path: Path

    def __init__(self, *, gone: bool = False) -> None:
        self.lock = threading.RLock()
        self._gone = gone

    @functools.cached_property
    def hidden(self) -> frozenset[str]:
        """Ids of tracks that readers omit: those whose file is gone, unless requested."""
        return frozenset() if self._gone else self.gone()

    @abstractmethod
    def gone(self) -> frozenset[str]:
        """Return the ids of tracks that are noted as gone."""

    @abstractmethod
    def recipes(self) -> list[tuple[Recipe, dict[str, FeatureSpec]]]:
        """Return recipes with their stored features, most recently committed first."""

    @abstractmethod
    def entries(self, recipe: str, feature: str) -> list[Entry]:
        """Return what is stored of one feature in the order of the track ids' UTF-8 bytes."""

    @abstractmethod
    def locate(self, recipe: str, feature: str, track_id: str) -> Entry | None:
        """Return where one feature of one track lies."""

    @abstractmethod
    def block(self, container: int, feature: str) -> Block:
        """Return an open block; valid under `lock` until the next call."""

    def makers(self, recipe: str) -> dict[str, int]:
        """Return tracks by the version of the distribution that their values come from."""
        del recipe
        return {}

    def costs(self) -> list[StoredCost]:
        """Return what shards took and hold; those whose writers did not measure are left out."""
        return []

    @abstractmethod
    def licences(self, recipe: str) -> dict[str, str]:
        """Return the licences of the ``extractor`` and its ``weights``, as far as known."""

    def labels(self, spec: FeatureSpec, containers: Iterable[int]) -> Vocabularies:
        """Return the texts of the label columns of several blocks of one feature."""
        if not spec.has_labels:
            return {}
        parts = []
        for container in containers:
            with self.lock:
                parts.append(self.block(container, spec.name).labels)
        return join(spec, parts)

    @abstractmethod
    def tracks(self) -> Iterator[TrackRecord]:
        """Yield all tracks in the order of their ids' UTF-8 bytes."""

    @abstractmethod
    def track(self, track_id: str) -> TrackRecord | None:
        """Return one track."""

    @abstractmethod
    def count_tracks(self) -> int:
        """Return the number of tracks."""

    @abstractmethod
    def current(self) -> Iterator[LatestOutcome]:
        """Yield the latest outcomes in the order of track, recipe id and feature."""

    @abstractmethod
    def units(self, track_id: str, recipe: str) -> tuple[Unit, ...]:
        """Return the latest outcome of every feature of a track under a recipe."""

    def state(self) -> str:
        """Return a hash that is equal only where all values are; empty if it takes reading them."""
        return ""

    @abstractmethod
    def close(self) -> None:
        """Close all files."""


class FolderSource(Source):
    """A store folder."""

    def __init__(self, path: Path, *, gone: bool = False) -> None:
        super().__init__(gone=gone)
        self.path = path
        self.view = LedgerView(path)
        try:
            admit_shards(self.view)
        except BaseException:
            self.view.close()
            raise
        self._pid = os.getpid()
        self._files: OrderedDict[int, tuple[Any, dict[str, Block]]] = OrderedDict()

    def recipes(self) -> list[tuple[Recipe, dict[str, FeatureSpec]]]:
        specs: dict[str, dict[str, FeatureSpec]] = {}
        for recipe_id, spec in self.view.stored_specs():
            specs.setdefault(recipe_id, {})[spec.name] = spec
        return [(recipe, specs.get(recipe.id, {})) for recipe in self.view.recipes()]

    def state(self) -> str:
        return f"{self.view.state()}{' gone' if self._gone else ''}"

    def entries(self, recipe: str, feature: str) -> list[Entry]:
        return [*map(Entry._make, self.view.places(recipe, feature))]

    def locate(self, recipe: str, feature: str, track_id: str) -> Entry | None:
        places = self.view.places(recipe, feature, track_id)
        return Entry(*places[0]) if places else None

    def block(self, container: int, feature: str) -> Block:
        file, blocks = self._open(container)
        if feature not in blocks:
            try:
                blocks[feature] = Block(file["features"][feature], about=file["tracks"])
            except (KeyError, OSError, ValueError) as error:
                raise StoreError(f"{file.filename} is damaged: {error}.") from error
        return blocks[feature]

    def ids(self, sid: int) -> list[str]:
        """Return the ids of the tracks of a shard, row by row."""
        tracks = self._open(sid)[0]["tracks"]
        offsets, data = _array(tracks["offsets"]).tolist(), _array(tracks["ids"]).tobytes()
        return [decode_text(data[a:b]) for a, b in itertools.pairwise(offsets)]

    def provenance(self, sid: int) -> str:
        """Return the provenance of a shard as canonical JSON."""
        return _array(self._open(sid)[0]["provenance"]).tobytes().decode()

    def _open(self, sid: int) -> tuple[Any, dict[str, Block]]:
        if self._pid != os.getpid():  # a child must not share libhdf5's files with its parent
            self._pid, self._inherited = os.getpid(), self._files
            self._files = OrderedDict()
        if sid in self._files:
            self._files.move_to_end(sid)
            return self._files[sid]
        path = self.path / self.view.path_of(sid)
        try:
            file = h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE, locking=False)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be opened: {error}. Run featx verify --repair."
            ) from error
        self._files[sid] = (file, {})
        while len(self._files) > OPEN_FILES:
            self._files.popitem(last=False)[1][0].close()
        return self._files[sid]

    def makers(self, recipe: str) -> dict[str, int]:
        """See `Source`."""
        return self.view.makers(recipe)

    def costs(self) -> list[StoredCost]:
        """See `Source`."""
        return self.view.costs()

    def licences(self, recipe: str) -> dict[str, str]:
        """See `Source`."""
        return self.view.licences(recipe)

    def gone(self) -> frozenset[str]:
        """See `Source`."""
        return self.view.gone()

    def tracks(self) -> Iterator[TrackRecord]:
        return self.view.tracks()

    def track(self, track_id: str) -> TrackRecord | None:
        return self.view.track(track_id)

    def count_tracks(self) -> int:
        return self.view.count_tracks()

    def current(self) -> Iterator[LatestOutcome]:
        return self.view.current()

    def units(self, track_id: str, recipe: str) -> tuple[Unit, ...]:
        return self.view.units(track_id, recipe)

    def close(self) -> None:
        with self.lock:
            while self._files:
                self._files.popitem()[1][0].close()
            self.view.close()
