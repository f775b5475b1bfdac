"""From one ledger line to rows of the catalogue."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from featx.errors import FAILURE_CODES, SKIP_CODES
from featx.store.ledger import LEDGER_FORMAT, LEDGER_VERSION
from featx.store.paths import shard_path
from featx.store.records import (
    STATUSES,
    Recipe,
    TrackRecord,
    canonical_json,
    encode_text,
    is_hex,
    listing_hash,
    spec_key,
)
from featx.types import FeatureSpec

#: Status in the catalogue of values whose shard was revoked: they are no longer there.
LOST = len(STATUSES)

#: Tables of the catalogue. ``status`` counts in STATUSES, or is LOST; feature '' means all.
#: A shard is there if it was committed (``stamp``) after it was ``revoked``. ``described`` says
#: which of the specs a shard follows; ``outdated`` lists those whose layout a newer one replaced.
SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)",
    "CREATE TABLE ledgers (name TEXT PRIMARY KEY, offset INTEGER, tail BLOB)",
    "CREATE TABLE recipes (rid INTEGER PRIMARY KEY, id TEXT UNIQUE, json TEXT, stamp INTEGER)",
    "CREATE TABLE features (fid INTEGER PRIMARY KEY, name TEXT UNIQUE)",
    "INSERT INTO features VALUES (0, '')",
    """CREATE TABLE specs (rid INTEGER, fid INTEGER, key TEXT, layout TEXT, json TEXT,
        stamp INTEGER, PRIMARY KEY (rid, fid, key))""",
    """CREATE TABLE tracks (tid INTEGER PRIMARY KEY, track_id BLOB UNIQUE, path BLOB,
        content TEXT, size INTEGER, mtime_ns INTEGER, duration REAL, sr INTEGER,
        channels INTEGER, tags TEXT, stamp INTEGER)""",
    """CREATE TABLE shards (sid INTEGER PRIMARY KEY, sha256 TEXT, rid INTEGER, size INTEGER,
        seal TEXT, listing TEXT, stamp INTEGER, revoked INTEGER, UNIQUE (rid, sha256))""",
    """CREATE TABLE described (sid INTEGER, fid INTEGER, key TEXT,
        PRIMARY KEY (sid, fid)) WITHOUT ROWID""",
    """CREATE TABLE outdated (sid INTEGER, fid INTEGER,
        PRIMARY KEY (sid, fid)) WITHOUT ROWID""",
    "CREATE TABLE verified (sid INTEGER PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ino INTEGER)",
    """CREATE TABLE units (tid INTEGER, rid INTEGER, fid INTEGER, status INTEGER, content TEXT,
        code TEXT, reason TEXT, sid INTEGER, row INTEGER, stamp INTEGER,
        PRIMARY KEY (tid, rid, fid)) WITHOUT ROWID""",
    "CREATE INDEX units_by_recipe ON units (rid, fid)",
)

_TRACK = (
    "INSERT INTO tracks (track_id, path, content, size, mtime_ns, duration, sr, channels, tags, "
    "stamp) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (track_id) DO UPDATE SET "
    "path = excluded.path, content = excluded.content, size = excluded.size, "
    "mtime_ns = excluded.mtime_ns, duration = excluded.duration, sr = excluded.sr, "
    "channels = excluded.channels, tags = excluded.tags, stamp = excluded.stamp "
    "WHERE excluded.stamp >= tracks.stamp"
)
_UNIT = (
    "INSERT INTO units VALUES ((SELECT tid FROM tracks WHERE track_id = ?), "
    "?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tid, rid, fid) DO UPDATE SET "
    "status = excluded.status, content = excluded.content, code = excluded.code, "
    "reason = excluded.reason, sid = excluded.sid, row = excluded.row, stamp = excluded.stamp "
    "WHERE excluded.stamp >= units.stamp"
)


_SHARD = (
    "INSERT INTO shards (sha256, rid, size, seal, listing, stamp, revoked) "
    "VALUES (?, ?, ?, ?, ?, ?, -1) ON CONFLICT (rid, sha256) DO UPDATE SET "
    "size = excluded.size, seal = excluded.seal, listing = excluded.listing, "
    "stamp = max(stamp, excluded.stamp) RETURNING sid, revoked"
)
_REVOKED = (
    "INSERT INTO shards (sha256, rid, size, seal, listing, stamp, revoked) "
    "VALUES (?, ?, 0, '', '', -1, ?) ON CONFLICT (rid, sha256) DO UPDATE SET "
    "revoked = max(revoked, excluded.revoked) RETURNING sid"
)
_NEWEST = "SELECT {} FROM specs n WHERE n.rid = {} AND n.fid = {} ORDER BY n.stamp DESC LIMIT 1"
_OUTDATED = f"""INSERT INTO outdated SELECT d.sid, d.fid FROM described d
    JOIN shards s ON s.sid = d.sid
    JOIN specs p ON p.rid = s.rid AND p.fid = d.fid AND p.key = d.key
    WHERE p.layout != ({_NEWEST.format("n.layout", "s.rid", "d.fid")})"""  # noqa: S608


def note_outdated(database: sqlite3.Connection) -> None:
    """List again which shards hold features in a layout that a newer commit replaced."""
    database.execute("DELETE FROM outdated")
    changed = database.execute(
        "SELECT 1 FROM specs GROUP BY rid, fid HAVING count(DISTINCT layout) > 1 LIMIT 1"
    ).fetchone()
    if changed:
        database.execute(_OUTDATED)


def ingest_line(database: sqlite3.Connection, entry: Mapping[str, Any]) -> None:
    """Take one transaction into the catalogue.

    Raises
    ------
    StoreError, KeyError, TypeError, ValueError
        If the line is not what this format version writes.
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
    elif kind == "current":
        for identity in entry["names"]:
            _recipe(database, _identity(identity), stamp)
    elif kind == "revoke":
        _revoke(database, entry["shards"], stamp)
    else:
        raise ValueError(f"kind must be writer, shard, units, current or revoke, got {kind!r}")


def _tracks(database: sqlite3.Connection, rows: Any, stamp: int) -> None:
    values = []
    for row in rows:
        track = TrackRecord.from_row(row)
        if not isinstance(track.tags, dict) or not isinstance(track.content, str):
            raise TypeError(f"track {track.track_id!r} must have tags and content")
        tags = json.dumps(track.tags) if track.tags else ""
        numbers = (_whole(track.size, low=-1), _whole(track.mtime_ns, low=-(2**63)))
        duration = None if track.duration is None else float(track.duration)
        rates = [None if item is None else _whole(item) for item in (track.sr, track.channels)]
        names = (encode_text(track.track_id), encode_text(track.path))
        values.append((*names, track.content, *numbers, duration, *rates, tags, stamp))
    database.executemany(_TRACK, values)


def _shard(database: sqlite3.Connection, entry: Mapping[str, Any], stamp: int) -> None:
    recipe, sha256 = entry["recipe"], entry["sha256"]
    shard_path(recipe, sha256)
    rid = _recipe(database, recipe, stamp)
    for plain in entry.get("specs", ()):
        spec = FeatureSpec.from_json(plain)
        keys = (spec_key(plain), spec_key(plain, layout=True))
        database.execute(
            "INSERT OR IGNORE INTO specs VALUES (?, ?, ?, ?, ?, -1)",
            (rid, _feature(database, spec.name), *keys, canonical_json(plain)),
        )
    units = entry["units"]
    listing = listing_hash(entry["features"], units)
    sealed = entry["seal"] if isinstance(entry["seal"], str) else ""
    sid, revoked = database.execute(
        _SHARD, (sha256, rid, _whole(entry["size"]), sealed, listing, stamp)
    ).fetchone()
    status, held = (LOST, None) if revoked > stamp else (0, sid)
    _known(database, [track_id for track_id, _ in units])
    for name in entry["features"]:
        fid = _feature(database, name)
        _describe(database, (sid, rid, fid), entry.get("described", {}).get(name), stamp)
        database.executemany(
            _UNIT,
            [
                (encode_text(track_id), rid, fid, status, _text(content), "", "", held, row, stamp)
                for row, (track_id, content) in enumerate(units)
            ],
        )


def _describe(
    database: sqlite3.Connection, place: tuple[int, int, int], key: Any, stamp: int
) -> None:
    """Note which spec a shard follows; ledgers that do not say mean the one said last."""
    sid, rid, fid = place
    if key is None:
        row = database.execute(_NEWEST.format("n.key", "?", "?"), (rid, fid)).fetchone()
        key = row[0] if row else ""
    database.execute("INSERT OR REPLACE INTO described VALUES (?, ?, ?)", (sid, fid, _text(key)))
    database.execute(
        "UPDATE specs SET stamp = max(stamp, ?) WHERE rid = ? AND fid = ? AND key = ?",
        (stamp, rid, fid, key),
    )


def _revoke(database: sqlite3.Connection, shards: Any, stamp: int) -> None:
    """Take back what earlier lines committed with these shards."""
    for recipe, sha256 in shards:
        shard_path(recipe, sha256)
        rid = _recipe(database, recipe, 0)
        (sid,) = database.execute(_REVOKED, (sha256, rid, stamp)).fetchone()
        database.execute("DELETE FROM verified WHERE sid = ?", (sid,))
        database.execute(
            "UPDATE units SET status = ?, sid = NULL, row = NULL WHERE rid = ? AND sid = ? "
            "AND stamp < ?",
            (LOST, rid, sid, stamp),
        )


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
        told = (_text(content), code, _text(reason), None, None, stamp)
        for name in features or [""]:
            fid = _feature(database, name)
            database.execute(_UNIT, (encode_text(track_id), rid, fid, number, *told))


def _known(database: sqlite3.Connection, track_ids: list[str]) -> None:
    """Make sure that tracks have a row, even where another ledger holds their description."""
    database.executemany(
        "INSERT OR IGNORE INTO tracks (track_id, stamp) VALUES (?, -1)",
        [(encode_text(track_id),) for track_id in track_ids],
    )


def _recipe(
    database: sqlite3.Connection, identity: str, stamp: int, text: str | None = None
) -> int:
    row = database.execute(
        "INSERT INTO recipes (id, json, stamp) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "json = coalesce(excluded.json, recipes.json), "
        "stamp = max(excluded.stamp, recipes.stamp) RETURNING rid",
        (identity, text, stamp),
    ).fetchone()
    return int(row[0])


def _feature(database: sqlite3.Connection, name: str) -> int:
    row = database.execute(
        "INSERT INTO features (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = name "
        "RETURNING fid",
        (_text(name),),
    ).fetchone()
    return int(row[0])


def _whole(value: Any, *, low: int = 0) -> int:
    if not isinstance(value, int) or not low <= value < 2**63:
        raise ValueError(f"number must be a whole one from {low} on, got {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text must be a string, got {value!r}")
    value.encode()
    return value
