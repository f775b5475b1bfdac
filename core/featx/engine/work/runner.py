"""Runs one shard of tracks through a supervised child; the same code under every executor."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from weakref import WeakSet

from featx.engine.tasks import DECODE, RunSettings, ShardSummary, ShardTask
from featx.engine.work.collecting import Collector, PendingTrack
from featx.engine.work.process import ChildDiedError, ChildProcess
from featx.errors import PluginError
from featx.store import StoreWriter

__all__ = ["ShardRunner", "close_runners", "collectors", "run_shard"]

#: Tracks sent to the child at once.
_BATCH = 16
#: A track that was held when the process died is tried alone before it is blamed: the process may
#: have been killed from outside, or been damaged by the track before.
_ATTEMPTS = 2
_OPEN_ATTEMPTS = 3

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
    runner: ShardRunner | None = getattr(_local, "runner", None)
    if runner is None or runner.setup.token != task.setup.token:
        if runner is not None:
            runner.close()
        runner = ShardRunner(task.setup)
        _local.runner = runner
        with _lock:
            _runners.add(runner)
    return runner.run(task)


def close_runners(token: str, *, abort: bool = False) -> None:
    """Close the runners of one run in this process.

    With ``abort`` their children are killed while they work; the tracks that they hold are left
    for the next run.
    """
    with _lock:
        chosen = [runner for runner in _runners if runner.setup.token == token]
    if abort:
        for runner in chosen:
            runner.abort()
        return
    for runner in chosen:
        runner.hang_up()
    for runner in chosen:
        runner.close()


def collectors(token: str) -> list[Collector]:
    """Return what gathers the shards that one run has in work in this process."""
    with _lock:
        chosen = [runner.collector for runner in _runners if runner.setup.token == token]
    return [collector for collector in chosen if collector is not None]


class ShardRunner:
    """Owns a child process and a store writer, and runs shards one after the other."""

    def __init__(self, setup: RunSettings) -> None:
        self.setup = setup
        self._child: ChildProcess | None = None
        self._writer: StoreWriter | None = None
        self._aborted = False
        #: of the shard in work, or the last one
        self.collector: Collector | None = None

    def close(self) -> None:
        """Let the child end and close the ledger."""
        child, self._child = self._child, None
        if child is not None:
            child.stop()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def abort(self) -> None:
        """Kill the child, from another thread; `run` then ends with what is done."""
        self._aborted = True
        child = self._child
        if child is not None:
            child.strike()

    def hang_up(self) -> None:
        """Tell the child that no more work will come, without waiting for its end."""
        if self._child is not None:
            self._child.hang_up()

    def run(self, task: ShardTask) -> ShardSummary:
        """Compute one shard; see `run_shard`."""
        if self._writer is None:
            self._writer = StoreWriter(self.setup.store, provenance=self.setup.provenance)
        self.collector = collector = Collector(self.setup, task.number, self._writer)
        items = [
            PendingTrack(key=key, track=track, steps=[job for job, _ in track.wanted])
            for key, track in enumerate(task.tracks)
        ]
        queue = deque(items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
        try:
            while queue and not self._stopping():
                queue.extendleft(reversed(list(self._run_batch(queue.popleft(), collector))))
            collector.commit()
        except BaseException:
            if self._child is not None:
                self._child.kill()
                self._child = None
            raise
        return collector.summary(stopped=sum(len(batch) for batch in queue))

    # -------------------------------------------------------------------------- inside
    def _stopping(self) -> bool:
        return self._aborted or bool(self.setup.stop_file and os.path.exists(self.setup.stop_file))  # noqa: PTH110

    def _opened(self) -> ChildProcess:
        """Return the child, starting one if need be."""
        attempt = 0
        while self._child is None:
            attempt += 1
            try:
                self._child = ChildProcess(self.setup)
            except ChildDiedError as error:
                if attempt == _OPEN_ATTEMPTS or error.cause != "crash":
                    names = ", ".join(job.name for job in self.setup.extractors)
                    raise PluginError(
                        f"extractors ({names}) must open, but the process that opens them failed "
                        f"({error.cause}): {error.reason}. Try them one by one."
                    ) from error
        return self._child

    def _run_batch(
        self, batch: list[PendingTrack], collector: Collector
    ) -> Iterator[list[PendingTrack]]:
        """Send ``batch`` to the child, take what it answers, and yield what is left to do."""
        child = self._opened()
        pending = {item.key: item for item in batch}
        held: tuple[int, int] | None = None
        child.send(("work", [(item.key, item.track.path, tuple(item.steps)) for item in batch]))
        try:
            while True:
                kind, *told = child.receive(seconds=self.setup.timeout)
                if kind == "idle":
                    collector.peak_rss = max(collector.peak_rss, told[0])
                    return
                if kind == "hold":
                    held = (told[0], told[1])
                elif kind == "compiling":
                    collector.compiling = True
                elif kind == "done":
                    held = None
                    child.tracks_done += 1
                    collector.finish(pending.pop(told[0]))
                    if self._stopping():
                        break
                elif self._take(kind, pending[told[0]], told[1:], collector):
                    break
        except ChildDiedError as error:
            self._child = None
            if self._aborted:
                yield list(pending.values())
            else:
                yield from self._after_death(child, error, pending, held, collector)
            return
        child.kill()  # it is at work on what nobody waits for, or out of memory
        self._child = None
        yield from _left([*pending.values()], collector)

    def _take(
        self, kind: str, item: PendingTrack, told: list[object], collector: Collector
    ) -> bool:
        """Take one answer about ``item``; return whether the child must be replaced."""
        if kind == "decoded":
            (item.facts,) = told  # type: ignore[assignment]
            return False
        if kind == "unread":
            item.facts, code, reason = told  # type: ignore[assignment]
            self._fail(item, DECODE, str(code), str(reason), collector)
            return code == "memory"
        step = told[0]
        assert isinstance(step, int)
        job = self.setup.extractors[step]
        item.steps.remove(step)
        item.attempts = 0
        if kind == "result":
            collector.result(item, job, told[1])  # type: ignore[arg-type]
            return False
        code, reason = str(told[1]), str(told[2])
        (collector.failed if kind == "failed" else collector.skipped)(item, job, code, reason)
        return code == "memory"

    def _fail(
        self, item: PendingTrack, step: int, code: str, reason: str, collector: Collector
    ) -> None:
        """Record a failure of one step; one of decoding costs every extractor that is left."""
        for number in list(item.steps) if step == DECODE else [step]:
            item.steps.remove(number)
            collector.failed(item, self.setup.extractors[number], code, reason)
        item.attempts = 0

    def _after_death(
        self,
        child: ChildProcess,
        error: ChildDiedError,
        pending: dict[int, PendingTrack],
        held: tuple[int, int] | None,
        collector: Collector,
    ) -> Iterator[list[PendingTrack]]:
        """Name the culprit, or set suspects apart; yield what is to be sent again."""
        items = list(pending.values())
        if held is None and len(items) > 1:  # it died without saying what it held: halve
            yield items[: len(items) // 2]
            yield items[len(items) // 2 :]
            return
        if not items:
            return
        key, step = held or (items[0].key, DECODE)
        suspect = pending.pop(key)
        suspect.attempts += 1
        excused = error.cause == "crash" or (error.cause == "memory" and child.tracks_done > 0)
        if not excused or suspect.attempts >= _ATTEMPTS:
            self._fail(suspect, step, error.cause, error.reason, collector)
        yield from _left([suspect], collector)
        if pending:
            yield list(pending.values())


def _left(items: list[PendingTrack], collector: Collector) -> Iterator[list[PendingTrack]]:
    """Finish the items that have no steps left, yield the others."""
    for item in items:
        if not item.steps:
            collector.finish(item)
    rest = [item for item in items if item.steps]
    if rest:
        yield rest
