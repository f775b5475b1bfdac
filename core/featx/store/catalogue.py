"""What the ledgers of a store say: tracks, outcomes, recipes, and where values lie."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from featx.store import schema
from featx.store.database import CatalogueFile
from featx.store.ingest import forget
from featx.store.paths import shard_path
from featx.store.records import (
    STATUSES,
    Cost,
    Recipe,
    StoredValue,
    TrackRecord,
    Unit,
    decode_text,
    encode_text,
)
from featx.types import FeatureSpec


class _TakenBack(Exception):  # noqa: N818  (no error: it rolls a transaction back)
    """Ends a transaction that was only tried."""


class LatestOutcome(NamedTuple):
    """The latest outcome of one feature; ``feature`` is empty where it speaks of all of them."""

    track_id: str
    recipe: str
    feature: str
    status: str
    content: str
    code: str
    reason: str
    container: int | None
    row: int | None

    def to_unit(self) -> Unit:
        """Return it as a `Unit`."""
        return Unit(
            track_id=self.track_id,
            recipe=self.recipe,
            status=self.status,
            features=(self.feature,) if self.feature else (),
            code=self.code,
            reason=self.reason,
            content=self.content,
        )


class StoredCost(NamedTuple):
    """What the tracks of one recipe took in shards of the same features, and their bytes."""

    recipe: str
    features: tuple[str, ...]
    size: int
    cost: Cost


class CommittedShard(NamedTuple):
    """A shard as its ledger line describes it, with its number in the catalogue."""

    sid: int
    recipe: str
    sha256: str
    size: int
    seal: str
    listing: str

    @property
    def path(self) -> str:
        """Path below the store folder."""
        return shard_path(self.recipe, self.sha256)


class ShardContent(NamedTuple):
    """A shard, its rows that some track needs, what all took, and its features with descriptions.

    ``layout`` is the JSON of pairs of name and `featx.store.records.spec_key`.
    """

    shard: CommittedShard
    rows: list[int]
    cost: Cost
    layout: str


class LedgerView(CatalogueFile):
    """What the ledgers of a store say, as of the last `refresh`; memory does not grow with it.

    A folder that is not a store, and a damaged ledger, raise `StoreError`.
    """

    def state(self) -> str:
        """Return a hash of how far the ledgers go; where it is equal, they say the same."""
        rows = sorted(self.query(schema.LEDGERS))
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    def track(self, track_id: str) -> TrackRecord | None:
        """Return what is known of a track, or None."""
        rows = self.query(schema.TRACK, encode_text(track_id))
        return _track(track_id, rows[0]) if rows else None

    def paths(self, track_ids: Sequence[str]) -> dict[str, str]:
        """Return where the files of these tracks were, as far as they are known."""
        rows = self.query(schema.paths_of(len(track_ids)), *map(encode_text, track_ids))
        return {decode_text(track_id): decode_text(path) for track_id, path in rows}

    def settled(
        self, track_ids: Sequence[str], wanted: Sequence[tuple[str, Sequence[str]]]
    ) -> dict[str, TrackRecord]:
        """Return those tracks that have current values of all wanted features.

        ``wanted`` are ids of recipes and names of features.
        """
        sql = schema.settled(len(track_ids), [len(features) for _, features in wanted])
        names = itertools.chain.from_iterable((recipe, *features) for recipe, features in wanted)
        rows = self.query(sql, *map(encode_text, track_ids), *names)
        return {(name := decode_text(row[-1])): _track(name, row) for row in rows}

    def all_paths(self) -> Iterator[tuple[str, str]]:
        """Yield id and path of every track in the order of the UTF-8 bytes of its id."""
        last = b""
        while rows := self.query(schema.NEXT_PATHS, last):
            for track_id, path in rows:
                yield decode_text(track_id), decode_text(path)
            last = rows[-1][0]

    def track_at(self, path: str) -> TrackRecord | None:
        """Return a track whose file was at ``path``, or None."""
        return self._first(schema.TRACK_OF_PATH, encode_text(path))

    def track_of(self, content: str, size: int) -> TrackRecord | None:
        """Return a track of this content and size in bytes, or None."""
        return self._first(schema.TRACK_OF_CONTENT, size, content)

    def has_size(self, size: int) -> bool:
        """Return whether any track has ``size`` bytes: without one, no content is known."""
        return bool(self.query(schema.HAS_SIZE, size))

    def _first(self, sql: str, *arguments: Any) -> TrackRecord | None:
        rows = self.query(sql, *arguments)
        return _track(decode_text(rows[0][-1]), rows[0]) if rows else None

    def gone(self) -> frozenset[str]:
        """Return the ids of tracks noted as gone."""
        return frozenset(decode_text(row[0]) for row in self.query(schema.GONE))

    def results_for(
        self, record: TrackRecord, origin: str
    ) -> tuple[tuple[Unit, ...], tuple[StoredValue, ...]]:
        """Return what is known of the content of ``record`` under the id ``origin``.

        Failed and skipped units, and the places of values, both in the name of ``record``.
        """
        units, values = [], []
        track_id, content = record.track_id, record.content
        for recipe, feature, status, code, reason, sha256, row in self.query(
            schema.OF_CONTENT, encode_text(origin), content
        ):
            if sha256 is not None:
                values.append(StoredValue(track_id, content, recipe, feature, sha256, row))
                continue
            unit = Unit(
                track_id=track_id,
                recipe=recipe,
                status=STATUSES[status],
                features=(feature,) if feature else (),
                code=code,
                reason=reason,
                content=content,
            )
            units.append(unit)
        return tuple(units), tuple(values)

    def tracks(self) -> Iterator[TrackRecord]:
        """Yield every track in the order of the UTF-8 bytes of its id."""
        last = b""
        while rows := self.query(schema.NEXT_TRACKS, last):
            for row in rows:
                yield _track(decode_text(row[-1]), row)
            last = rows[-1][-1]

    def units(self, track_id: str, recipe: str) -> tuple[Unit, ...]:
        """Return the latest outcome of every feature of ``track_id`` under a recipe id.

        Features with the same outcome share one `Unit`; an outcome that speaks of all features
        (``features`` empty) is omitted once anything newer is known.
        """
        rows = self.query(
            schema.UNITS,
            encode_text(track_id),
            recipe,
        )
        return _units(track_id, recipe, rows)

    def current(self) -> Iterator[LatestOutcome]:
        """Yield the latest outcome of every (track, recipe, feature), in this order."""
        last = b""
        while rows := self.query(schema.NEXT_TRACK_ID, last):
            if rows[0][0] is None:
                return
            first, last = last, rows[0][0]
            for row in self.query(schema.CURRENT, first, last):
                yield LatestOutcome(decode_text(row[0]), row[1], row[2], STATUSES[row[3]], *row[4:])

    def places(
        self, recipe: str, feature: str, track_id: str | None = None
    ) -> list[tuple[str, int, int]]:
        """Return ``(track_id, shard number, row)`` of the values of one feature, sorted by id."""
        if track_id is None:
            rows = self.query(schema.PLACES, recipe, feature)
        else:
            rows = self.query(schema.PLACES_OF_TRACK, recipe, feature, encode_text(track_id))
        return [(decode_text(name), sid, row) for name, sid, row in rows]

    def recipes(self) -> list[Recipe]:
        """Return every recipe, the most recently committed one first."""
        return [Recipe.from_json(json.loads(row[1])) for row in self.query(schema.RECIPES)]

    def is_superseded(self, recipe: str) -> bool:
        """Return whether ``recipe`` has values, and another one of its extractor is newer."""
        rows = self.query(schema.RECIPES)
        stamps = {row[0]: (json.loads(row[1])["extractor"], row[2]) for row in rows}
        extractor, stamp = stamps.get(recipe, ("", 0))
        return stamp > 0 and any(
            (other > stamp or (other == stamp and identity < recipe))
            for identity, (name, other) in stamps.items()
            if name == extractor and identity != recipe
        )

    def shards(self, recipes: Sequence[str] | None = None) -> list[CommittedShard]:
        """Return every committed shard that was not revoked, or those of some recipes."""
        shards = [CommittedShard(*row) for row in self.query(schema.SHARDS)]
        return [item for item in shards if recipes is None or item.recipe in recipes]

    def contents(self, recipe: str) -> list[ShardContent]:
        """Return the shards of a recipe that some track needs, in the order of their commits."""
        return [
            ShardContent(CommittedShard(*row[:6]), json.loads(row[11]), Cost(*row[6:10]), row[10])
            for row in self.query(schema.CONTENTS, recipe, recipe)
        ]

    def makers(self, recipe: str) -> dict[str, int]:
        """Return tracks by the version of the distribution whose extractor gave their values.

        The latest version comes first; it is empty where it is not known.
        """
        return dict(self.query(schema.MAKERS, recipe))

    def licences(self, recipe: str) -> dict[str, str]:
        """Return the licences of an extractor and its weights as the newest shard has them."""
        rows = self.query(schema.LICENCES, recipe)
        return dict(json.loads(rows[0][0])) if rows else {}

    def costs(self) -> list[StoredCost]:
        """Return what shards took and hold; those whose writers did not measure are left out."""
        return [
            StoredCost(recipe, tuple(json.loads(names)), size, Cost(*cost))
            for recipe, names, size, *cost in self.query(schema.COSTS)
        ]

    def lengths(self, limit: int) -> Iterator[tuple[str, int, float]]:
        """Yield path, size in bytes and duration in seconds of tracks that were decoded.

        Of more tracks than ``limit``, every second, third and so on.
        """
        for path, size, duration in self.query(schema.LENGTHS, limit):
            yield decode_text(path), size, duration

    def count_features(self, recipe: str) -> dict[str, int]:
        """Return the number of values of each feature of a recipe."""
        return dict(self.query(schema.COUNT_FEATURES, recipe))

    def forgetting(self, forgotten: Mapping[str, Any]) -> tuple[int, int, list[CommittedShard]]:
        """Return how many values would be forgotten, and the shards that nothing needs then.

        The second number is that of values in other shards: their bytes stay on the disk.
        """
        with self.lock:
            before = self.query(schema.COUNT_VALUES)[0][0]
            with contextlib.suppress(_TakenBack), self.transaction():
                forget(self.database, forgotten, 2**63 - 1)
                after = self.query(schema.COUNT_VALUES)[0][0]
                freed = [CommittedShard(*row) for row in self.query(schema.UNUSED_SHARDS)]
                raise _TakenBack
        results = before - after
        in_freed = sum(self.query(schema.COUNT_VALUES_IN, shard.sid)[0][0] for shard in freed)
        return results, results - in_freed, freed

    def descriptions(self, recipe: str) -> list[FeatureSpec]:
        """Return every description that the outputs of a recipe ever had, the newest last."""
        rows = self.query(schema.SPECS_OF_RECIPE, recipe)
        return [FeatureSpec.from_json(json.loads(row[0])) for row in rows]

    def described(self, track_id: str, recipe: str) -> dict[str, FeatureSpec]:
        """Return the description of each stored value of one track, also of outdated ones."""
        rows = self.query(schema.SPECS_OF_TRACK, encode_text(track_id), recipe)
        specs = (FeatureSpec.from_json(json.loads(row[0])) for row in rows)
        return {spec.name: spec for spec in specs}

    def outdated(self) -> list[tuple[str, str, int]]:
        """Return recipe id, feature and number of values in a layout that newer ones replaced."""
        return [tuple(row) for row in self.query(schema.OUTDATED)]

    def lost(self, recipe: str, track_id: str | None = None) -> int:
        """Return how many values of a recipe were lost with their shards, of one track or all."""
        revoked = self.query(schema.REVOKED, recipe)
        if not revoked:
            return 0
        (rid,) = revoked[0]
        if track_id is None:
            return int(self.query(schema.COUNT_LOST, rid)[0][0])
        return int(self.query(schema.COUNT_LOST_OF_TRACK, rid, encode_text(track_id))[0][0])

    def count_tracks(self) -> int:
        """Return the number of tracks."""
        return int(self.query(schema.COUNT_TRACKS)[0][0])

    def stored_specs(self) -> Iterator[tuple[str, FeatureSpec]]:
        """Yield the recipe id and description of every output ever stored, the newest last."""
        for recipe, plain in self.query(schema.SPECS):
            yield recipe, FeatureSpec.from_json(json.loads(plain))

    def path_of(self, sid: int) -> str:
        """Return the path below the store folder of the shard with this number."""
        return shard_path(*self.query(schema.SHARD, sid)[0])

    def verified(self) -> dict[int, tuple[int, int, int]]:
        """Return size, modification time and inode of checked shards, by number."""
        return {
            sid: (size, mtime_ns, ino) for sid, size, mtime_ns, ino in self.query(schema.VERIFIED)
        }

    def remember_verified(self, shards: Sequence[tuple[int, int, int, int]]) -> None:
        """Note number, size, modification time and inode of shards that passed all checks."""
        if shards:
            with self.lock, self.transaction():
                self.database.executemany(schema.PUT_VERIFIED, shards)


def _track(track_id: str, row: Any) -> TrackRecord:
    path, content, size, mtime_ns, duration, sr, channels, tags, notes, labels = row[:10]
    return TrackRecord(
        track_id=track_id,
        path=decode_text(path),
        content=content,
        size=size,
        mtime_ns=mtime_ns,
        duration=duration,
        sr=sr,
        channels=channels,
        tags=json.loads(tags) if tags else {},
        notes=json.loads(notes) if notes else {},
        labels=tuple(json.loads(labels)) if labels else (),
    )


def _units(track_id: str, recipe: str, rows: list[Any]) -> tuple[Unit, ...]:
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name, *outcome in rows:
        groups.setdefault(tuple(outcome), []).append(name)
    return tuple(
        Unit(
            track_id=track_id,
            recipe=recipe,
            status=STATUSES[status],
            features=tuple(name for name in names if name),
            content=content,
            code=code,
            reason=reason,
        )
        for (status, content, code, reason, _), names in groups.items()
    )
