"""Cuts the work of a plan into shards; what needs no work is counted and recorded on the way."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence

from featx.audio import content_hash
from featx.engine.planning.comparing import PlannedTrack
from featx.engine.planning.inputs import InputTrack
from featx.engine.planning.plan import Plan
from featx.engine.reporting import RunSummary
from featx.engine.tasks import Failure, RunSettings, ShardTask, TrackTask
from featx.errors import AudioError
from featx.remote import is_url
from featx.store import StoreWriter
from featx.store.records import StoredValue, TrackRecord, Unit

#: Largest shard, in tracks and in bytes of their files.
SHARD_TRACKS = 256
SHARD_BYTES = 512 * 2**20

_RECORDS_AT_ONCE = 500


class ShardCutter:
    """The shard tasks of a plan, in the order of the inputs; to be iterated once.

    ``summary`` counts what is known already. ``writer`` records what changed without audio: paths,
    times, manifest columns, results of the same content under other ids, and failures to decode
    that are known under other recipes. Of equal files that are new, all but the first wait for
    `rest`, where they take over its results. A shard has ``shard_tracks`` tracks at most.
    ``report`` takes known failures.
    """

    def __init__(
        self,
        plan: Plan,
        settings: RunSettings,
        summary: RunSummary,
        writer: StoreWriter,
        *,
        shard_tracks: int,
        report: Callable[[Sequence[Failure]], None],
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._summary = summary
        self._writer = writer
        self._report = report
        self._shard_tracks = min(SHARD_TRACKS, shard_tracks)
        self._contents = _NewContents()
        self._equal: list[InputTrack] = []
        self._inputs = 0
        self._number = -1
        self._records: list[TrackRecord] = []
        self._units: list[Unit] = []
        self._values: list[StoredValue] = []

    def __iter__(self) -> Iterator[ShardTask]:
        with contextlib.closing(self._contents):
            yield from self._cut(self._new_tracks())
        self._summary.inputs = self._inputs  # files may have come or gone since they were counted

    def rest(self) -> Iterator[ShardTask]:
        """Compare the files put aside once more, when all other shards are committed."""
        if self._equal:
            yield from self._cut(self._plan.compare(self._equal), reused="copied")

    def _new_tracks(self) -> Iterator[PlannedTrack]:
        """Yield the tracks of the plan but those that equal another new one; put them aside."""
        for planned in self._plan:
            self._inputs += 1
            new = planned.record is None and planned.moved is None
            new = new and not is_url(planned.source.path)
            if new and self._contents.holds(planned.source.path, planned.size):
                self._equal.append(planned.source)
            else:
                yield planned

    def _cut(
        self, planned_tracks: Iterable[PlannedTrack], *, reused: str = "reused"
    ) -> Iterator[ShardTask]:
        tracks: list[TrackTask] = []
        size = 0
        for planned in planned_tracks:
            task = planned.to_do()
            self._count_known(planned, whole_file=task is None, reused=reused)
            self._note_changes(planned)
            if task is None:
                continue
            tracks.append(task)
            size += max(task.size, 0)
            if len(tracks) >= self._shard_tracks or size >= SHARD_BYTES:
                yield self._shard(tracks)
                tracks, size = [], 0
        self._record_changes()
        if tracks:
            yield self._shard(tracks)

    def _shard(self, tracks: Sequence[TrackTask]) -> ShardTask:
        self._record_changes()  # what tracks take over counts before what they compute
        self._number += 1
        return ShardTask(number=self._number, settings=self._settings, tracks=tuple(tracks))

    def _count_known(self, planned: PlannedTrack, *, whole_file: bool, reused: str) -> None:
        """Count the units that need no work, and the file where none of them does."""
        words = {"failed": "known", "reused": reused}
        summary = self._summary
        if whole_file:
            summary.ok += planned.known == "ok"
            summary.failed += planned.known == "failed"
            summary.skipped += planned.known == "skipped"
            summary.noted.update(planned.record.notes.keys() if planned.record else ())
        failures = []
        for unit in planned.units:
            if unit.features:
                continue
            name = self._plan.extractors[unit.extractor].name
            summary.units[name][words.get(unit.state, unit.state)] += 1
            if unit.state == "failed":
                failures.append(
                    Failure(
                        track_id=planned.source.track_id,
                        path=planned.source.path,
                        extractor=name,
                        code=unit.code,
                        reason=unit.reason,
                    )
                )
        summary.add_failures(failures)
        self._report(failures)

    def _note_changes(self, planned: PlannedTrack) -> None:
        """Take the new record of a track, what it takes over, and what holds for new recipes."""
        self._units += planned.outcomes
        self._values += planned.values
        carried = [unit for unit in planned.units if unit.carried]
        record = planned.moved or (planned.record if carried else None)
        if record is not None:
            self._records.append(record)
        if planned.record is not None:
            for unit in carried:
                extractor = self._plan.extractors[unit.extractor]
                self._units.append(
                    Unit(
                        track_id=planned.record.track_id,
                        recipe=extractor.recipe.id,
                        status="failed",
                        features=extractor.features,
                        code=unit.code,
                        reason=unit.reason,
                        content=planned.record.content,
                    )
                )
        if len(self._records) >= _RECORDS_AT_ONCE:
            self._record_changes()

    def _record_changes(self) -> None:
        ids = {unit.recipe for unit in self._units}
        recipes = [item.recipe for item in self._plan.extractors if item.recipe.id in ids]
        self._writer.record_all(self._records, self._units, recipes=recipes, values=self._values)
        for pending in (self._records, self._units, self._values):
            pending.clear()


class _NewContents:
    """The new files of a run by size and, where several have one size, by content.

    They lie on disk: memory does not grow with their number.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE sizes (size INTEGER PRIMARY KEY, path BLOB)")
        self._database.execute("CREATE TABLE contents (content TEXT PRIMARY KEY) WITHOUT ROWID")

    def close(self) -> None:
        """Remove them."""
        self._database.close()

    def holds(self, path: str, size: int) -> bool:
        """Return whether a file with these bytes was met before, and keep this one if not."""
        run = self._database.execute
        insertion = "INSERT OR IGNORE INTO sizes VALUES (?, ?)"
        if size <= 0 or run(insertion, (size, os.fsencode(path))).rowcount:
            return False
        with contextlib.suppress(AudioError):  # the run finds out why it cannot be read
            (first,) = run("SELECT path FROM sizes WHERE size = ?", (size,)).fetchone()
            if first is not None:  # not hashed yet
                self._is_new(os.fsdecode(first))
                run("UPDATE sizes SET path = NULL WHERE size = ?", (size,))
            return not self._is_new(path)
        return False

    def _is_new(self, path: str) -> bool:
        insertion = "INSERT OR IGNORE INTO contents VALUES (?)"
        return self._database.execute(insertion, (content_hash(path),)).rowcount == 1
