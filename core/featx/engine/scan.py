"""The health of a collection: every file decoded in supervised children, findings collected.

Memory does not grow with the collection: results arrive in the order of the inputs, and findings
and hashes are kept in a temporary database on disk.
"""

from __future__ import annotations

import collections
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import pebble

from featx.audio import WARNING_CODES, Health, Limits, examine
from featx.engine.planning.inputs import discover
from featx.errors import FAILURE_CODES, ParameterError
from featx.guarded.limits import available_cores, die_with_parent, limit_data

__all__ = ["FINDING_CODES", "Finding", "ScanReport", "scan"]

#: code -> meaning, of everything that a scan can find; the codes of failures come first
FINDING_CODES: Mapping[str, str] = {
    **FAILURE_CODES,
    **WARNING_CODES,
    "duplicate-file": "the same bytes as an earlier file",
    "duplicate-audio": "the same samples as an earlier file, in other bytes",
}
#: tasks in flight per worker: enough to keep it busy, few enough to stop at once
_IN_FLIGHT = 8


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing about one file; ``fails`` says whether a run would record it as failed."""

    track: str
    code: str
    text: str
    fails: bool


class ScanReport:
    """Counts and findings of a scan; a context manager, closed when done with."""

    def __init__(self) -> None:
        self.n_files = 0
        self.n_failing = 0
        self.n_warned = 0
        self.seconds = 0.0
        # no name: a temporary file that sqlite removes by itself
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF;"
            "CREATE TABLE finding (code TEXT, track TEXT, text TEXT, fails INTEGER);"
            "CREATE TABLE seen (kind TEXT, hash TEXT, track TEXT, PRIMARY KEY (kind, hash))"
            " WITHOUT ROWID;"
        )

    def __enter__(self) -> ScanReport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary database."""
        self._database.close()

    @property
    def n_ok(self) -> int:
        """Files that would not fail."""
        return self.n_files - self.n_failing

    def add(self, track: str, health: Health) -> None:
        """Count one file and keep what was found."""
        self.n_files += 1
        self.seconds += health.duration
        if health.code != "ok":
            self.n_failing += 1
            self._keep(track, health.code, health.reason, fails=True)
            return
        found = [(note.code, note.text) for note in health.warnings]
        first = self._seen("bytes", health.content, track)
        if first is not None:
            found.append(("duplicate-file", f"same bytes as {first}"))
        else:
            first = self._seen("samples", health.fingerprint, track)
            if first is not None:
                found.append(("duplicate-audio", f"same samples as {first}"))
        self.n_warned += bool(found)
        for code, text in found:
            self._keep(track, code, text, fails=False)

    def _keep(self, track: str, code: str, text: str, *, fails: bool) -> None:
        self._database.execute(
            "INSERT INTO finding VALUES (?, ?, ?, ?)", (code, _printable(track), text, fails)
        )

    def _seen(self, kind: str, value: str, track: str) -> str | None:
        """Return the first track with this hash, None when it is this one."""
        if not value:
            return None
        track = _printable(track)
        self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (kind, value, track))
        query = "SELECT track FROM seen WHERE kind = ? AND hash = ?"
        first = str(self._database.execute(query, (kind, value)).fetchone()[0])
        return None if first == track else first

    def counts(self) -> dict[str, int]:
        """Return the number of findings by code, in the order of `FINDING_CODES`."""
        query = "SELECT code, COUNT(*) FROM finding GROUP BY code"
        found = dict(self._database.execute(query).fetchall())
        return {code: found[code] for code in FINDING_CODES if code in found}

    def findings(self, code: str, *, limit: int | None = None) -> Iterator[Finding]:
        """Yield the findings with ``code`` in the order of the inputs, at most ``limit``."""
        if code not in FINDING_CODES:
            raise ParameterError(f"code must be one of {sorted(FINDING_CODES)}, got {code!r}.")
        query = "SELECT track, text, fails FROM finding WHERE code = ? ORDER BY rowid LIMIT ?"
        bound = -1 if limit is None else limit
        for track, text, fails in self._database.execute(query, (code, bound)):
            yield Finding(track=track, code=code, text=text, fails=bool(fails))


def _printable(track: str) -> str:
    """File names may hold bytes that are no text; sqlite and terminals want text."""
    return track.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# ---------------------------------------------------------------- the children
def _prepare_child(parent: int, max_memory: int) -> None:
    """Follow the parent's death, limit memory, silence what decoders print, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    os.close(sink)
    limit_data(max_memory)


def _examine(path: str, limits: Limits, same_audio: bool) -> Health:
    return examine(path, limits=limits, fingerprint=same_audio)


def _outcome(path: str, future: Any, timeout: float) -> Health:
    try:
        health: Health = future.result()
        return health
    except FutureTimeoutError:
        reason = f"decoding took more than {timeout:g} s"
        return Health(path=path, code="timeout", reason=reason)
    except pebble.ProcessExpired as error:
        reason = f"the decoder ended its process, exit status {error.exitcode}"
        return Health(path=path, code="crash", reason=reason)
    except MemoryError:
        return Health(path=path, code="memory", reason="decoding needs more memory than allowed")
    except Exception as error:  # whatever a decoder raises in the child belongs to this file
        return Health(path=path, code="decode-error", reason=f"{type(error).__name__}: {error}")


def scan(
    inputs: Iterable[str | os.PathLike[str]],
    *,
    jobs: int | None = None,
    limits: Limits | None = None,
    timeout: float = 300.0,
    max_memory: int = 2 * 2**30,
    same_audio: bool = False,
    on_file: Callable[[ScanReport], None] | None = None,
) -> ScanReport:
    """Decode every file once, in child processes, and report what is wrong or odd.

    A crash, hang or memory hog of a decoder is a finding about one file.

    Parameters
    ----------
    inputs : iterable of path
        Files, folders, globs, manifests or ``-``, as `featx.engine.discover` takes them.
    jobs : int > 0 or None
        Processes; None takes one per usable core.
    limits : Limits or None
        None takes the defaults.
    timeout : float > 0
        Seconds for one file.
    max_memory : int > 0
        Bytes that decoding one file may take.
    same_audio : bool
        Also find equal samples in different bytes, such as a copy with other tags.
    on_file : callable or None
        Called with the report after every file.

    Returns
    -------
    ScanReport
        To be closed by the caller.

    Raises
    ------
    ParameterError
        For ``jobs``, ``timeout`` or ``max_memory`` that are not positive, or an input that does
        not exist.
    """
    for name, value in (("jobs", jobs), ("timeout", timeout), ("max_memory", max_memory)):
        if value is not None and not value > 0:
            raise ParameterError(f"{name} must be > 0, got {value}.")
    jobs = jobs or available_cores()
    limits = limits or Limits()
    tracks = discover(inputs)
    report = ScanReport()
    waiting: collections.deque[tuple[str, Any]] = collections.deque()

    def settle() -> None:
        path, future = waiting.popleft()
        report.add(path, _outcome(path, future, timeout))
        if on_file is not None:
            on_file(report)

    pool = pebble.ProcessPool(
        max_workers=jobs,
        context=multiprocessing.get_context("spawn"),
        initializer=_prepare_child,
        initargs=(os.getpid(), max_memory),
    )
    try:
        for track in tracks:
            path = track.path
            arguments = (path, limits, same_audio)
            waiting.append((path, pool.schedule(_examine, args=arguments, timeout=timeout)))
            if len(waiting) >= jobs * _IN_FLIGHT:
                settle()
        while waiting:
            settle()
        pool.close()  # type: ignore[no-untyped-call]
    except BaseException:
        pool.stop()  # type: ignore[no-untyped-call]
        report.close()
        raise
    finally:
        pool.join()
        tracks.close()
    return report
