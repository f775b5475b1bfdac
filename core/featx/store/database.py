"""The catalogue: all ledgers of a store in one SQLite file that can be made again at any time.

It lies in the user's cache, never in the store: a store may come from a stranger, and a database
file is not something to take from strangers. Every opening reads only what the ledgers gained.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from featx.errors import StoreError
from featx.folders import cache_folder
from featx.store import schema
from featx.store.ingest import MALFORMED, ingest_line, note_outdated
from featx.store.ledger import ledger_files, read_lines
from featx.store.paths import LEDGERS, store_id

#: Bytes before the end of what was read of a ledger, by which a replaced one is noticed.
_TAIL = 32


def catalogue_path(folder: Path) -> Path:
    """Return where the catalogue of the store in ``folder`` is kept."""
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    return cache_folder() / "stores" / f"{name}.sqlite"


class CatalogueFile:
    """The database of one store: opened, brought up to date, asked in SQL, made again.

    Where the cache cannot be written, SQLite keeps it in a file without a name, or in memory.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).resolve()
        self.store_id = store_id(self.folder)
        self.lock = threading.RLock()
        self._pid = os.getpid()
        #: Where it may lie; the first is in use.
        self._places: list[Path | str] = [catalogue_path(self.folder), "", ":memory:"]
        self.database = self._open()
        try:
            self.refresh()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalogue; a second call does nothing."""
        with self.lock:
            self.database.close()

    def query(self, sql: str, *arguments: Any) -> list[Any]:
        """Return all rows of a question in SQL, for the other modules of this room."""
        with self.lock:
            if self._pid != os.getpid():  # SQLite connections do not survive a fork
                self._pid = os.getpid()
                self._inherited = self.database  # closing it here would harm the parent's
                self.database = self._open()
                self.refresh()
            try:
                return self.database.execute(sql, arguments).fetchall()
            except sqlite3.Error as error:
                raise StoreError(
                    f"catalogue of {self.folder} cannot be read: {error}. Run featx verify."
                ) from error

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
        while True:
            self.database.close()
            del self._places[0]
            try:
                self.database = self._open()
                self._refresh()
            except (OSError, sqlite3.Error) as error:
                if len(self._places) > 1:
                    continue
                raise StoreError(
                    f"catalogue of {self.folder} cannot be written: {error}. "
                    "Set FEATX_CACHE to a folder with enough free space."
                ) from error
            return

    def rebuild(self) -> None:
        """Forget everything and read all ledgers."""
        with self.lock:
            self._start_again()
            self.refresh()

    def _refresh(self) -> None:
        files = ledger_files(self.folder)
        with self.transaction():
            known = {
                name: (offset, tail) for name, offset, tail in self.database.execute(schema.LEDGERS)
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
            except MALFORMED as error:
                raise StoreError(
                    f"ledger {self.folder / LEDGERS / name} breaks the format before byte "
                    f"{offset}: {type(error).__name__}: {error}."
                ) from error
        self.database.execute(
            schema.PUT_LEDGER,
            (name, offset, self._tail(name, offset)),
        )

    def _tail(self, name: str, offset: int) -> bytes:
        """Return the last bytes before ``offset``, by which a replaced ledger is noticed."""
        with (self.folder / LEDGERS / name).open("rb") as stream:
            stream.seek(max(0, offset - _TAIL))
            return stream.read(min(offset, _TAIL))

    def _open(self) -> sqlite3.Connection:
        place = self._places[0]
        try:
            if isinstance(place, Path):
                place.parent.mkdir(parents=True, exist_ok=True)
            return self._connect(place)
        except (OSError, sqlite3.OperationalError):  # it cannot be written there
            if len(self._places) == 1:
                raise
            del self._places[0]
            return self._open()
        except sqlite3.DatabaseError:
            self._remove()
            return self._connect(place)

    def _remove(self) -> None:
        if isinstance(place := self._places[0], Path):
            for suffix in ("", "-journal"):
                place.with_name(place.name + suffix).unlink(missing_ok=True)

    def _connect(self, path: Path | str) -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=120, isolation_level=None, check_same_thread=False)
        try:
            if _version(database) != schema.SCHEMA_VERSION:
                database.execute("BEGIN IMMEDIATE")
                if _version(database) != schema.SCHEMA_VERSION:  # no other process was quicker
                    for (name,) in database.execute(schema.ALL_TABLES).fetchall():
                        database.execute(f'DROP TABLE "{name}"')
                    for statement in schema.TABLES:
                        database.execute(statement)
                    database.execute(f"{schema.USER_VERSION} = {schema.SCHEMA_VERSION}")
                database.execute("COMMIT")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _start_again(self) -> None:
        self.database.close()
        self._remove()
        self.database = self._open()

    def _forget(self) -> None:
        for table in schema.CONTENT:
            self.database.execute(f"DELETE FROM {table}")  # noqa: S608

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Change everything inside, or nothing."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def _value(self, key: str) -> str | None:
        row = self.database.execute(schema.META, (key,)).fetchone()
        return None if row is None else str(row[0])

    def _set(self, key: str, value: str) -> None:
        self.database.execute(schema.PUT_META, (key, value))


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute(schema.USER_VERSION).fetchone()[0])
