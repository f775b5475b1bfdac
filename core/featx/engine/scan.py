"""The health of a collection: a run without extractors, its findings collected.

Memory does not grow with the collection: results arrive in the order of the inputs, and findings
and hashes are kept in a temporary database on disk.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import sqlite3
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from featx.audio import Health, Limits
from featx.audio.waveform import check_downmix
from featx.engine.planning.inputs import Inputs, InputTrack
from featx.engine.tasks import RunSettings, ShardTask, TrackTask
from featx.engine.work.runner import close_runners, scan_shard
from featx.errors import FAILURE_CODES, NOTE_CODES, ParameterError
from featx.guarded.limits import available_cores
from featx.store.records import valid_text

#: code -> meaning, of everything that a scan can find; the codes of failures come first
FINDING_CODES: Mapping[str, str] = {
    **FAILURE_CODES,
    **NOTE_CODES,
    "duplicate-file": "the same bytes as an earlier file",
    "duplicate-audio": "the same samples as an earlier file, in other bytes",
    "unreachable": "a remote file that could not be fetched now: nothing is known of it",
}
#: files that a worker examines at once, and how many such tasks wait for it
_SHARD_FILES = 8
_IN_FLIGHT = 2
#: seconds that a child may take to begin
_OPEN_SECONDS = 600.0


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
        self.n_unreachable = 0
        self.n_warned = 0
        self.seconds = 0.0
        #: Files of the folders that are no inputs, by reason.
        self.left_out: dict[str, int] = {}
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
        return self.n_files - self.n_failing - self.n_unreachable

    def add(self, track: str, health: Health) -> None:
        """Count one file and keep what was found."""
        self.n_files += 1
        self.seconds += health.duration
        if health.code == "unreachable":
            self.n_unreachable += 1
            self._record(track, health.code, health.reason, fails=False)
            return
        if health.code != "ok":
            self.n_failing += 1
            self._record(track, health.code, health.reason, fails=True)
            return
        findings = [(note.code, note.text) for note in health.notes]
        first = self._seen("bytes", health.content, track)
        if first is not None:
            findings.append(("duplicate-file", f"same bytes as {first}"))
        else:
            first = self._seen("samples", health.fingerprint, track)
            if first is not None:
                findings.append(("duplicate-audio", f"same samples as {first}"))
        self.n_warned += bool(findings)
        for code, text in findings:
            self._record(track, code, text, fails=False)

    def _record(self, track: str, code: str, text: str, *, fails: bool) -> None:
        self._database.execute(
            "INSERT INTO finding VALUES (?, ?, ?, ?)", (code, valid_text(track), text, fails)
        )

    def _seen(self, kind: str, value: str, track: str) -> str | None:
        """Return the first track with this hash, None when it is this one."""
        if not value:
            return None
        track = valid_text(track)
        self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (kind, value, track))
        query = "SELECT track FROM seen WHERE kind = ? AND hash = ?"
        first = str(self._database.execute(query, (kind, value)).fetchone()[0])
        return None if first == track else first

    def counts(self) -> dict[str, int]:
        """Return the number of findings by code, in the order of `FINDING_CODES`."""
        query = "SELECT code, COUNT(*) FROM finding GROUP BY code"
        counts = dict(self._database.execute(query).fetchall())
        return {code: counts[code] for code in FINDING_CODES if code in counts}

    def findings(self, code: str, *, limit: int | None = None) -> Iterator[Finding]:
        """Yield the findings with ``code`` in the order of the inputs, at most ``limit``."""
        if code not in FINDING_CODES:
            raise ParameterError(f"code must be one of {sorted(FINDING_CODES)}, got {code!r}.")
        query = "SELECT track, text, fails FROM finding WHERE code = ? ORDER BY rowid LIMIT ?"
        bound = -1 if limit is None else limit
        for track, text, fails in self._database.execute(query, (code, bound)):
            yield Finding(track=track, code=code, text=text, fails=bool(fails))


def scan(
    inputs: Iterable[str | os.PathLike[str]],
    *,
    jobs: int | None = None,
    limits: Limits | None = None,
    timeout: float = 300.0,
    max_memory: int = 2 * 2**30,
    same_audio: bool = False,
    downmix: str = "mean",
    exclude: Iterable[str] = (),
    null: bool = False,
    on_file: Callable[[ScanReport], None] | None = None,
) -> ScanReport:
    """Decode every file once, in child processes, and report what is wrong or odd.

    A crash, hang or memory hog of a decoder is a finding about one file.

    Parameters
    ----------
    inputs : iterable of path
        Files, folders, globs, manifests or ``-``, as `featx.engine.Inputs` takes them.
    jobs : int > 0 or None
        Processes; None takes one per usable core.
    limits : Limits or None
        None takes the defaults.
    timeout : float > 0
        Seconds of work on one file.
    max_memory : int > 0
        Bytes that decoding one file may take.
    same_audio : bool
        Also find equal samples in different bytes, such as a copy with other tags.
    downmix : str
        As for `featx.run`; it decides whether channels cancel each other.
    exclude, null
        As for `featx.engine.Inputs`.
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
    workers = jobs or available_cores()
    settings = RunSettings(
        token=uuid.uuid4().hex,
        store="",
        extractors=(),
        limits=limits or Limits(),
        quality="HQ",
        downmix=check_downmix(downmix),
        level=None,
        threads=1,
        timeout=timeout,
        open_timeout=max(timeout, _OPEN_SECONDS),
        memory=max_memory,
        fingerprint=same_audio,
    )
    report = ScanReport()
    try:
        with (
            Inputs(inputs, null=null, exclude=exclude) as tracks,
            contextlib.closing(_examined(tracks, settings, workers)) as examined,
        ):
            for health in examined:
                report.add(health.path, health)
                if on_file is not None:
                    on_file(report)
            report.left_out = dict(tracks.left_out)
    except BaseException:
        report.close()
        raise
    return report


def _examined(
    tracks: Iterable[InputTrack], settings: RunSettings, workers: int
) -> Generator[Health, None, None]:
    """Yield the health of every file in the order of ``tracks``."""
    outstanding: collections.deque[Future[list[Health]]] = collections.deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="featx-scan") as pool:
        try:
            for task in _tasks(tracks, settings):
                outstanding.append(pool.submit(scan_shard, task))
                if len(outstanding) > workers * _IN_FLIGHT:
                    yield from outstanding.popleft().result()
            while outstanding:
                yield from outstanding.popleft().result()
        except BaseException:
            for future in outstanding:
                future.cancel()
            close_runners(settings.token, abort=True)
            raise
        finally:
            close_runners(settings.token)


def _tasks(tracks: Iterable[InputTrack], settings: RunSettings) -> Iterator[ShardTask]:
    files = iter(tracks)
    for number in itertools.count():
        batch = tuple(
            TrackTask(track_id=track.path, path=track.path, size=-1, mtime_ns=-1, missing=())
            for track in itertools.islice(files, _SHARD_FILES)
        )
        if not batch:
            return
        yield ShardTask(number=number, settings=settings, tracks=batch)
