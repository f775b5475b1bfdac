"""Reading a merged file: the same questions as to a store folder."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from featx.errors import StoreError
from featx.folders import cache_folder
from featx.store.admission import TIME_LIMIT, ChildInspector
from featx.store.catalogue import LatestOutcome
from featx.store.paths import regular_file
from featx.store.records import Recipe, TrackRecord, Unit, decode_text, encode_text
from featx.store.sources import CHUNK_CACHE, Block, Entry, Source
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray

MERGED_FORMAT = b"featx-merged"
MERGED_VERSION = 1


def merged_problem(path: Path, *, time_limit: float = TIME_LIMIT) -> str:
    """Return what is wrong with a merged file, or an empty string."""
    size = regular_file(path.parent, path.name).st_size
    with ChildInspector(time_limit=time_limit) as inspector:
        answer = inspector.inspect(path, kind="merged", size=size)
    return str(answer.get("refused", ""))


def remember_merged(path: Path) -> None:
    """Note that this user made or checked a merged file as it is now."""
    marker, facts = _marker(path)
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        temporary = marker.with_name(f"{marker.name}.{os.getpid()}")
        temporary.write_text(facts)
        temporary.replace(marker)
    except OSError:  # without a cache the file is checked every time
        return


def admit_merged(path: Path) -> None:
    """Check a merged file unless this user made or checked it as it is now."""
    marker, facts = _marker(path)
    if marker.is_file() and marker.read_text() == facts:
        return
    problem = merged_problem(path)
    if problem:
        raise StoreError(f"{path} is damaged, or not a merged store: {problem}.")
    remember_merged(path)


def _marker(path: Path) -> tuple[Path, str]:
    status = regular_file(path.parent, path.name)
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return cache_folder() / "merged" / name, json.dumps(
        [status.st_size, status.st_mtime_ns, status.st_ino]
    )


class MergedSource(Source):
    """A file made by ``featx merge``; whoever opens it has checked it."""

    def __init__(self, path: Path, *, gone: bool = False) -> None:
        super().__init__(gone=gone)
        self.path = path
        try:
            self._file = h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE, locking=False)
            listed = json.loads(self._file["recipes"][:].tobytes())
            self._recipes = [Recipe.from_json(item["recipe"]) for item in listed]
            self._licences = {
                r.id: item["licences"] for r, item in zip(self._recipes, listed, strict=True)
            }
            self._groups = [self._file["extractors"][item["name"]]["features"] for item in listed]
            tracks = self._file["tracks"]
            self._columns = {
                name: tracks[name][:]
                for name in ("content", "size", "mtime_ns", "duration", "sr", "channels")
            }
            self._ids = _texts(tracks, "ids", "offsets")
            self._outcomes = [
                LatestOutcome(row[0], row[2], row[4], row[3], row[1], row[5], row[6], None, None)
                for row in json.loads(self._file["outcomes"][:].tobytes())
            ]
            self._tracks = tracks
        except (OSError, KeyError, ValueError) as error:
            raise StoreError(f"{path} cannot be opened: {error}.") from error
        self._rows = {name: row for row, name in enumerate(self._ids)}
        self._number = {recipe.id: i for i, recipe in enumerate(self._recipes)}
        self._blocks: dict[tuple[int, str], Block] = {}
        self._members: dict[tuple[int, str], AnyArray] = {}

    def recipes(self) -> list[tuple[Recipe, dict[str, FeatureSpec]]]:
        return [
            (recipe, {name: self._specs(group[name])[0] for name in group})
            for recipe, group in zip(self._recipes, self._groups, strict=True)
        ]

    def licences(self, recipe: str) -> dict[str, str]:
        """See `Source`."""
        return dict(self._licences[recipe])

    def _specs(self, group: Any) -> list[FeatureSpec]:
        return [FeatureSpec.from_json(item) for item in json.loads(group["spec"][:].tobytes())]

    def _member_rows(self, number: int, feature: str) -> AnyArray:
        """Return the rows in the table of tracks that have a feature, rising."""
        key = (number, feature)
        if key not in self._members:
            group = self._groups[number]
            empty = np.zeros(0, np.int64)
            self._members[key] = group[feature]["tracks"][:] if feature in group else empty
        return self._members[key]

    def entries(self, recipe: str, feature: str) -> list[Entry]:
        number = self._number[recipe]
        with self.lock:
            members = self._member_rows(number, feature).tolist()
        return [Entry(self._ids[track], number, row) for row, track in enumerate(members)]

    def locate(self, recipe: str, feature: str, track_id: str) -> Entry | None:
        number, track = self._number[recipe], self._rows.get(track_id)
        if track is None:
            return None
        with self.lock:
            members = self._member_rows(number, feature)
        row = int(np.searchsorted(members, track))
        is_stored = row < len(members) and members[row] == track
        return Entry(track_id, number, row) if is_stored else None

    def block(self, container: int, feature: str) -> Block:
        key = (container, feature)
        if key not in self._blocks:
            group = self._groups[container][feature]
            self._blocks[key] = Block(group, about=group)
        return self._blocks[key]

    def gone(self) -> frozenset[str]:
        """See `Source`."""
        with self.lock:
            texts = _texts(self._tracks, "notes", "note_offsets")
        noted = zip(self._ids, texts, strict=True)
        return frozenset(
            name for name, text in noted if '"gone"' in text and "gone" in json.loads(text)
        )

    def tracks(self) -> Iterator[TrackRecord]:
        for name in self._ids:
            record = self.track(name)
            if record is not None:
                yield record

    def track(self, track_id: str) -> TrackRecord | None:
        row = self._rows.get(track_id)
        if row is None:
            return None
        numbers = {name: column[row].item() for name, column in self._columns.items()}
        with self.lock:
            path = _text(self._tracks, "paths", "path_offsets", row)
            tags = _text(self._tracks, "tags", "tag_offsets", row)
            notes = _text(self._tracks, "notes", "note_offsets", row)
            labels = _text(self._tracks, "labels", "label_offsets", row)
        duration = numbers["duration"]
        return TrackRecord(
            track_id=track_id,
            path=path,
            content=numbers["content"].decode("ascii"),
            size=numbers["size"],
            mtime_ns=numbers["mtime_ns"],
            duration=None if np.isnan(duration) else duration,
            sr=numbers["sr"] or None,
            channels=numbers["channels"] or None,
            tags=json.loads(tags),
            notes=json.loads(notes),
            labels=tuple(json.loads(labels)),
        )

    def count_tracks(self) -> int:
        return len(self._ids)

    def current(self) -> Iterator[LatestOutcome]:
        streams: list[Iterator[LatestOutcome]] = [iter(self._outcomes)]
        for recipe, group in zip(self._recipes, self._groups, strict=True):
            streams += [self._ok(recipe.id, feature) for feature in group]
        return heapq.merge(
            *streams, key=lambda item: (encode_text(item.track_id), item.recipe, item.feature)
        )

    def _ok(self, recipe: str, feature: str) -> Iterator[LatestOutcome]:
        entries = self.entries(recipe, feature)
        with self.lock:
            content = self.block(self._number[recipe], feature).content
        for entry in entries:
            outcome = ("ok", content[entry.row].decode("ascii"), "", "")
            yield LatestOutcome(
                entry.track_id, recipe, feature, *outcome, entry.container, entry.row
            )

    def units(self, track_id: str, recipe: str) -> tuple[Unit, ...]:
        units = []
        number = self._number.get(recipe)
        names = [] if number is None else list(self._groups[number])
        held = [name for name in names if self.locate(recipe, name, track_id) is not None]
        if held and number is not None:
            with self.lock:
                entry = self.locate(recipe, held[0], track_id)
                block = self.block(number, held[0])
                content = "" if entry is None else block.content[entry.row].decode("ascii")
            facts = {"status": "ok", "features": tuple(held), "content": content}
            units.append(Unit(track_id=track_id, recipe=recipe, **facts))  # type: ignore[arg-type]
        units += [
            item.to_unit()
            for item in self._outcomes
            if item.track_id == track_id and item.recipe == recipe
        ]
        return tuple(units)

    def close(self) -> None:
        with self.lock:
            self._blocks.clear()
            self._file.close()


def _texts(group: Any, name: str, offsets_name: str) -> list[str]:
    data, offsets = group[name][:].tobytes(), group[offsets_name][:].tolist()
    return [decode_text(data[a:b]) for a, b in itertools.pairwise(offsets)]


def _text(group: Any, name: str, offsets_name: str, row: int) -> str:
    start, stop = group[offsets_name][row : row + 2]
    return decode_text(group[name][int(start) : int(stop)].tobytes())
