"""From one ledger line to rows of the catalogue."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping
from typing import Any

from featx.errors import FAILURE_CODES, SKIP_CODES, FeatxError
from featx.store import schema
from featx.store.ledger import LEDGER_FORMAT, LEDGER_VERSION
from featx.store.paths import shard_path
from featx.store.records import (
    STATUSES,
    Cost,
    Recipe,
    TrackRecord,
    canonical_json,
    encode_text,
    is_hex,
    listing_hash,
    spec_key,
)
from featx.types import FeatureSpec

#: What reading a line of another format raises.
MALFORMED = (FeatxError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def note_outdated(database: sqlite3.Connection) -> None:
    """List again which shards hold features in a layout that a newer commit replaced."""
    database.execute(schema.CLEAR_OUTDATED)
    if database.execute(schema.HAS_LAYOUTS).fetchone():
        database.execute(schema.PUT_OUTDATED)


def ingest_line(database: sqlite3.Connection, entry: Mapping[str, Any]) -> None:
    """Take one transaction into the catalogue.

    Raises one of `MALFORMED` if the line is not what this format version writes.
    """
    kind = entry["kind"]
    if kind == "writer":
        if entry["format"] != LEDGER_FORMAT or entry["version"] != LEDGER_VERSION:
            raise ValueError(f"ledger version must be {LEDGER_VERSION}, got {entry['version']!r}")
        return
    stamp = _whole(entry["stamp"])
    for plain in entry.get("recipes", ()):
        recipe = Recipe.from_json(plain)
        _recipe(database, recipe.id, 0, canonical_json(plain))
    _tracks(database, entry.get("tracks", ()), stamp)
    if kind == "shard":
        _shard(database, entry, stamp)
    elif kind == "units":
        _outcomes(database, entry["units"], stamp)
        _values(database, entry.get("values", ()), stamp)
    elif kind == "current":
        for identity in entry["names"]:
            _recipe(database, _identity(identity), stamp)
    elif kind == "revoke":
        _revoke(database, entry["shards"], stamp)
    elif kind == "forget":
        forget(database, entry["forgotten"], stamp)
    else:
        raise ValueError(f"kind must be one that this version of featx knows, got {kind!r}")


def _tracks(database: sqlite3.Connection, rows: Any, stamp: int) -> None:
    values = []
    for row in rows:
        track = TrackRecord.from_row(row)
        if not isinstance(track.tags, dict) or not isinstance(track.content, str):
            raise TypeError(f"track {track.track_id!r} must have tags and content")
        if not isinstance(track.notes, dict) or not all(map(track.tags.__contains__, track.labels)):
            raise TypeError(f"track {track.track_id!r} must have notes and labels among its tags")
        about = [json.dumps(i) if i else "" for i in (track.tags, track.notes, track.labels)]
        numbers = (_whole(track.size, low=-1), _whole(track.mtime_ns, low=-(2**63)))
        duration = None if track.duration is None else float(track.duration)
        rates = [None if item is None else _whole(item) for item in (track.sr, track.channels)]
        names = (encode_text(track.track_id), encode_text(track.path))
        values.append((*names, track.content, *numbers, duration, *rates, *about, stamp))
    database.executemany(schema.PUT_TRACK, values)


def _shard(database: sqlite3.Connection, entry: Mapping[str, Any], stamp: int) -> None:
    recipe, sha256 = entry["recipe"], entry["sha256"]
    shard_path(recipe, sha256)
    origins = entry.get("origins", [])
    if origins:  # the values are old ones: nothing becomes newer
        stamp = _stamp_of(database, recipe, origins)
    rid = _recipe(database, recipe, stamp)
    for plain in entry.get("specs", ()):
        spec = FeatureSpec.from_json(plain)
        keys = (spec_key(plain), spec_key(plain, layout=True))
        database.execute(
            schema.PUT_SPEC,
            (rid, _feature(database, spec.name), *keys, canonical_json(plain)),
        )
    units, described = entry["units"], entry["described"]
    listing = listing_hash(described, units)
    sealed = entry["seal"] if isinstance(entry["seal"], str) else ""
    known = database.execute(schema.KNOWN_SHARD, (rid, _text(sha256))).fetchone()
    sid, revoked = database.execute(
        schema.PUT_SHARD,
        (
            sha256,
            rid,
            _whole(entry["size"]),
            sealed,
            listing,
            len(units),
            _text(entry.get("maker", "")),
            stamp,
            *_cost(entry.get("cost")),
            _licences(entry.get("licences", {})),
        ),
    ).fetchone()
    if known is not None and known[1] < 0:
        _find_awaited(database, sid, len(units))
    if origins:
        if len(origins) != len(units):
            raise ValueError(f"origins must be one per track, got {len(origins)}")
        _move(database, rid, sid, origins, entry["stamp"])
    status, held = (schema.LOST, None) if revoked > stamp else (0, sid)
    _known(database, [track_id for track_id, _ in units])
    for name, key in described.items():
        fid = _feature(database, name)
        database.execute(schema.PUT_DESCRIBED, (sid, fid, _text(key)))
        if not database.execute(schema.TOUCH_SPEC, (stamp, rid, fid, key)).rowcount:
            raise ValueError(f"{name} must be described, got no description {key!r}")
        if origins:
            continue
        database.executemany(
            schema.PUT_UNIT,
            [
                (encode_text(track_id), rid, fid, status, _text(content), "", "", held, row, stamp)
                for row, (track_id, content) in enumerate(units)
            ],
        )


def _stamp_of(database: sqlite3.Connection, recipe: str, origins: Any) -> int:
    rid = _recipe(database, recipe, 0)
    names = json.dumps(sorted({_text(sha256) for sha256, _ in origins}))
    (stamp,) = database.execute(schema.STAMP_OF_SHARDS, (rid, names)).fetchone()
    return int(stamp or 0)


def _move(database: sqlite3.Connection, rid: int, sid: int, origins: Any, stamp: int) -> None:
    """Let a shard take the place of others, row by row, and take these back."""
    sids = {
        sha256: database.execute(schema.REVOKE_SHARD, (sha256, rid, stamp)).fetchone()[0]
        for sha256 in dict.fromkeys(sha256 for sha256, _ in origins)
    }
    database.execute(schema.INDEX_UNITS_BY_SHARD)
    database.execute(schema.CREATE_MOVED)
    database.execute(schema.CLEAR_MOVED)
    moves = [(sids[sha256], _whole(row), new) for new, (sha256, row) in enumerate(origins)]
    database.executemany(schema.PUT_MOVED, moves)
    database.execute(schema.MOVE_UNITS, (sid, rid))
    database.executemany(schema.FORGET_VERIFIED, [(old,) for old in sids.values()])
    database.execute(schema.LOSE_MOVED_UNITS, (rid,))


def _revoke(database: sqlite3.Connection, shards: Any, stamp: int) -> None:
    """Take back what earlier lines committed with these shards."""
    for recipe, sha256 in shards:
        shard_path(recipe, sha256)
        rid = _recipe(database, recipe, 0)
        (sid,) = database.execute(schema.REVOKE_SHARD, (sha256, rid, stamp)).fetchone()
        database.execute(schema.FORGET_VERIFIED, (sid,))
        database.execute(schema.LOSE_UNITS, (rid, sid, stamp))


def forget(database: sqlite3.Connection, forgotten: Mapping[str, Any], stamp: int) -> None:
    """Drop what earlier lines said of tracks, of recipes, and of single units."""
    for track_id in forgotten["tracks"]:
        name = encode_text(track_id)
        database.execute(schema.FORGET_UNITS_OF_TRACK, (name, stamp))
        database.execute(schema.FORGET_TRACK, (name, stamp))
    for identity in forgotten["recipes"]:
        rid = _recipe(database, _identity(identity), 0)
        for sql in (schema.FORGET_UNITS_OF_RECIPE, schema.FORGET_RECIPE):
            database.execute(sql, (rid, stamp))
        database.execute(schema.FORGET_SPECS, (rid,))
    for track_id, recipe, feature in forgotten["units"]:
        fid = _feature(database, feature)
        database.execute(schema.FORGET_UNIT, (encode_text(track_id), _identity(recipe), fid, stamp))


def _identity(value: Any) -> str:
    if not is_hex(value, 16):
        raise ValueError(f"recipe must be 16 hexadecimal digits, got {value!r}")
    return str(value)


def _outcomes(database: sqlite3.Connection, units: Any, stamp: int) -> None:
    for track_id, content, recipe, status, features, code, reason in units:
        number = STATUSES.index(status)
        if code not in (FAILURE_CODES if status == "failed" else SKIP_CODES):
            raise ValueError(f"code must be known, got {code!r}")
        rid = _recipe(database, _identity(recipe), 0)
        _known(database, [track_id])
        outcome = (_text(content), code, _text(reason), None, None, stamp)
        for name in features or [""]:
            fid = _feature(database, name)
            database.execute(schema.PUT_UNIT, (encode_text(track_id), rid, fid, number, *outcome))


def _values(database: sqlite3.Connection, values: Any, stamp: int) -> None:
    """Take values that a shard holds under another id; they go when it is revoked.

    Another ledger may commit the shard, which is read later: see `_find_awaited`.
    """
    for track_id, content, recipe, feature, sha256, row in values:
        shard_path(recipe, sha256)
        rid, fid = _recipe(database, recipe, 0), _feature(database, feature)
        shard = database.execute(schema.KNOWN_SHARD, (rid, sha256)).fetchone()
        if shard is None:
            sid = database.execute(schema.AWAIT_SHARD, (rid, sha256)).lastrowid
            shard = (sid, -1, -1, 0)
        sid, committed, revoked, rows = shard
        if _whole(row) >= rows and committed >= 0:
            raise ValueError(f"row must be one of the {rows} of its shard, got {row}")
        held = None if revoked > stamp else sid
        _known(database, [track_id])
        outcome = (_text(content), "", "", held, row, stamp)
        status = schema.LOST if held is None or committed < 0 else 0
        database.execute(schema.PUT_UNIT, (encode_text(track_id), rid, fid, status, *outcome))


def _find_awaited(database: sqlite3.Connection, sid: int, rows: int) -> None:
    """Let values be found that named a shard before the line that commits it was read."""
    database.execute(schema.INDEX_UNITS_BY_SHARD)
    (last,) = database.execute(schema.AWAITED_ROWS, (sid,)).fetchone()
    if last is not None:
        if last >= rows:
            raise ValueError(f"row must be one of the {rows} of its shard, got {last}")
        database.execute(schema.FIND_AWAITED, (sid,))


def _known(database: sqlite3.Connection, track_ids: list[str]) -> None:
    """Make sure that tracks have a row, even where another ledger holds their description."""
    database.executemany(
        schema.PUT_UNKNOWN_TRACK,
        [(encode_text(track_id),) for track_id in track_ids],
    )


def _recipe(
    database: sqlite3.Connection, identity: str, stamp: int, text: str | None = None
) -> int:
    row = database.execute(schema.PUT_RECIPE, (identity, text, stamp)).fetchone()
    return int(row[0])


def _feature(database: sqlite3.Connection, name: str) -> int:
    row = database.execute(schema.PUT_FEATURE, (_text(name),)).fetchone()
    return int(row[0])


def _licences(value: Any) -> str:
    if not all(isinstance(text, str) for item in value.items() for text in item):
        raise TypeError(f"licences must be texts, got {value!r:.100}")
    return json.dumps(value)


def _cost(value: Any) -> Cost:
    if value is None:
        return Cost(0.0, 0.0, 0.0, 0.0)
    cost = Cost(*map(float, value))
    if not all(math.isfinite(seconds) and seconds >= 0 for seconds in cost):
        raise ValueError(f"cost must be seconds >= 0, got {value!r}")
    return cost


def _whole(value: Any, *, low: int = 0) -> int:
    if not isinstance(value, int) or not low <= value < 2**63:
        raise ValueError(f"number must be a whole one from {low} on, got {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text must be a string, got {value!r}")
    value.encode()
    return value
