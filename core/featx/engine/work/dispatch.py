"""The supervisor of a run: hands out shards, gathers summaries, and stops cleanly."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from featx.engine.planning.plan import Plan
from featx.engine.planning.survey import gone_note
from featx.engine.reporting import Reporter, RunSummary
from featx.engine.tasks import Failure, RunSettings, ShardSummary, ShardTask
from featx.engine.work.cluster import Cluster
from featx.engine.work.cutting import ShardCutter
from featx.engine.work.resuming import resume_shard
from featx.engine.work.runner import close_runners, collectors, run_shard, stop_runners
from featx.errors import FeatxError
from featx.store import StoreWriter
from featx.store.records import TrackRecord

#: Shards that a small collection is cut into for every worker, so that all end together.
_SHARDS_PER_WORKER = 4
_WAIT_SECONDS = 0.5
_STOP_SECONDS = 5.0
_LOST_ATTEMPTS = 10
_COUNT_SECONDS = 10.0
_RECORDS_AT_ONCE = 500


class Dispatcher:
    """One run, from the first shard to the last.

    ``workers`` shards are in work at once, by default in threads of this process, each with a
    child. ``total`` is the number of files, for progress.
    """

    def __init__(
        self,
        plan: Plan,
        settings: RunSettings,
        workers: int,
        total: int,
        executor: Executor | None,
        progress: Reporter | None,
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.workers = workers
        self.progress = progress
        self.pool = executor or ThreadPoolExecutor(workers, thread_name_prefix="featx-shard")
        self.own_pool = executor is None
        self.cluster = executor if isinstance(executor, Cluster) else None
        self.counted = 0.0
        self.summary = RunSummary(store=os.fspath(plan.store), inputs=total)
        self.summary.units = {extractor.name: Counter() for extractor in plan.extractors}
        self.outstanding: dict[Future[ShardSummary], ShardTask] = {}
        self.losses: Counter[int] = Counter()
        self.compiling = False

    def note(self, notes: Sequence[str]) -> None:
        """Show these sentences at once, and keep them in the summary."""
        self.summary.notes.extend(notes)
        if self.progress is not None:
            for text in notes:
                self.progress.note(text)

    def run(self) -> RunSummary:
        """Work off the plan, however that ends."""
        began = time.monotonic()
        if self.progress is not None:
            self.progress.begin(self.summary.inputs)
        try:
            with contextlib.closing(
                StoreWriter(self.settings.store, provenance=self.settings.provenance)
            ) as writer:
                self._work(writer)
        except KeyboardInterrupt as interrupt:
            self._stop(seconds=_STOP_SECONDS)
            self._explain(interrupt)
            raise
        except BaseException:
            self._stop(seconds=0)
            raise
        finally:
            self.summary.seconds = time.monotonic() - began
            self._close()
        return self.summary

    def _work(self, writer: StoreWriter) -> None:
        """Submit every shard, a few ahead of the workers, and gather their summaries."""
        shard_tracks = math.ceil(self.summary.inputs / (_SHARDS_PER_WORKER * self.workers))
        tasks = ShardCutter(
            self.plan,
            self.settings,
            self.summary,
            writer,
            shard_tracks=max(1, shard_tracks),
            report=lambda failures: self._failed(failures, known=True),
        )
        for shards in (tasks, tasks.rest()):
            for task in shards:
                while len(self.outstanding) > self.workers:
                    self._gather()
                self._submit(task)
            while self.outstanding:
                self._gather()
        self._make_current(writer)
        self._note_gone(writer)

    def _failed(self, failures: Sequence[Failure], *, known: bool) -> None:
        if self.progress is not None:
            self.progress.failed(failures, known=known)

    def _submit(self, task: ShardTask) -> None:
        run = run_shard if self.own_pool else resume_shard
        self.outstanding[self.pool.submit(run, task)] = task

    def _gather(self) -> None:
        """Wait until a shard is done, or for a moment; add its summary, and show the progress."""
        done, _ = wait(self.outstanding, timeout=_WAIT_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            task = self.outstanding.pop(future)
            error = future.exception()
            if error is None:
                self.summary.add_shard(future.result())
                self._failed(future.result().failures, known=False)
            else:
                self._submit_again(task, error)
        self._count_workers()
        if self.progress is not None:
            self.progress.update(self._so_far())

    def _count_workers(self) -> None:
        """Note from time to time how many workers of the cluster there are."""
        if self.cluster is not None and time.monotonic() - self.counted > _COUNT_SECONDS:
            self.summary.workers = self.cluster.count()
            self.counted = time.monotonic()

    def _submit_again(self, task: ShardTask, error: BaseException) -> None:
        """Submit a shard whose worker got lost; whatever it committed stays."""
        self.losses[task.number] += 1
        ours = isinstance(error, FeatxError) or not isinstance(error, Exception)
        if ours or self.losses[task.number] == _LOST_ATTEMPTS:
            raise error
        self._submit(task)

    def _make_current(self, writer: StoreWriter) -> None:
        """Let short names mean the recipes of this run, where it committed nothing newer."""
        writer.make_current(
            [
                extractor.recipe.id
                for extractor in self.plan.superseded
                if not self.summary.units[extractor.name]["ok"]
            ]
        )

    def _note_gone(self, writer: StoreWriter) -> None:
        """Note in the ledger which tracks of the given folders have no file any more."""
        count = 0
        pending: list[TrackRecord] = []
        for record in self.plan.gone():
            count += 1
            if "gone" not in record.notes:
                notes = {**record.notes, "gone": "no file at this path"}
                pending.append(dataclasses.replace(record, notes=notes))
            if len(pending) == _RECORDS_AT_ONCE:
                writer.record_all(pending)
                pending.clear()
        writer.record_all(pending)
        if count:
            self.note([gone_note(count)])

    def _so_far(self) -> RunSummary:
        """Return the summary with the files of shards that this process has in work."""
        numbers = {task.number for task in self.outstanding.values()}
        working = [item for item in collectors(self.settings.token) if item.number in numbers]
        if not self.compiling and any(collector.compiling for collector in working):
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

    def _stop(self, *, seconds: float) -> None:
        """Let workers finish their track within ``seconds``, then end them; keep what they did."""
        token = self.settings.token
        stop_runners(token)
        if self.cluster is not None:
            self.cluster.call(stop_runners, token)
        with contextlib.suppress(OSError):  # full: workers elsewhere finish their shards
            Path(self.settings.stop_file).touch()
        for future in self.outstanding:
            future.cancel()
        with contextlib.suppress(KeyboardInterrupt):  # a second one: at once
            wait(self.outstanding, timeout=seconds)
        close_runners(token, abort=True)
        if self.cluster is not None:
            self.cluster.call(partial(close_runners, token, abort=True))
        wait(self.outstanding, timeout=_STOP_SECONDS)
        for future in self.outstanding:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.summary.add_shard(future.result())
        self.outstanding.clear()

    def _explain(self, interrupt: KeyboardInterrupt) -> None:
        interrupt.add_note(
            f"Interrupted after {self.summary.done} of {self.summary.inputs} files. What is done "
            "is kept; run the same command again to resume."
        )
        left = self.summary.inputs - self.summary.done - self.summary.unreachable.total()
        interrupt.add_note(self.summary.line + (f" + {left} not done" if left > 0 else ""))

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            Path(self.settings.stop_file).unlink(missing_ok=True)
        close_runners(self.settings.token)
        if self.cluster is not None:
            self.cluster.close(self.settings.token)
        if self.own_pool:
            self.pool.shutdown()
        if self.progress is not None:
            self.progress.update(self.summary)
            self.progress.end()
