"""The SQL of the catalogue: its tables, how ledger lines change them, and what is asked of them.

Integers stand for long names: ``tid`` for a track, ``rid`` for a recipe, ``fid`` for a feature,
``sid`` for a shard. ``stamp`` is the time of a ledger line; the later of two lines about one thing
counts.
"""

# ruff: noqa: S608  (every statement is put together from constants of this file)

from __future__ import annotations

from collections.abc import Sequence

from featx.store.records import STATUSES

#: A catalogue of another version is made again.
SCHEMA_VERSION = 6

#: Status of values whose shard was revoked, or which name a shard that no line read so far commits
#: (then they have its number); the others count in STATUSES.
LOST = len(STATUSES)

TABLES = (
    # the id of the store, under the key 'store'
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)",
    # how far each ledger was read, and the bytes before that, by which a replaced one is noticed
    "CREATE TABLE ledgers (name TEXT PRIMARY KEY, offset INTEGER, tail BLOB)",
    "CREATE TABLE recipes (rid INTEGER PRIMARY KEY, id TEXT UNIQUE, json TEXT, stamp INTEGER)",
    # feature 0, without a name, stands for all features of a recipe
    "CREATE TABLE features (fid INTEGER PRIMARY KEY, name TEXT UNIQUE)",
    "INSERT INTO features VALUES (0, '')",
    # every description that an output ever had; those of one layout can be read together
    """CREATE TABLE specs (rid INTEGER, fid INTEGER, key TEXT, layout TEXT, json TEXT,
        stamp INTEGER, PRIMARY KEY (rid, fid, key))""",
    # a track without a path is known from another ledger only by what became of it
    """CREATE TABLE tracks (tid INTEGER PRIMARY KEY, track_id BLOB UNIQUE, path BLOB,
        content TEXT, size INTEGER, mtime_ns INTEGER, duration REAL, sr INTEGER,
        channels INTEGER, tags TEXT, notes TEXT, labels TEXT, stamp INTEGER)""",
    "CREATE INDEX tracks_by_content ON tracks (size, content)",
    "CREATE INDEX tracks_by_path ON tracks (path)",
    # a shard is there if it was committed after it was revoked; rows counts its tracks, maker is
    # the version of the distribution that it comes from, and the last four are a Cost
    """CREATE TABLE shards (sid INTEGER PRIMARY KEY, sha256 TEXT, rid INTEGER, size INTEGER,
        seal TEXT, listing TEXT, stamp INTEGER, revoked INTEGER, rows INTEGER DEFAULT 0,
        maker TEXT DEFAULT '', licences TEXT DEFAULT '{}',
        audio REAL DEFAULT 0, timed REAL DEFAULT 0,
        extracting REAL DEFAULT 0, decoding REAL DEFAULT 0, UNIQUE (rid, sha256))""",
    # which of the specs a shard follows
    """CREATE TABLE described (sid INTEGER, fid INTEGER, key TEXT,
        PRIMARY KEY (sid, fid)) WITHOUT ROWID""",
    # features of shards in a layout that a newer one replaced
    """CREATE TABLE outdated (sid INTEGER, fid INTEGER,
        PRIMARY KEY (sid, fid)) WITHOUT ROWID""",
    # files that passed all checks, as they were then
    "CREATE TABLE verified (sid INTEGER PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ino INTEGER)",
    # the latest outcome of every (track, recipe, feature), and where its values lie
    """CREATE TABLE units (tid INTEGER, rid INTEGER, fid INTEGER, status INTEGER, content TEXT,
        code TEXT, reason TEXT, sid INTEGER, row INTEGER, stamp INTEGER,
        PRIMARY KEY (tid, rid, fid)) WITHOUT ROWID""",
    "CREATE INDEX units_by_recipe ON units (rid, fid)",
)

#: Tables that are emptied when the ledgers are read anew.
CONTENT = (
    *("ledgers", "units", "tracks", "shards", "specs", "recipes"),
    *("verified", "described", "outdated"),
)

PUT_TRACK = """INSERT INTO tracks
    (track_id, path, content, size, mtime_ns, duration, sr, channels, tags, notes, labels, stamp)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (track_id) DO UPDATE SET
    path = excluded.path, content = excluded.content, size = excluded.size,
    mtime_ns = excluded.mtime_ns, duration = excluded.duration, sr = excluded.sr,
    channels = excluded.channels, tags = excluded.tags, notes = excluded.notes,
    labels = excluded.labels, stamp = excluded.stamp
    WHERE excluded.stamp >= tracks.stamp"""
PUT_UNKNOWN_TRACK = "INSERT OR IGNORE INTO tracks (track_id, stamp) VALUES (?, -1)"
PUT_RECIPE = """INSERT INTO recipes (id, json, stamp) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET json = coalesce(excluded.json, recipes.json),
    stamp = max(excluded.stamp, recipes.stamp) RETURNING rid"""
PUT_FEATURE = """INSERT INTO features (name) VALUES (?)
    ON CONFLICT (name) DO UPDATE SET name = name RETURNING fid"""
PUT_SPEC = "INSERT OR IGNORE INTO specs VALUES (?, ?, ?, ?, ?, -1)"
TOUCH_SPEC = "UPDATE specs SET stamp = max(stamp, ?) WHERE rid = ? AND fid = ? AND key = ?"
PUT_SHARD = """INSERT INTO shards (sha256, rid, size, seal, listing, rows, maker, stamp, audio,
    timed, extracting, decoding, licences, revoked)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, -1) ON CONFLICT (rid, sha256) DO UPDATE SET
    size = excluded.size, seal = excluded.seal, listing = excluded.listing,
    rows = excluded.rows, maker = excluded.maker, stamp = max(stamp, excluded.stamp),
    audio = excluded.audio, timed = excluded.timed, extracting = excluded.extracting,
    decoding = excluded.decoding, licences = excluded.licences
    RETURNING sid, revoked"""
KNOWN_SHARD = "SELECT sid, stamp, revoked, rows FROM shards WHERE rid = ? AND sha256 = ?"
AWAIT_SHARD = """INSERT INTO shards (rid, sha256, size, seal, listing, stamp, revoked)
    VALUES (?, ?, 0, '', '', -1, -1)"""
#: Values that named a shard before it was read: how many rows it must have, and what they become.
AWAITED_ROWS = f"SELECT max(row) FROM units WHERE sid = ? AND status = {LOST}"
FIND_AWAITED = f"UPDATE units SET status = 0 WHERE sid = ? AND status = {LOST}"
PUT_DESCRIBED = "INSERT OR REPLACE INTO described VALUES (?, ?, ?)"
PUT_UNIT = """INSERT INTO units VALUES ((SELECT tid FROM tracks WHERE track_id = ?),
    ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tid, rid, fid) DO UPDATE SET
    status = excluded.status, content = excluded.content, code = excluded.code,
    reason = excluded.reason, sid = excluded.sid, row = excluded.row, stamp = excluded.stamp
    WHERE excluded.stamp >= units.stamp"""
REVOKE_SHARD = """INSERT INTO shards (sha256, rid, size, seal, listing, stamp, revoked)
    VALUES (?, ?, 0, '', '', -1, ?) ON CONFLICT (rid, sha256) DO UPDATE SET
    revoked = max(revoked, excluded.revoked) RETURNING sid"""
FORGET_VERIFIED = "DELETE FROM verified WHERE sid = ?"
LOSE_UNITS = f"""UPDATE units SET status = {LOST}, sid = NULL, row = NULL
    WHERE rid = ? AND sid = ? AND stamp < ?"""

#: A shard that takes the place of others is as new as the newest of these.
STAMP_OF_SHARDS = """SELECT max(stamp) FROM shards WHERE rid = ? AND sha256 IN
    (SELECT value FROM json_each(?))"""
#: Where rows of shards went: shard, row, and row in the shard that takes its place.
CREATE_MOVED = """CREATE TEMP TABLE IF NOT EXISTS moved (sid INTEGER, old INTEGER, new INTEGER,
    PRIMARY KEY (sid, old)) WITHOUT ROWID"""
CLEAR_MOVED = "DELETE FROM moved"
#: Made once rows move or are found later, since most stores have no use for it. A plus keeps SQLite
#: from taking the index by recipe instead.
INDEX_UNITS_BY_SHARD = "CREATE INDEX IF NOT EXISTS units_by_shard ON units (sid, row)"
PUT_MOVED = "INSERT INTO moved VALUES (?, ?, ?)"
MOVE_UNITS = """UPDATE units SET sid = ?,
    row = (SELECT new FROM moved m WHERE m.sid = units.sid AND m.old = units.row)
    WHERE +rid = ? AND (sid, row) IN (SELECT sid, old FROM moved)"""
LOSE_MOVED_UNITS = f"""UPDATE units SET status = {LOST}, sid = NULL, row = NULL
    WHERE +rid = ? AND sid IN (SELECT sid FROM moved)"""
#: The shards of a recipe with the rows that are needed, their features, and what they took.
_CONTENTS = """SELECT s.sid, r.id, s.sha256, s.size, s.seal, s.listing, s.audio, s.timed,
    s.extracting, s.decoding,
    (SELECT json_group_array(json_array(name, key)) FROM (SELECT f.name, d.key FROM described d
        JOIN features f ON f.fid = d.fid WHERE d.sid = s.sid ORDER BY f.name)), n.rows
    FROM shards s JOIN recipes r ON r.rid = s.rid
    JOIN (SELECT sid, json_group_array(row) AS rows FROM
        (SELECT DISTINCT sid, row FROM units WHERE rid = {rid} AND status = 0
         ORDER BY sid, row) GROUP BY sid) n ON n.sid = s.sid
    WHERE s.rid = {rid} AND s.stamp > s.revoked ORDER BY s.stamp, s.sid"""

#: Places of a track and of a recipe by their names.
_TID = "(SELECT tid FROM tracks WHERE track_id = ?)"
_RID = "(SELECT rid FROM recipes WHERE id = ?)"
CONTENTS = _CONTENTS.format(rid=_RID)
FORGET_UNITS_OF_TRACK = f"DELETE FROM units WHERE tid = {_TID} AND stamp < ?"
FORGET_TRACK = "DELETE FROM tracks WHERE track_id = ? AND stamp < ?"
FORGET_UNITS_OF_RECIPE = "DELETE FROM units WHERE rid = ? AND stamp < ?"
FORGET_RECIPE = "UPDATE recipes SET json = NULL, stamp = 0 WHERE rid = ? AND stamp < ?"
FORGET_SPECS = "DELETE FROM specs WHERE rid = ?"
FORGET_UNIT = f"DELETE FROM units WHERE tid = {_TID} AND rid = {_RID} AND fid = ? AND stamp < ?"

CLEAR_OUTDATED = "DELETE FROM outdated"
HAS_LAYOUTS = "SELECT 1 FROM specs GROUP BY rid, fid HAVING count(DISTINCT layout) > 1 LIMIT 1"
PUT_OUTDATED = """INSERT INTO outdated SELECT d.sid, d.fid FROM described d
    JOIN shards s ON s.sid = d.sid
    JOIN specs p ON p.rid = s.rid AND p.fid = d.fid AND p.key = d.key
    WHERE p.layout != (SELECT n.layout FROM specs n WHERE n.rid = s.rid AND n.fid = d.fid
        ORDER BY n.stamp DESC LIMIT 1)"""

#: True for a unit that no newer one replaces: feature 0 stands for all features of a recipe.
_LATEST = """NOT EXISTS (SELECT 1 FROM units a WHERE a.tid = u.tid AND a.rid = u.rid
    AND a.stamp > u.stamp AND (a.fid = 0 OR u.fid = 0))"""
#: True for a unit that can be read: not lost with its shard, not in a layout of the past.
_READABLE = f"""u.status != {LOST} AND NOT EXISTS (SELECT 1 FROM outdated o
    WHERE o.sid = u.sid AND o.fid = u.fid)"""

_TRACK = """SELECT path, content, size, mtime_ns, duration, sr, channels, tags, notes, labels,
    track_id FROM tracks"""
TRACK = f"{_TRACK} WHERE track_id = ? AND path IS NOT NULL"
NEXT_TRACKS = f"{_TRACK} WHERE track_id > ? AND path IS NOT NULL ORDER BY track_id LIMIT 1000"
NEXT_PATHS = """SELECT track_id, path FROM tracks WHERE track_id > ? AND path IS NOT NULL
    ORDER BY track_id LIMIT 1000"""
TRACK_OF_CONTENT = f"{_TRACK} WHERE size = ? AND content = ? AND path IS NOT NULL LIMIT 1"
TRACK_OF_PATH = f"{_TRACK} WHERE path = ? LIMIT 1"
HAS_SIZE = "SELECT 1 FROM tracks WHERE size = ? LIMIT 1"
GONE = """SELECT track_id FROM tracks
    WHERE notes != '' AND json_extract(notes, '$.gone') IS NOT NULL"""
COUNT_TRACKS = "SELECT count(*) FROM tracks WHERE path IS NOT NULL"

#: The last of the next thousand track ids, and the latest outcomes between two of them.
NEXT_TRACK_ID = """SELECT max(track_id) FROM
    (SELECT track_id FROM tracks WHERE track_id > ? ORDER BY track_id LIMIT 1000)"""
CURRENT = f"""SELECT t.track_id, r.id, f.name, u.status, u.content, u.code, u.reason, u.sid, u.row
    FROM tracks t JOIN units u ON u.tid = t.tid JOIN recipes r ON r.rid = u.rid
    JOIN features f ON f.fid = u.fid
    WHERE t.track_id > ? AND t.track_id <= ? AND {_LATEST} AND {_READABLE}
    ORDER BY t.track_id, r.id, f.name"""
UNITS = f"""SELECT f.name, u.status, u.content, u.code, u.reason, u.stamp
    FROM units u JOIN features f ON f.fid = u.fid
    WHERE u.tid = {_TID} AND u.rid = {_RID} AND {_LATEST} AND {_READABLE} ORDER BY f.name"""
#: Everything that is known of one content under one track id.
OF_CONTENT = f"""SELECT r.id, f.name, u.status, u.code, u.reason, s.sha256, u.row
    FROM units u JOIN recipes r ON r.rid = u.rid JOIN features f ON f.fid = u.fid
    LEFT JOIN shards s ON s.sid = u.sid
    WHERE u.tid = {_TID} AND u.content = ? AND {_LATEST} AND {_READABLE} ORDER BY r.id, f.name"""


def paths_of(tracks: int) -> str:
    """Return the question for ids and paths of this number of tracks."""
    return f"""SELECT track_id, path FROM tracks
        WHERE track_id IN ({_marks(tracks)}) AND path IS NOT NULL"""


def settled(tracks: int, features: Sequence[int]) -> str:
    """Return the question for those of some tracks that have current values of all features.

    ``features`` has the number of features of each recipe. The arguments are the ids of the tracks,
    and for each recipe its id and the names of its features.
    """
    each = [
        f"""AND (SELECT count(*) FROM units u WHERE u.tid = t.tid AND u.rid = {_RID}
            AND u.fid IN (SELECT fid FROM features WHERE name IN ({_marks(number)}))
            AND u.status = 0 AND u.content IN (t.content, '')
            AND {_LATEST} AND {_READABLE}) = {number}"""
        for number in features
    ]
    return f"{_TRACK} t WHERE track_id IN ({_marks(tracks)}) AND path IS NOT NULL {' '.join(each)}"


def _marks(number: int) -> str:
    return ", ".join("?" * number)


_PLACES = f"""SELECT t.track_id, u.sid, u.row FROM units u JOIN tracks t ON t.tid = u.tid
    WHERE u.rid = {_RID} AND u.fid = (SELECT fid FROM features WHERE name = ?)
    AND u.status = 0 AND {_LATEST} AND {_READABLE}"""
PLACES = f"{_PLACES} ORDER BY t.track_id"
PLACES_OF_TRACK = f"{_PLACES} AND t.track_id = ?"

RECIPES = "SELECT id, json, stamp FROM recipes WHERE json IS NOT NULL ORDER BY stamp DESC, id"
#: Those that a shard follows; nothing else is known of others but what the ledger claims.
SPECS = """SELECT r.id, s.json FROM specs s JOIN recipes r ON r.rid = s.rid
    WHERE s.stamp >= 0 ORDER BY s.stamp"""
SPECS_OF_RECIPE = f"SELECT json FROM specs WHERE rid = {_RID} AND stamp >= 0 ORDER BY stamp"
SPECS_OF_TRACK = f"""SELECT p.json FROM units u
    JOIN described d ON d.sid = u.sid AND d.fid = u.fid
    JOIN specs p ON p.rid = u.rid AND p.fid = u.fid AND p.key = d.key
    WHERE u.tid = {_TID} AND u.rid = {_RID}"""
SHARDS = """SELECT s.sid, r.id, s.sha256, s.size, s.seal, s.listing FROM shards s
    JOIN recipes r ON r.rid = s.rid WHERE s.stamp > s.revoked"""
UNUSED_SHARDS = f"""{SHARDS} AND s.sid NOT IN
    (SELECT sid FROM units WHERE sid IS NOT NULL)"""
#: What shards took and hold, by recipe and the features in them.
COSTS = """SELECT r.id, names, sum(s.size), sum(s.audio), sum(s.timed),
    sum(s.extracting), sum(s.decoding) FROM
    (SELECT sid, json_group_array(name) AS names FROM (SELECT d.sid, f.name FROM described d
     JOIN features f ON f.fid = d.fid ORDER BY d.sid, f.name) GROUP BY sid)
    JOIN shards s USING (sid) JOIN recipes r ON r.rid = s.rid
    WHERE s.stamp > s.revoked AND s.audio > 0 GROUP BY r.id, names"""
LENGTHS = """SELECT path, size, duration FROM tracks
    WHERE tid % (1 + (SELECT max(tid) FROM tracks) / ?) = 0
    AND duration IS NOT NULL AND size > 0 AND path IS NOT NULL"""
MAKERS = f"""SELECT s.maker, count(DISTINCT u.tid) FROM units u JOIN shards s ON s.sid = u.sid
    WHERE u.rid = {_RID} AND u.status = 0 GROUP BY s.maker ORDER BY max(s.stamp) DESC"""
LICENCES = f"SELECT licences FROM shards WHERE rid = {_RID} ORDER BY stamp DESC LIMIT 1"
COUNT_FEATURES = f"""SELECT f.name, count(*) FROM units u JOIN features f ON f.fid = u.fid
    WHERE u.rid = {_RID} AND u.status = 0 GROUP BY f.name"""
COUNT_VALUES = "SELECT count(*) FROM units WHERE status = 0"
COUNT_VALUES_IN = f"{COUNT_VALUES} AND sid = ?"
SHARD = "SELECT r.id, s.sha256 FROM shards s JOIN recipes r ON r.rid = s.rid WHERE s.sid = ?"
VERIFIED = "SELECT sid, size, mtime_ns, ino FROM verified"
PUT_VERIFIED = "INSERT OR REPLACE INTO verified VALUES (?, ?, ?, ?)"
OUTDATED = """SELECT r.id, f.name, count(*) FROM outdated o CROSS JOIN units u
    JOIN recipes r ON r.rid = u.rid JOIN features f ON f.fid = u.fid
    WHERE u.sid = o.sid AND u.fid = o.fid GROUP BY r.id, f.name"""
#: Whether a recipe ever lost a shard, or names one that nothing commits, and how many of its values
#: are lost.
REVOKED = f"SELECT rid FROM shards WHERE rid = {_RID} AND (revoked >= 0 OR stamp < 0) LIMIT 1"
COUNT_LOST = f"SELECT count(*) FROM units u WHERE u.rid = ? AND u.status = {LOST}"
COUNT_LOST_OF_TRACK = f"{COUNT_LOST} AND u.tid = {_TID}"

USER_VERSION = "PRAGMA user_version"
ALL_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
LEDGERS = "SELECT name, offset, tail FROM ledgers"
PUT_LEDGER = "INSERT OR REPLACE INTO ledgers VALUES (?, ?, ?)"
META = "SELECT value FROM meta WHERE key = ?"
PUT_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
