"""Cuts the work of a plan into shards; what needs no work is counted and recorded on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from featx.engine.planning.comparing import PlannedTrack
from featx.engine.planning.plan import Plan
from featx.engine.reporting import RunSummary
from featx.engine.tasks import Failure, RunSettings, ShardTask, TrackTask
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
    that are known under other recipes. A shard has ``shard_tracks`` tracks at most.
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
        self._records: list[TrackRecord] = []
        self._units: list[Unit] = []
        self._values: list[StoredValue] = []

    def __iter__(self) -> Iterator[ShardTask]:
        tracks: list[TrackTask] = []
        number = size = inputs = 0
        for planned in self._plan:
            inputs += 1
            task = planned.to_do()
            self._count_known(planned, whole_file=task is None)
            self._note_changes(planned)
            if task is None:
                continue
            tracks.append(task)
            size += max(task.size, 0)
            if len(tracks) >= self._shard_tracks or size >= SHARD_BYTES:
                self._record_changes()  # what tracks take over counts before what they compute
                yield ShardTask(number=number, settings=self._settings, tracks=tuple(tracks))
                tracks = []
                number, size = number + 1, 0
        self._summary.inputs = inputs  # files may have come or gone since they were counted
        self._record_changes()
        if tracks:
            yield ShardTask(number=number, settings=self._settings, tracks=tuple(tracks))

    def _count_known(self, planned: PlannedTrack, *, whole_file: bool) -> None:
        """Count the units that need no work, and the file where none of them does."""
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
            summary.units[name]["known" if unit.state == "failed" else unit.state] += 1
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
