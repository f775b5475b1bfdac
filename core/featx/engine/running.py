"""The supervising process: plans, hands out shards, gathers summaries, stops cleanly."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import tempfile
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.audio import Limits
from featx.engine.guard import available_cores, physical_memory
from featx.engine.inputs import Inputs
from featx.engine.planning import Plan, PlannedTrack
from featx.engine.preparing import Settings, WeightsChoice, prepare_jobs
from featx.engine.reporting import Reporter, RunSummary
from featx.engine.runner import close_runners, run_shard
from featx.engine.tasks import Failure, Job, Setup, ShardSummary, ShardTask, TrackJob
from featx.errors import FeatxError, ParameterError
from featx.registry import load_registry
from featx.store import StoreWriter, lock_store
from featx.store.records import TrackRecord

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["UntrainedWarning", "plan", "run"]

#: Largest shard, in tracks and in bytes of their files.
SHARD_TRACKS = 256
SHARD_BYTES = 512 * 2**20

#: Shards that a small collection is cut into for every worker, so that all end together.
_SHARDS_PER_WORKER = 4
_WAIT_SECONDS = 0.5
_STOP_SECONDS = 5.0
_LOST_ATTEMPTS = 3
_MOVED_AT_ONCE = 500
_OPEN_SECONDS = 600.0
_MEMORY_SHARE = 0.8
_LEAST_MEMORY = 2**30


class UntrainedWarning(UserWarning):
    """An extractor runs with random weights, because none are installed."""


def plan(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    store: str | os.PathLike[str],
    *,
    plugins: str | Sequence[str],
    settings: Settings | None = None,
    features: Iterable[str] | None = None,
    device: str = "cpu",
    weights: WeightsChoice = None,
    failed: bool = False,
    rehash: bool = False,
    quality: str = "HQ",
    disabled: Iterable[str] = (),
    stdin: BinaryIO | None = None,
) -> Plan:
    """Return what `run` with the same arguments would do; it is computed while it is walked.

    Nothing is written, and the store need not exist. Arguments and errors are those of `run`.
    """
    jobs = prepare_jobs(
        load_registry(disabled=disabled),
        [plugins] if isinstance(plugins, str) else plugins,
        settings=settings,
        features=features,
        weights=weights,
        device=device,
        quality=quality,
    )
    found = Inputs(_listed(inputs), stdin=stdin)
    return Plan(found, store, jobs, failed=failed, rehash=rehash)


def run(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    store: str | os.PathLike[str],
    *,
    plugins: str | Sequence[str],
    settings: Settings | None = None,
    features: Iterable[str] | None = None,
    jobs: int | None = None,
    device: str = "cpu",
    weights: WeightsChoice = None,
    failed: bool = False,
    rehash: bool = False,
    executor: Executor | None = None,
    limits: Limits | None = None,
    quality: str = "HQ",
    timeout: float = 1800.0,
    memory: int | None = None,
    disabled: Iterable[str] = (),
    progress: Reporter | None = None,
    stdin: BinaryIO | None = None,
) -> RunSummary:
    """Extract features from audio files into a store; what is there already is left alone.

    Parameters
    ----------
    inputs : path or iterable of paths
        Files, folders, globs, manifests (CSV or Parquet), ``-`` for a list on stdin.
    store : path
        Store folder, created if need be.
    plugins : str or sequence of str
        Extractors, by short or full name.
    settings : mapping, optional
        Parameters: ``{"mfcc": {"n_mfcc": 20}}`` or ``{"mfcc.n_mfcc": 20}``; without a name where
        there is one extractor.
    features : iterable of str, optional
        Outputs to store, as ``extractor.feature``. By default the clip features, or everything
        that an extractor has if none of them is of that kind.
    jobs : int > 0, optional
        Worker processes; by default one per core, or one on an accelerator. With an ``executor``
        the number of shards that it works on at once.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    weights : path or mapping, optional
        Weights to use instead of the cached ones, by name of the extractor where several have some.
    failed : bool
        Try again what failed before.
    rehash : bool
        Compare contents by hash instead of trusting sizes and modification times.
    executor : concurrent.futures.Executor, optional
        Runs the shards, wherever that is; workers need the same paths and plugins.
    limits : Limits, optional
        What one file may cost.
    quality : str
        Of resampling, one of `featx.audio.QUALITIES`.
    timeout : float > 0
        Seconds that decoding a track may take, and each extractor on it.
    memory : int >= 0, optional
        Bytes that one worker may hold; 0 for no limit. By default its share of 80 % of the machine.
    disabled : iterable of str
        Plugins that are not loaded.
    progress : Reporter, optional
        Gets told how the run goes.
    stdin : binary stream, optional
        Read for ``-`` instead of the process's own.

    Returns
    -------
    RunSummary
        Failures of single tracks do not raise; they are counted here and recorded in the store.

    Raises
    ------
    ParameterError, PluginError, WeightsError
        Before any file is read.
    StoreError
        If another run works on the store, or it cannot be written.
    KeyboardInterrupt
        After what was finished has been committed; the same call goes on from there.
    """
    cores = available_cores()
    workers = _workers(jobs, device, cores)
    if timeout <= 0:
        raise ParameterError(f"timeout must be > 0 seconds, got {timeout}.")
    if memory is not None and memory < 0:
        raise ParameterError(f"memory must be >= 0 bytes, got {memory}.")
    planned = plan(
        inputs,
        store,
        plugins=plugins,
        settings=settings,
        features=features,
        device=device,
        weights=weights,
        failed=failed,
        rehash=rehash,
        quality=quality,
        disabled=disabled,
        stdin=stdin,
    )
    with planned.inputs, tempfile.TemporaryDirectory(prefix="featx-run-") as temporary:
        share = int(_MEMORY_SHARE * physical_memory()) // workers
        threads = max(1, cores // workers)
        setup = Setup(
            token=uuid.uuid4().hex,
            store=os.path.abspath(store),  # noqa: PTH100  (workers may live elsewhere)
            jobs=planned.jobs,
            limits=limits or Limits(),
            quality=quality,
            threads=threads,
            timeout=timeout,
            open_timeout=max(timeout, _OPEN_SECONDS),
            memory=max(share, _LEAST_MEMORY) if memory is None else memory,
            provenance=_provenance(planned.jobs, threads),
            stop_file=str(Path(temporary) / "stop"),
        )
        _tell_untrained(planned.jobs, progress)
        total = planned.inputs.count()
        if total == 0:
            raise ParameterError(
                f"inputs must hold at least one audio file, got none in {planned.inputs.given}."
            )
        with lock_store(store):
            return _Run(planned, setup, workers, total, executor, progress).execute()


class _Run:
    """One run, from the first shard to the last."""

    def __init__(
        self,
        planned: Plan,
        setup: Setup,
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
        self.summary.units = {job.name: Counter() for job in planned.jobs}
        self.outstanding: dict[Future[ShardSummary], ShardTask] = {}
        self.attempts: Counter[int] = Counter()
        self.moved: list[TrackRecord] = []

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

    def _tasks(self, writer: StoreWriter) -> Iterator[ShardTask]:
        """Cut the work of the plan into shards, in the order of the inputs."""
        number, size = 0, 0
        tracks: list[TrackJob] = []
        for planned in self.planned:
            track = planned.to_do()
            self._count_known(planned, counted=track is None)
            if planned.moved is not None:
                self.moved.append(planned.moved)
                if len(self.moved) >= _MOVED_AT_ONCE:
                    self._renew(writer)
            if track is None:
                continue
            tracks.append(track)
            size += max(track.size, 0)
            if len(tracks) >= self.shard_tracks or size >= SHARD_BYTES:
                yield ShardTask(number=number, setup=self.setup, tracks=tuple(tracks))
                number, size, tracks = number + 1, 0, []
        if tracks:
            yield ShardTask(number=number, setup=self.setup, tracks=tuple(tracks))

    def _count_known(self, planned: PlannedTrack, *, counted: bool) -> None:
        """Count what needs no work; the whole file only where nothing of it does."""
        summary = self.summary
        if counted:
            status = planned.known
            summary.ok += status == "ok"
            summary.failed += status == "failed"
            summary.skipped += status == "skipped"
        for unit in planned.units:
            name = self.planned.jobs[unit.job].name
            if unit.features:
                continue
            summary.units[name]["known" if unit.state == "failed" else unit.state] += 1
            if unit.state == "failed":
                summary.add_failure(
                    Failure(
                        track_id=planned.source.track_id,
                        path=planned.source.path,
                        extractor=name,
                        code=unit.code,
                        reason=unit.reason,
                    )
                )

    def _renew(self, writer: StoreWriter) -> None:
        """Write track lines that changed without their audio: path, times, manifest columns."""
        writer.record_all(self.moved)
        self.moved.clear()

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
            self.progress.update(self.summary)

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


def _listed(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> list[str | os.PathLike[str]]:
    return [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)


def _workers(jobs: int | None, device: str, cores: int) -> int:
    if jobs is None:
        return cores if device == "cpu" else 1
    if jobs < 1:
        raise ParameterError(f"jobs must be an integer > 0, got {jobs}.")
    return jobs


def _tell_untrained(jobs: Iterable[Job], progress: Reporter | None) -> None:
    for job in jobs:
        if job.recipe.weights.startswith("untrained"):
            text = (
                f"{job.name} is UNTRAINED ({job.recipe.weights.partition(':')[2]}): it has no "
                "weights installed, so its results are those of a random network."
            )
            if progress is None:
                warnings.warn(text, UntrainedWarning, stacklevel=3)
            else:
                progress.note(text)


def _provenance(jobs: Iterable[Job], threads: int) -> Mapping[str, Any]:
    """Return the versions of everything that takes part, for the attributes of shards."""
    import importlib.metadata

    import soundfile

    from featx import __version__

    packages = ["numpy", "numba", "soxr", "soundfile", "h5py"]
    packages += sorted({job.full_name.partition(":")[0] for job in jobs})
    versions = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "featx": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "libsndfile": soundfile.__libsndfile_version__,
        "threads": threads,
        "devices": {job.name: job.device for job in jobs},
        "packages": versions,
    }
