"""Runs one shard of tracks through a supervised child; the same code under every executor."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import Counter
from weakref import WeakSet

from featx.audio import Health
from featx.engine.tasks import DECODE, PreparedExtractor, RunSettings, ShardSummary, ShardTask
from featx.engine.work.collecting import Collector
from featx.engine.work.supervising import Outcomes, PendingTrack, Supervisor
from featx.store import StoreWriter

_local = threading.local()
_runners: WeakSet[ShardRunner] = WeakSet()
_lock = threading.Lock()


def run_shard(task: ShardTask) -> ShardSummary:
    """Compute the tracks of ``task`` and commit the results to the store.

    The unit that executors see. Each thread that calls it keeps one child process with open
    extractors until another run comes along or `close_runners` is called.

    Raises
    ------
    PluginError, WeightsError
        If an extractor cannot be opened.
    StoreError
        If results cannot be written; what was committed before is safe.
    """
    return _runner(task.settings).run(task)


def scan_shard(task: ShardTask) -> list[Health]:
    """Examine the files of ``task`` in a child without extractors; one answer per file, in order.

    Shorter only after `close_runners` with ``abort``.
    """
    return _runner(task.settings).scan(task)


def _runner(settings: RunSettings) -> ShardRunner:
    """Return the runner of this thread, a new one if it is that of another run."""
    runner: ShardRunner | None = getattr(_local, "runner", None)
    if runner is None or runner.settings.token != settings.token:
        if runner is not None:
            runner.close()
        runner = _local.runner = ShardRunner(settings)
        with _lock:
            _runners.add(runner)
    return runner


def stop_runners(token: str) -> None:
    """Let the runners of one run in this process end after the tracks that they have in work."""
    for runner in _of_run(token):
        runner.stopping = True


def close_runners(token: str, *, abort: bool = False) -> None:
    """Close the runners of one run in this process.

    With ``abort`` their children are killed while they work; the tracks that they hold are left
    for the next run.
    """
    chosen = _of_run(token)
    if abort:
        for runner in chosen:
            runner.abort()
        return
    for runner in chosen:
        runner.hang_up()
    for runner in chosen:
        runner.close()


def collectors(token: str) -> list[Collector]:
    """Return the collectors of the shards that one run has in work in this process."""
    return [runner.collector for runner in _of_run(token) if runner.collector is not None]


def _of_run(token: str) -> list[ShardRunner]:
    with _lock:
        return [runner for runner in _runners if runner.settings.token == token]


class ShardRunner:
    """Owns child processes and a store writer, and runs shards one after the other.

    There is one child for all extractors or, where they are isolated, one for each distribution.
    """

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        self.supervisors = {
            frozenset(extractor.number for extractor in part.extractors): Supervisor(
                part, self._stopping
            )
            for part in _parts(settings)
        }
        self.stopping = False
        self._writer: StoreWriter | None = None
        #: of the shard in work, or the last one
        self.collector: Collector | None = None

    def close(self) -> None:
        """Let the children end and close the ledger."""
        for supervisor in self.supervisors.values():
            supervisor.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def abort(self) -> None:
        """Kill the children, from another thread."""
        for supervisor in self.supervisors.values():
            supervisor.abort()

    def hang_up(self) -> None:
        """Let the idle children know that no more work will come."""
        for supervisor in self.supervisors.values():
            supervisor.hang_up()

    def run(self, task: ShardTask) -> ShardSummary:
        """Compute one shard; see `run_shard`."""
        if self._writer is None:
            self._writer = StoreWriter(self.settings.store, provenance=self.settings.provenance)
        self.collector = Collector(self.settings, task.number, self._writer)
        tracks = [
            PendingTrack(
                key=key, task=track, steps=[], later=[number for number, _ in track.missing]
            )
            for key, track in enumerate(task.tracks)
        ]
        for numbers, supervisor in self.supervisors.items():
            for track in tracks:
                track.steps += [number for number in track.later if number in numbers]
                track.later = [number for number in track.later if number not in numbers]
            reachable = [track for track in tracks if not track.unreachable]
            supervisor.work_off([track for track in reachable if track.steps], self.collector)
            if any(track.steps and not track.unreachable for track in tracks):
                break
        self.collector.commit()
        left = [track for track in tracks if track.steps or track.later]
        unreachable = Counter(track.unreachable for track in left if track.unreachable)
        return self.collector.summary(
            stopped=len(left) - unreachable.total(), unreachable=unreachable
        )

    def scan(self, task: ShardTask) -> list[Health]:
        """Examine one shard; see `scan_shard`."""
        tracks = [
            PendingTrack(key=key, task=track, steps=[DECODE])
            for key, track in enumerate(task.tracks)
        ]
        collector = _HealthCollector()
        (supervisor,) = self.supervisors.values()
        supervisor.work_off(tracks, collector)
        for track in tracks:
            if track.unreachable:
                collector.failed(track, DECODE, "unreachable", track.unreachable)
        return [collector.health[key] for key in sorted(collector.health)]

    def _stopping(self) -> bool:
        stop_file = self.settings.stop_file
        return self.stopping or bool(stop_file and os.path.exists(stop_file))  # noqa: PTH110


def _parts(settings: RunSettings) -> list[RunSettings]:
    """Return the settings of each child."""
    if not settings.isolate:
        return [settings]
    by_distribution: dict[str, list[PreparedExtractor]] = {}
    for extractor in settings.extractors:
        by_distribution.setdefault(extractor.distribution, []).append(extractor)
    return [
        dataclasses.replace(settings, extractors=tuple(part)) for part in by_distribution.values()
    ]


class _HealthCollector(Outcomes):
    """What a scan finds, by key of the track."""

    def __init__(self) -> None:
        super().__init__()
        self.health: dict[int, Health] = {}

    def examined(self, track: PendingTrack, health: Health) -> None:
        self.health[track.key] = dataclasses.replace(health, path=track.task.path)

    def failed(self, track: PendingTrack, step: int, code: str, reason: str) -> None:
        del step  # there is one
        self.health[track.key] = Health(path=track.task.path, code=code, reason=reason)
