"""Hands out the shards of a plan, gathers summaries, and stops cleanly."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path

from featx.engine.planning.comparing import PlannedTrack
from featx.engine.planning.plan import Plan
from featx.engine.reporting import Reporter, RunSummary
from featx.engine.tasks import Failure, RunSettings, ShardSummary, ShardTask, TrackTask
from featx.engine.work.runner import close_runners, collectors, run_shard
from featx.errors import FeatxError
from featx.store import StoreWriter
from featx.store.records import TrackRecord, Unit

__all__ = ["SHARD_BYTES", "SHARD_TRACKS", "Execution"]

#: Largest shard, in tracks and in bytes of their files.
SHARD_TRACKS = 256
SHARD_BYTES = 512 * 2**20

#: Shards that a small collection is cut into for every worker, so that all end together.
_SHARDS_PER_WORKER = 4
_WAIT_SECONDS = 0.5
_STOP_SECONDS = 5.0
_LOST_ATTEMPTS = 3
_MOVED_AT_ONCE = 500


class Execution:
    """One run, from the first shard to the last.

    Parameters
    ----------
    planned : Plan
        What there is to do.
    setup : RunSettings
        What all shards have in common.
    workers : int > 0
        Shards in work at once.
    total : int
        Number of files, for progress.
    executor : Executor, optional
        By default threads of this process, each with a child.
    progress : Reporter, optional
        Gets told how it goes.
    """

    def __init__(
        self,
        planned: Plan,
        setup: RunSettings,
        workers: int,
        total: int,
        executor: Executor | None,
        progress: Reporter | None,
    ) -> None:
        self.planned = planned
        self.setup = setup
        self.workers = workers
        self.progress = progress
        self.pool = executor or ThreadPoolExecutor(workers, thread_name_prefix="featx-shard")
        self.own_pool = executor is None
        self.shard_tracks = max(
            1, min(SHARD_TRACKS, math.ceil(total / (_SHARDS_PER_WORKER * workers)))
        )
        self.summary = RunSummary(store=os.fspath(planned.store), inputs=total)
        self.summary.units = {job.name: Counter() for job in planned.extractors}
        self.outstanding: dict[Future[ShardSummary], ShardTask] = {}
        self.attempts: Counter[int] = Counter()
        self.moved: list[TrackRecord] = []
        self.carried: list[Unit] = []
        self.compiling = False

    def tell(self, notes: list[str]) -> None:
        """Say these sentences at once, and keep them in the summary."""
        self.summary.notes.extend(notes)
        if self.progress is not None:
            for note in notes:
                self.progress.note(note)

    def execute(self) -> RunSummary:
        """Work off the plan."""
        began = time.monotonic()
        try:
            with contextlib.closing(
                StoreWriter(self.setup.store, provenance=self.setup.provenance)
            ) as writer:
                self._begin()
                try:
                    self._work(writer)
                except KeyboardInterrupt as interrupt:
                    self._interrupted(interrupt)
                    raise
                except BaseException:
                    self._stop(seconds=0)
                    raise
        finally:
            self.summary.seconds = time.monotonic() - began
            self._end()
        return self.summary

    # -------------------------------------------------------------------------- inside
    def _begin(self) -> None:
        if self.progress is not None:
            self.progress.begin(self.summary.inputs)

    def _end(self) -> None:
        Path(self.setup.stop_file).unlink(missing_ok=True)
        close_runners(self.setup.token)
        if self.own_pool:
            self.pool.shutdown()
        if self.progress is not None:
            self.progress.update(self.summary)
            self.progress.end()

    def _work(self, writer: StoreWriter) -> None:
        for task in self._tasks(writer):
            while len(self.outstanding) > self.workers:
                self._gather()
            self._submit(task)
        self._renew(writer)
        while self.outstanding:
            self._gather()
        self._make_current(writer)

    def _make_current(self, writer: StoreWriter) -> None:
        """Let short names mean what this run was asked for, where it committed nothing newer."""
        writer.make_current(
            [
                job.recipe.id
                for job in self.planned.superseded
                if not self.summary.units[job.name]["ok"]
            ]
        )

    def _tasks(self, writer: StoreWriter) -> Iterator[ShardTask]:
        """Cut the work of the plan into shards, in the order of the inputs."""
        number, size, inputs = 0, 0, 0
        tracks: list[TrackTask] = []
        for planned in self.planned:
            inputs += 1
            track = planned.to_do()
            self._count_known(planned, counted=track is None)
            self._carry(planned)
            if planned.moved is not None:
                self.moved.append(planned.moved)
            if len(self.moved) >= _MOVED_AT_ONCE:
                self._renew(writer)
            if track is None:
                continue
            tracks.append(track)
            size += max(track.size, 0)
            if len(tracks) >= self.shard_tracks or size >= SHARD_BYTES:
                yield ShardTask(number=number, settings=self.setup, tracks=tuple(tracks))
                number, size, tracks = number + 1, 0, []
        self.summary.inputs = inputs  # files may have come or gone since they were counted
        if tracks:
            yield ShardTask(number=number, settings=self.setup, tracks=tuple(tracks))

    def _count_known(self, planned: PlannedTrack, *, counted: bool) -> None:
        """Count what needs no work; the whole file only where nothing of it does."""
        summary = self.summary
        if counted:
            status = planned.known
            summary.ok += status == "ok"
            summary.failed += status == "failed"
            summary.skipped += status == "skipped"
        failures = []
        for unit in planned.units:
            name = self.planned.extractors[unit.extractor].name
            if unit.features:
                continue
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

    def _carry(self, planned: PlannedTrack) -> None:
        """Record failures to decode, met under other recipes, for those of this run."""
        units = [unit for unit in planned.units if unit.carried]
        if not units or planned.record is None:
            return
        if planned.moved is None:
            self.moved.append(planned.record)
        for unit in units:
            job = self.planned.extractors[unit.extractor]
            self.carried.append(
                Unit(
                    track_id=planned.record.track_id,
                    recipe=job.recipe.id,
                    status="failed",
                    features=job.features,
                    code=unit.code,
                    reason=unit.reason,
                    content=planned.record.content,
                )
            )

    def _renew(self, writer: StoreWriter) -> None:
        """Write what changed without audio: paths, times, manifest columns, carried failures."""
        recipes = {unit.recipe for unit in self.carried}
        writer.record_all(
            self.moved,
            self.carried,
            recipes=[job.recipe for job in self.planned.extractors if job.recipe.id in recipes],
        )
        self.moved.clear()
        self.carried.clear()

    def _submit(self, task: ShardTask) -> None:
        self.outstanding[self.pool.submit(run_shard, task)] = task

    def _gather(self) -> None:
        """Wait until a shard is done, or for a moment."""
        done, _ = wait(self.outstanding, timeout=_WAIT_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            task = self.outstanding.pop(future)
            error = future.exception()
            if error is None:
                self.summary.add_shard(future.result())
            elif isinstance(error, FeatxError):
                raise error
            else:
                self._lost(task, error)
        if self.progress is not None:
            self.progress.update(self._so_far())

    def _so_far(self) -> RunSummary:
        """Return the summary with the files of shards that this process has in work."""
        numbers = {task.number for task in self.outstanding.values()}
        working = [item for item in collectors(self.setup.token) if item.number in numbers]
        if not self.compiling and any(item.compiling for item in working):
            self.compiling = True
            if self.progress is not None:
                self.progress.note("compiling kernels: this takes a while, on first use only")
        files: Counter[str] = Counter()
        for collector in working:
            files.update(collector.finished)
        summary = self.summary
        return dataclasses.replace(
            summary,
            ok=summary.ok + files["ok"],
            failed=summary.failed + files["failed"],
            skipped=summary.skipped + files["skipped"],
            audio=summary.audio + sum(collector.audio for collector in working),
        )

    def _lost(self, task: ShardTask, error: BaseException) -> None:
        """Submit a shard again whose worker got lost; whatever it committed stays."""
        self.attempts[task.number] += 1
        if self.attempts[task.number] == _LOST_ATTEMPTS or not isinstance(error, Exception):
            raise error
        self._submit(task)

    def _interrupted(self, interrupt: KeyboardInterrupt) -> None:
        self._stop(seconds=_STOP_SECONDS)
        interrupt.add_note(
            f"Interrupted after {self.summary.done} of {self.summary.inputs} files. What is done "
            "is kept; run the same command again to go on."
        )
        interrupt.add_note(self.summary.line)

    def _stop(self, *, seconds: float) -> None:
        """Let workers finish their track within ``seconds``, then end them; keep what they did."""
        Path(self.setup.stop_file).touch()
        for future in self.outstanding:
            future.cancel()
        with contextlib.suppress(KeyboardInterrupt):  # a second one: at once
            wait(self.outstanding, timeout=seconds)
        close_runners(self.setup.token, abort=True)
        wait(self.outstanding, timeout=_STOP_SECONDS)
        for future in self.outstanding:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.summary.add_shard(future.result())
        self.outstanding.clear()
