"""The files below a URL, listed once and kept on disk: memory does not grow with their number."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import takewhile

from featx import remote


class RemoteFolder:
    """The listing of the files below ``url``, made when it is first walked."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._database: sqlite3.Connection | None = None

    def __iter__(self) -> Iterator[remote.RemoteFile]:
        """Yield the files in the order of their names; see `featx.remote.list_files`."""
        if self._database is None:
            database = sqlite3.connect("", isolation_level=None)
            database.execute("PRAGMA synchronous = OFF")
            database.execute(
                "CREATE TABLE files (name BLOB PRIMARY KEY, size INTEGER, version INTEGER)"
            )
            rows = ((os.fsencode(name), *state) for name, *state in remote.list_files(self.url))
            database.executemany("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", rows)
            self._database = database
        for name, *state in self._database.execute("SELECT * FROM files ORDER BY name"):
            yield remote.RemoteFile(os.fsdecode(name), *state)


def common_parent(folders: Iterable[str], files: Iterable[str]) -> str:
    """Return the longest URL that all these lie below; empty if they lie on several servers."""
    parents = [*folders, *(remote.without_query(url).rpartition("/")[0] for url in files)]
    levels = zip(*(url.split("/") for url in parents), strict=False)
    common = [names[0] for names in takewhile(lambda names: len(set(names)) == 1, levels)]
    return "/".join(common) if len(common) > 2 else ""
