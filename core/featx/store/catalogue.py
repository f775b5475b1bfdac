"""What the ledgers of a store say: tracks, outcomes, recipes, and where values lie."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from featx.store import schema
from featx.store.database import CatalogueFile
from featx.store.paths import shard_path
from featx.store.records import STATUSES, Recipe, TrackRecord, Unit, decode_text, encode_text
from featx.types import FeatureSpec


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


class LedgerView(CatalogueFile):
    """What the ledgers of a store say, as of the last `refresh`; memory does not grow with it.

    A folder that is no store, and a damaged ledger, raise `StoreError`.
    """

    def track(self, track_id: str) -> TrackRecord | None:
        """Return what is known of a track, or None."""
        rows = self.query(schema.TRACK, encode_text(track_id))
        return _track(track_id, rows[0]) if rows else None

    def tracks(self) -> Iterator[TrackRecord]:
        """Yield every track in the order of the UTF-8 bytes of its id."""
        last = b""
        while rows := self.query(schema.NEXT_TRACKS, last):
            for row in rows:
                yield _track(decode_text(row[8]), row)
            last = rows[-1][8]

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
    path, content, size, mtime_ns, duration, sr, channels, tags = row[:8]
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
