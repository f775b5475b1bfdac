"""Runs one shard of tracks through a supervised child; the same code under every executor."""

from __future__ import annotations

import os
import threading
from weakref import WeakSet

from featx.audio import Health
from featx.engine.tasks import DECODE, RunSettings, ShardSummary, ShardTask
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
            runner.supervisor.abort()
        return
    for runner in chosen:
        runner.supervisor.hang_up()
    for runner in chosen:
        runner.close()


def collectors(token: str) -> list[Collector]:
    """Return the collectors of the shards that one run has in work in this process."""
    return [runner.collector for runner in _of_run(token) if runner.collector is not None]


def _of_run(token: str) -> list[ShardRunner]:
    with _lock:
        return [runner for runner in _runners if runner.settings.token == token]


class ShardRunner:
    """Owns a child process and a store writer, and runs shards one after the other."""

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        self.supervisor = Supervisor(settings, self._stopping)
        self.stopping = False
        self._writer: StoreWriter | None = None
        #: of the shard in work, or the last one
        self.collector: Collector | None = None

    def close(self) -> None:
        """Let the child end and close the ledger."""
        self.supervisor.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def run(self, task: ShardTask) -> ShardSummary:
        """Compute one shard; see `run_shard`."""
        if self._writer is None:
            self._writer = StoreWriter(self.settings.store, provenance=self.settings.provenance)
        self.collector = Collector(self.settings, task.number, self._writer)
        tracks = [
            PendingTrack(key=key, task=track, steps=[number for number, _ in track.missing])
            for key, track in enumerate(task.tracks)
        ]
        stopped = self.supervisor.work_off(tracks, self.collector)
        self.collector.commit()
        return self.collector.summary(stopped=stopped)

    def scan(self, task: ShardTask) -> list[Health]:
        """Examine one shard; see `scan_shard`."""
        tracks = [
            PendingTrack(key=key, task=track, steps=[DECODE])
            for key, track in enumerate(task.tracks)
        ]
        collector = _HealthCollector()
        self.supervisor.work_off(tracks, collector)
        return [collector.health[key] for key in sorted(collector.health)]

    def _stopping(self) -> bool:
        stop_file = self.settings.stop_file
        return self.stopping or bool(stop_file and os.path.exists(stop_file))  # noqa: PTH110


class _HealthCollector(Outcomes):
    """What a scan finds, by key of the track."""

    def __init__(self) -> None:
        super().__init__()
        self.health: dict[int, Health] = {}

    def examined(self, track: PendingTrack, health: Health) -> None:
        self.health[track.key] = health

    def failed(self, track: PendingTrack, step: int, code: str, reason: str) -> None:
        del step  # there is one
        self.health[track.key] = Health(path=track.task.path, code=code, reason=reason)
