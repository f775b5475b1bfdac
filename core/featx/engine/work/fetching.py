"""Brings remote files to the machine that computes them, a little ahead of the child.

The supervising process does it: children and plugins see a file and no credentials, and the time
that a transfer takes counts for no limit of theirs.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path

from featx.audio import AUDIO_SUFFIXES
from featx.engine.tasks import TrackTask
from featx.errors import AudioError, UnreachableError
from featx.remote import ATTEMPTS, fetch, without_query

#: Files that one fetcher transfers at once.
_THREADS = 8
#: After so many files in a row that could not be fetched, others are tried only once.
_PATIENCE = 16
_WAIT_SECONDS = 0.2
_PREFIX, _PREFIX_NEW = "featx-fetched-", "featx-new-"


class Fetcher:
    """Fetches files into a temporary folder, and removes them.

    No file is larger than ``max_bytes``; whoever calls `begin` bounds their sum. Once ``ending()``
    is true, nobody waits any more.
    """

    def __init__(self, max_bytes: int, ending: Callable[[], bool]) -> None:
        self._max_bytes = max_bytes
        self._ending = ending
        self._stop = threading.Event()
        #: by id of the task, which is kept so that the id stays its own
        self._transfers: dict[int, tuple[TrackTask, str, Future[None]]] = {}
        self._numbers = itertools.count()
        self._failures = 0  # in a row
        self._pool: ThreadPoolExecutor | None = None
        self._folder, self._lock = "", -1

    def begin(self, task: TrackTask) -> None:
        """Let the file of a track be fetched, unless it is already."""
        if id(task) in self._transfers:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="featx-fetch")
            self._folder, self._lock = _locked_folder()
        suffix = os.path.splitext(without_query(task.path))[1]  # noqa: PTH122
        suffix = suffix if suffix.lower() in AUDIO_SUFFIXES else ""
        target = f"{self._folder}/{next(self._numbers)}{suffix}"
        transfer = self._pool.submit(self._fetch, task, target)
        self._transfers[id(task)] = task, target, transfer

    def wait(self, task: TrackTask) -> str:
        """Return where the file of a track is, as soon as it is there.

        Raises `AudioError` where it cannot be had, `UnreachableError` where it cannot be had now.
        """
        self.begin(task)
        _, target, transfer = self._transfers[id(task)]
        while True:
            try:
                transfer.result(timeout=_WAIT_SECONDS)
            except NotYet:
                if self._ending():
                    raise UnreachableError("interrupted") from None
            else:
                return target

    def drop(self, task: TrackTask) -> None:
        """Remove the file of a track."""
        _, target, transfer = self._transfers.pop(id(task))
        if not transfer.cancel() and transfer.done():
            Path(target).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all files, without waiting for transfers."""
        self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock)
            self._pool = None

    def _fetch(self, task: TrackTask, target: str) -> None:
        try:
            fetch(
                task.path,
                target,
                max_bytes=self._max_bytes,
                size=task.size,
                attempts=ATTEMPTS if self._failures < _PATIENCE else 1,
                stop=self._stop,
            )
        except UnreachableError:
            self._failures += 1
            raise
        except AudioError:
            self._failures = 0
            raise
        self._failures = 0


def _locked_folder() -> tuple[str, int]:
    """Make a folder that is locked as long as this process lives; remove those of killed ones."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            os.close(_locked(str(left)))
            shutil.rmtree(left, ignore_errors=True)
    made = tempfile.mkdtemp(prefix=_PREFIX_NEW)
    lock = _locked(made)
    folder = made.replace(_PREFIX_NEW, _PREFIX)
    Path(made).rename(folder)
    return folder, lock


def _locked(folder: str) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
