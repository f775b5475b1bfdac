"""The catalogue: all ledgers of a store in one SQLite file that can be made again at any time.

It lies in the user's cache, never in the store: a store may come from a stranger, and a database
file is not something to take from strangers. Every opening reads only what the ledgers gained.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from featx.errors import StoreError
from featx.store.ingest import LOST, SCHEMA, ingest_line, note_outdated
from featx.store.ledger import ledger_files, read_lines
from featx.store.paths import LEDGERS, shard_path, store_id, user_cache
from featx.store.records import STATUSES, Recipe, TrackRecord, Unit, decode_text, encode_text
from featx.types import FeatureSpec

SCHEMA_VERSION = 2

_TAIL = 32

_CONTENT = (
    *("ledgers", "units", "tracks", "shards", "specs", "recipes"),
    *("verified", "described", "outdated"),
)

#: True for a unit that no newer one replaces: feature 0 stands for all features of a recipe.
_LATEST = """NOT EXISTS (SELECT 1 FROM units a WHERE a.tid = u.tid AND a.rid = u.rid
    AND a.stamp > u.stamp AND (a.fid = 0 OR u.fid = 0))"""
#: True for a unit that can be read: not lost with its shard, not in a layout of the past.
_THERE = f"""u.status != {LOST} AND NOT EXISTS (SELECT 1 FROM outdated o
    WHERE o.sid = u.sid AND o.fid = u.fid)"""  # noqa: S608
_LOST = f"SELECT count(*) FROM units u WHERE u.rid = ? AND u.status = {LOST}"  # noqa: S608
_CURRENT = f"""SELECT t.track_id, r.id, f.name, u.status, u.content, u.code, u.reason, u.sid, u.row
    FROM tracks t JOIN units u ON u.tid = t.tid JOIN recipes r ON r.rid = u.rid
    JOIN features f ON f.fid = u.fid
    WHERE t.track_id > ? AND t.track_id <= ? AND {_LATEST} AND {_THERE}
    ORDER BY t.track_id, r.id, f.name"""  # noqa: S608
_PLACES = f"""SELECT t.track_id, u.sid, u.row FROM units u JOIN tracks t ON t.tid = u.tid
    WHERE u.rid = (SELECT rid FROM recipes WHERE id = ?)
    AND u.fid = (SELECT fid FROM features WHERE name = ?) AND u.status = 0 AND {_LATEST}
    AND {_THERE}"""  # noqa: S608

_UNITS = f"""SELECT f.name, u.status, u.content, u.code, u.reason, u.stamp
    FROM units u JOIN features f ON f.fid = u.fid
    WHERE u.tid = (SELECT tid FROM tracks WHERE track_id = ?)
    AND u.rid = (SELECT rid FROM recipes WHERE id = ?) AND {_LATEST} AND {_THERE}
    ORDER BY f.name"""  # noqa: S608
_DESCRIBED = """SELECT p.json FROM units u
    JOIN described d ON d.sid = u.sid AND d.fid = u.fid
    JOIN specs p ON p.rid = u.rid AND p.fid = u.fid AND p.key = d.key
    WHERE u.tid = (SELECT tid FROM tracks WHERE track_id = ?)
    AND u.rid = (SELECT rid FROM recipes WHERE id = ?)"""
_OUTDATED = """SELECT r.id, f.name, count(*) FROM outdated o CROSS JOIN units u
    JOIN recipes r ON r.rid = u.rid JOIN features f ON f.fid = u.fid
    WHERE u.sid = o.sid AND u.fid = o.fid GROUP BY r.id, f.name"""
_SHARDS = """SELECT s.sid, r.id, s.sha256, s.size, s.seal, s.listing FROM shards s
    JOIN recipes r ON r.rid = s.rid WHERE s.stamp > s.revoked"""


class Current(NamedTuple):
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


def catalogue_path(folder: Path) -> Path:
    """Return where the catalogue of the store in ``folder`` is kept."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    return user_cache() / "stores" / f"{name}.sqlite"


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


class LedgerView:
    """What the ledgers of a store say, as of the last `refresh`; memory does not grow with it.

    Parameters
    ----------
    folder : path
        A store folder.

    Raises
    ------
    StoreError
        If the folder is no store or a ledger is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).resolve()
        self.store_id = store_id(self.folder)
        self.lock = threading.RLock()
        self._pid = os.getpid()
        self._temporary: Path | None = None
        self.database = self._open()
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LedgerView:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalogue; a second call does nothing."""
        with self.lock:
            self.database.close()
            self._forget_temporary()

    # ------------------------------------------------------------------------- questions
    def track(self, track_id: str) -> TrackRecord | None:
        """Return what is known of a track, or None."""
        rows = self.query(
            "SELECT path, content, size, mtime_ns, duration, sr, channels, tags "
            "FROM tracks WHERE track_id = ? AND path IS NOT NULL",
            encode_text(track_id),
        )
        return _track(track_id, rows[0]) if rows else None

    def tracks(self) -> Iterator[TrackRecord]:
        """Yield every track in the order of the UTF-8 bytes of its id."""
        last = b""
        while rows := self.query(
            "SELECT path, content, size, mtime_ns, duration, sr, channels, tags, track_id "
            "FROM tracks WHERE track_id > ? AND path IS NOT NULL ORDER BY track_id LIMIT 1000",
            last,
        ):
            for row in rows:
                yield _track(decode_text(row[8]), row)
            last = rows[-1][8]

    def units(self, track_id: str, recipe: str) -> tuple[Unit, ...]:
        """Return the latest outcome of every feature of ``track_id`` under a recipe id.

        Features with the same outcome share one `Unit`; an outcome that speaks of all features
        (``features`` empty) is left out once anything newer is known.
        """
        rows = self.query(
            _UNITS,
            encode_text(track_id),
            recipe,
        )
        return _units(track_id, recipe, rows)

    def current(self) -> Iterator[Current]:
        """Yield the latest outcome of every (track, recipe, feature), in this order."""
        last = b""
        while rows := self.query(
            "SELECT max(track_id) FROM "
            "(SELECT track_id FROM tracks WHERE track_id > ? ORDER BY track_id LIMIT 1000)",
            last,
        ):
            if rows[0][0] is None:
                return
            first, last = last, rows[0][0]
            for row in self.query(_CURRENT, first, last):
                yield Current(decode_text(row[0]), row[1], row[2], STATUSES[row[3]], *row[4:])

    def places(
        self, recipe: str, feature: str, track_id: str | None = None
    ) -> list[tuple[str, int, int]]:
        """Return ``(track_id, shard number, row)`` of the values of one feature, sorted by id."""
        arguments: list[Any] = [recipe, feature]
        condition = ""
        if track_id is not None:
            condition = " AND t.track_id = ?"
            arguments.append(encode_text(track_id))
        rows = self.query(f"{_PLACES}{condition} ORDER BY t.track_id", *arguments)
        return [(decode_text(name), sid, row) for name, sid, row in rows]

    def recipes(self) -> list[Recipe]:
        """Return every recipe, the most recently committed one first."""
        rows = self.query("SELECT json FROM recipes WHERE json IS NOT NULL ORDER BY stamp DESC, id")
        return [Recipe.from_json(json.loads(row[0])) for row in rows]

    def is_superseded(self, recipe: str) -> bool:
        """Return whether ``recipe`` has values, and another one of its extractor is newer."""
        rows = self.query("SELECT id, json, stamp FROM recipes WHERE json IS NOT NULL")
        stamps = {row[0]: (json.loads(row[1])["extractor"], row[2]) for row in rows}
        extractor, stamp = stamps.get(recipe, ("", 0))
        return stamp > 0 and any(
            (other > stamp or (other == stamp and identity < recipe))
            for identity, (name, other) in stamps.items()
            if name == extractor and identity != recipe
        )

    def shards(self, recipes: Sequence[str] | None = None) -> list[CommittedShard]:
        """Return every committed shard that was not revoked, or those of some recipes."""
        found = [CommittedShard(*row) for row in self.query(_SHARDS)]
        return [item for item in found if recipes is None or item.recipe in recipes]

    def descriptions(self, recipe: str) -> list[FeatureSpec]:
        """Return every description that the outputs of a recipe ever had, the newest last."""
        rows = self.query(
            "SELECT json FROM specs WHERE rid = (SELECT rid FROM recipes WHERE id = ?) "
            "ORDER BY stamp",
            recipe,
        )
        return [FeatureSpec.from_json(json.loads(row[0])) for row in rows]

    def described(self, track_id: str, recipe: str) -> dict[str, FeatureSpec]:
        """Return the description of each stored value of one track, also of outdated ones."""
        rows = self.query(_DESCRIBED, encode_text(track_id), recipe)
        specs = (FeatureSpec.from_json(json.loads(row[0])) for row in rows)
        return {spec.name: spec for spec in specs}

    def outdated(self) -> list[tuple[str, str, int]]:
        """Return recipe id, feature and number of values in a layout that newer ones replaced."""
        return [tuple(row) for row in self.query(_OUTDATED)]

    def lost(self, recipe: str, track_id: str | None = None) -> int:
        """Return how many values of a recipe were lost with their shards, of one track or all."""
        revoked = self.query(
            "SELECT rid FROM shards WHERE rid = (SELECT rid FROM recipes WHERE id = ?) "
            "AND revoked >= 0 LIMIT 1",
            recipe,
        )
        if not revoked:
            return 0
        (rid,) = revoked[0]
        if track_id is None:
            return int(self.query(_LOST, rid)[0][0])
        condition = " AND u.tid = (SELECT tid FROM tracks WHERE track_id = ?)"
        return int(self.query(_LOST + condition, rid, encode_text(track_id))[0][0])

    def count_tracks(self) -> int:
        """Return the number of tracks."""
        return int(self.query("SELECT count(*) FROM tracks WHERE path IS NOT NULL")[0][0])

    def query(self, sql: str, *arguments: Any) -> list[Any]:
        """Return all rows of a question in SQL, for the other modules of this room."""
        with self.lock:
            if self._pid != os.getpid():  # SQLite connections do not survive a fork
                self._pid = os.getpid()
                self._temporary = None
                self._inherited = self.database  # closing it here would harm the parent's
                self.database = self._open()
                self.refresh()
            try:
                return self.database.execute(sql, arguments).fetchall()
            except sqlite3.Error as error:
                raise StoreError(
                    f"catalogue of {self.folder} cannot be read: {error}. Run featx verify."
                ) from error

    # --------------------------------------------------------------------------- upkeep
    def remember_verified(self, shards: Sequence[tuple[int, int, int, int]]) -> None:
        """Note number, size, modification time and inode of shards that passed all checks."""
        if not shards:
            return
        with self.lock, self._transaction():
            self.database.executemany("INSERT OR REPLACE INTO verified VALUES (?, ?, ?, ?)", shards)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Answer all questions inside from one state, twice as fast; for seconds, not for hours.

        Meanwhile no other process can bring this catalogue up to date.
        """
        with self.lock:
            self.database.execute("BEGIN")
        try:
            yield
        finally:
            with self.lock, contextlib.suppress(sqlite3.Error):
                self.database.execute("ROLLBACK")

    def refresh(self) -> None:
        """Read what the ledgers gained since the last time."""
        with self.lock:
            try:
                self._refresh()
            except sqlite3.OperationalError:  # busy for minutes, no space, taken away
                self._go_private()
            except sqlite3.DatabaseError:  # damaged
                try:
                    self._start_again()
                    self._refresh()
                except (OSError, sqlite3.Error):
                    self._go_private()

    def _go_private(self) -> None:
        """Go on with a temporary catalogue of our own."""
        self.database.close()
        try:
            self.database = self._open_temporary()
            self._refresh()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"catalogue of {self.folder} cannot be written: {error}. "
                "Set FEATX_CACHE to a folder with some space."
            ) from error

    def rebuild(self) -> None:
        """Forget everything and read all ledgers."""
        with self.lock:
            self._start_again()
            self.refresh()

    def _refresh(self) -> None:
        files = ledger_files(self.folder)
        with self._transaction():
            known = {
                name: (offset, tail)
                for name, offset, tail in self.database.execute(
                    "SELECT name, offset, tail FROM ledgers"
                )
            }
            sizes = {file.name: file.size for file in files}
            grown = [file.name for file in files if file.size > known.get(file.name, (0, b""))[0]]
            replaced = any(
                sizes.get(name, -1) < offset or self._tail(name, offset) != tail
                for name, (offset, tail) in known.items()
            )
            if replaced or self._value("store") not in {None, self.store_id}:
                self._forget()
                known, grown = {}, list(sizes)
            self._set("store", self.store_id)
            for name in grown:
                self._ingest(name, known.get(name, (0, b""))[0])
            if grown:
                note_outdated(self.database)

    def _ingest(self, name: str, start: int) -> None:
        offset = start
        for offset, entry in read_lines(self.folder, name, start):
            try:
                ingest_line(self.database, entry)
            except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
                raise StoreError(
                    f"ledger {self.folder / LEDGERS / name} breaks the format before byte "
                    f"{offset}: {type(error).__name__}: {error}."
                ) from error
        self.database.execute(
            "INSERT OR REPLACE INTO ledgers VALUES (?, ?, ?)",
            (name, offset, self._tail(name, offset)),
        )

    def _tail(self, name: str, offset: int) -> bytes:
        """Return the last bytes before ``offset``, by which a replaced ledger is noticed."""
        with (self.folder / LEDGERS / name).open("rb") as stream:
            stream.seek(max(0, offset - _TAIL))
            return stream.read(min(offset, _TAIL))

    def _open(self) -> sqlite3.Connection:
        path = catalogue_path(self.folder)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return self._connect(path)
        except (OSError, sqlite3.OperationalError):  # no cache to write to
            return self._open_temporary()
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            return self._connect(path)

    def _open_temporary(self) -> sqlite3.Connection:
        self._forget_temporary()
        descriptor, name = tempfile.mkstemp(prefix="featx-", suffix=".sqlite")
        os.close(descriptor)
        self._temporary = Path(name)
        return self._connect(self._temporary)

    def _forget_temporary(self) -> None:
        if self._temporary is not None and self._pid == os.getpid():
            self._temporary.unlink(missing_ok=True)
        self._temporary = None

    def _connect(self, path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=120, isolation_level=None, check_same_thread=False)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA_VERSION:
                database.execute("BEGIN IMMEDIATE")
                if database.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
                    for name, kind in database.execute(
                        "SELECT name, type FROM sqlite_master WHERE type = 'table'"
                    ).fetchall():
                        database.execute(f'DROP {kind} "{name}"')
                    for statement in SCHEMA:
                        database.execute(statement)
                    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                database.execute("COMMIT")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _start_again(self) -> None:
        self.database.close()
        path = self._temporary or catalogue_path(self.folder)
        for suffix in ("", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        self.database = self._open()

    def _forget(self) -> None:
        for table in _CONTENT:
            self.database.execute(f"DELETE FROM {table}")  # noqa: S608

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def _value(self, key: str) -> str | None:
        row = self.database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _set(self, key: str, value: str) -> None:
        self.database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def read_ledger(folder: str | os.PathLike[str]) -> LedgerView:
    """Return a `LedgerView` of the store in ``folder``."""
    return LedgerView(folder)


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
