"""What a run reports while it works, and its summary at the end."""

from __future__ import annotations

import bisect
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from featx.engine.tasks import Failure, ShardSummary
from featx.errors import DECODE_CODES
from featx.notebook import html_table
from featx.progress import Meter, choose_meter

#: Failed files that a summary keeps; all of them are in the ledger.
KEPT_FAILURES = 50


@dataclass(kw_only=True, repr=False)
class RunSummary:
    """What came of a run, in files and in units.

    Parameters
    ----------
    store : str
        Store folder.
    inputs, ok, failed, skipped : int
        Files. ok means: every requested extractor has a result, from this run or an earlier one.
        failed: at least one has none. skipped: at least one did not want the file.
    computed : int
        Files that this run worked on.
    units : dict of str to Counter
        For each extractor, units of this run by status, and ``fresh``, ``known``, ``reused`` and
        ``copied`` ones: computed or failed before, of the same content under another id in the
        store, or in an equal file of this run.
    codes : Counter
        Failed units by code, earlier ones included.
    failures : list of Failure
        Those of the first failed files, sorted by track id.
    failed_files : Counter
        Failed files by code, earlier ones included.
    audio, seconds : float
        Seconds of audio decoded, and seconds the run took.
    peak_rss : int
        Bytes that the largest worker held.
    workers : int, optional
        Workers of the cluster when they were counted last; None without a cluster.
    noted : Counter
        Files with a note of decoding by its code, of this run or an earlier one.
    unreachable : Counter
        Files that could not be fetched, by reason. Nothing is recorded of them: the same call tries
        them again.
    left_out : dict of str to int
        Files of the folders that are no inputs, by reason.
    notes : list of str
        What the user should know, such as files that the store has under other ids.
    """

    store: str
    inputs: int = 0
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    computed: int = 0
    units: dict[str, Counter[str]] = field(default_factory=dict)
    codes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    failed_files: Counter[str] = field(default_factory=Counter)
    audio: float = 0.0
    seconds: float = 0.0
    peak_rss: int = 0
    workers: int | None = None
    noted: Counter[str] = field(default_factory=Counter)
    unreachable: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The last line of every run: where each file went."""
        missed = self.unreachable.total()
        return (
            f"{self.inputs} in = {self.ok} ok + {self.failed} failed + {self.skipped} skipped"
            f"{f' + {missed} unreachable' if missed else ''}"
        )

    def __repr__(self) -> str:
        return (
            f"RunSummary({self.store}: {self.line}; {self.computed} computed, "
            f"{self.audio / 60:.1f} min of audio in {self.seconds:.1f} s)"
        )

    def _repr_html_(self) -> str:
        units = [
            [name, ", ".join(f"{count} {state}" for state, count in counts.items())]
            for name, counts in self.units.items()
        ]
        failures = [": ".join(row) for row in self.failure_rows()]
        return html_table(
            f"{self.store}: {self.line}", ("extractor", "units"), units, [*failures, *self.notes]
        )

    @property
    def done(self) -> int:
        """Files that have an answer."""
        return self.ok + self.failed + self.skipped

    def add_shard(self, shard: ShardSummary) -> None:
        """Count what a shard gave."""
        self.ok += shard.ok
        self.failed += shard.failed
        self.skipped += shard.skipped
        self.computed += shard.ok + shard.failed + shard.skipped
        self.audio += shard.audio
        self.peak_rss = max(self.peak_rss, shard.peak_rss)
        for name, counts in shard.units.items():
            self.units.setdefault(name, Counter()).update(counts)
        self.noted.update(shard.noted)
        self.unreachable.update(shard.unreachable)
        self.add_failures(shard.failures)

    def add_failures(self, failures: Iterable[Failure]) -> None:
        """Count failed units, and store those of the first files in the order of their ids."""
        failures = list(failures)
        if not failures:
            return
        self.codes.update(failure.code for failure in failures)
        self.failed_files.update(
            code for _, code in {(failure.track_id, failure.code) for failure in failures}
        )
        for failure in failures:
            bisect.insort(self.failures, failure, key=_place)
        first = sorted({failure.track_id for failure in self.failures})[:KEPT_FAILURES]
        self.failures = [failure for failure in self.failures if failure.track_id <= first[-1]]

    def failure_rows(self) -> list[tuple[str, str, str, str]]:
        """Return the kept failures as (track id, extractor, code, reason).

        A file that did not decode has one row, with ``all`` for the extractor; where it is missing
        the reason names the path that was tried.
        """
        rows: dict[tuple[str, str, str, str], None] = {}
        for failure in self.failures:
            name = "all" if failure.code in DECODE_CODES else failure.extractor
            tried = f": {failure.path}" if failure.code == "missing" else ""
            rows[failure.track_id, name, failure.code, failure.reason + tried] = None
        return list(rows)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        plain = dict(vars(self))
        plain["units"] = {name: dict(counts) for name, counts in self.units.items()}
        plain["codes"] = dict(self.codes)
        plain["failed_files"] = dict(self.failed_files)
        plain["noted"] = dict(self.noted)
        plain["unreachable"] = dict(self.unreachable)
        plain["failures"] = [vars(failure) for failure in self.failures]
        return plain


def _place(failure: Failure) -> tuple[str, str]:
    return failure.track_id, failure.extractor


class Reporter(Protocol):
    """Shows how far a run is."""

    def begin(self, total: int) -> None:
        """``total`` files were found."""

    def note(self, text: str) -> None:
        """Say something once, such as that an extractor is untrained."""

    def failed(self, failures: Sequence[Failure], *, known: bool) -> None:
        """Take failures as they come, ``known`` ones of earlier runs too."""

    def update(self, summary: RunSummary) -> None:
        """Show how far the run is."""

    def end(self) -> None:
        """Stop showing anything."""


class MeterProgress:
    """Counts files on a `featx.progress.Meter`."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def begin(self, total: int) -> None:
        """Say how many files there are."""
        self._meter.begin(total)

    def note(self, text: str) -> None:
        """Write one line."""
        self._meter.note(text)

    def failed(self, failures: Sequence[Failure], *, known: bool) -> None:
        """Say nothing: the summary lists them."""

    def update(self, summary: RunSummary) -> None:
        """Count files, and say how much audio was decoded and what went wrong."""
        state = f"{summary.audio / 60:.1f} min of audio"
        for count, word in ((summary.failed, "failed"), (summary.skipped, "skipped")):
            state += f", {count} {word}" if count else ""
        state += "" if summary.workers is None else f", {summary.workers} workers"
        self._meter.update(summary.done, state)

    def end(self) -> None:
        """Stop showing anything."""
        self._meter.end()


class EventProgress:
    """Gives ``emit`` one event after the other, as plain values: started, note, progress, failure.

    Progress comes when the number of files has changed, and at least every ``seconds``.
    """

    def __init__(self, emit: Callable[[dict[str, Any]], None], *, seconds: float = 10.0) -> None:
        self._emit = emit
        self._seconds = seconds
        self._began = self._last = time.monotonic()
        self._summary: RunSummary | None = None

    def begin(self, total: int) -> None:
        """Emit that ``total`` files were found."""
        self._began = self._last = time.monotonic()
        self._emit({"event": "started", "files": total})

    def note(self, text: str) -> None:
        """Emit a sentence."""
        self._emit({"event": "note", "text": text})

    def failed(self, failures: Sequence[Failure], *, known: bool) -> None:
        """Emit every failure by itself."""
        for failure in failures:
            self._emit({"event": "failure", **vars(failure), "known": known})

    def update(self, summary: RunSummary) -> None:
        """Emit how many files are done."""
        before, self._summary = self._summary, summary
        now = time.monotonic()
        changed = before is None or before.done != summary.done
        if not changed and now - self._last < self._seconds:
            return
        self._last = now
        counts = {key: getattr(summary, key) for key in ("done", "ok", "failed", "skipped")}
        seconds = round(now - self._began, 3)
        self._emit(
            {
                "event": "progress",
                "files": summary.inputs,
                **counts,
                "audio": round(summary.audio, 3),
                "seconds": seconds,
                **({} if summary.workers is None else {"workers": summary.workers}),
            }
        )

    def end(self) -> None:
        """Emit nothing: how the run ended is for its caller to say."""

    def interrupted(self) -> None:
        """Emit how far an interrupted run came."""
        done = 0 if self._summary is None else self._summary.done
        self._emit({"event": "interrupted", "done": done})


def choose_progress() -> Reporter:
    """Return the bar where stderr is a terminal, lines elsewhere."""
    return MeterProgress(choose_meter("files"))
