"""A run on a Dask cluster: which workers fit it, and how they get their shards.

What travels through the scheduler are bytes and functions by value, so that it needs no featx.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import pickle
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from featx._version import __version__
from featx.engine.planning.changes import recipe_changes
from featx.engine.planning.preparing import prepare_extractors
from featx.engine.tasks import PreparedExtractor, RunSettings
from featx.errors import ClusterError, FeatxError, ParameterError
from featx.guarded.limits import available_cores, physical_memory
from featx.installed import install_extra
from featx.registry import load_registry
from featx.store.paths import store_id

if TYPE_CHECKING:
    from featx.engine.tasks import ShardSummary

_CONNECT_SECONDS = 30
#: Seconds in which a scheduler that is being started has to accept connections.
_PORT_SECONDS = 5.0
_RERUN = "What is committed is safe; run the same command again to resume."


class Fitness(NamedTuple):
    """Whether a worker can take shards of a run (``problem`` is empty then), and its means.

    ``threads`` shards run on it at once; ``cores`` and ``memory`` in bytes are those of each.
    """

    problem: str
    threads: int = 0
    cores: int = 0
    memory: int = 0


class Cluster(Executor):
    """Runs shards on the workers of a Dask cluster that fit; others are in ``unfit`` with reasons.

    Workers may join at any time: each is examined before it gets its first shard. ``client`` is a
    `distributed.Client`, which is not closed. A cluster without workers is waited for, after
    ``note`` was told so. Raises `ClusterError` if no worker fits.
    """

    def __init__(
        self,
        client: Any,
        store: Path,
        extractors: Sequence[PreparedExtractor],
        note: Callable[[str], object] = bool,
    ) -> None:
        needs = pickle.dumps(
            (_versions(extractors), str(store.resolve()), store_id(store), extractors)
        )
        self.client = client
        #: Of the plugin of Dask that examines workers, and of the resource of those that fit.
        self.name = f"featx-{hashlib.sha256(needs).hexdigest()[:16]}"
        self.on_gpu = any(extractor.device.startswith("cuda") for extractor in extractors)
        try:
            client.register_plugin(_examiner(needs, self.name), name=self.name)
            found: Mapping[str, Any] = {}
            while not found:
                if not client.scheduler_info(n_workers=-1)["workers"]:
                    note("the cluster has no worker yet: waiting for one")
                    # a task, for which an adaptive cluster starts one
                    client.submit(_nothing(), pure=False).result()
                found = client.run(_reporter(self.name), on_error="return")
        except OSError as error:  # of Dask, and time-outs
            raise ClusterError(
                f"the scheduler of the cluster was lost: {error} {_RERUN}"
            ) from error
        reports = {
            address: Fitness(*item) if isinstance(item, tuple) else Fitness(_error_text(item))
            for address, item in found.items()
        }
        self.unfit = {address: item.problem for address, item in reports.items() if item.problem}
        self.fit = [item for item in reports.values() if not item.problem]
        if not self.fit:
            self.close("")
            reasons = "; ".join(f"{address}: {text}" for address, text in self.unfit.items())
            raise ClusterError(
                f"cluster must have a worker that fits, got {len(reports)} that do not. {reasons}"
            )
        self.resources: Mapping[str, float] = self._resources()

    @property
    def threads(self) -> int:
        """Shards that the workers that fitted at the beginning run at once."""
        return sum(item.threads for item in self.fit)

    def settings(self, settings: RunSettings, memory: int | None) -> RunSettings:
        """Return settings with the cores and the memory that a shard has on every worker."""
        if memory is None:
            children = len({item.distribution for item in settings.extractors})
            memory = min(item.memory for item in self.fit)
            memory //= children if settings.isolate else 1
        self.resources = self._resources(memory)
        cores = min(item.cores for item in self.fit)
        provenance = {**settings.provenance, "threads": cores}
        return dataclasses.replace(settings, threads=cores, memory=memory, provenance=provenance)

    def _resources(self, memory: int = 0) -> dict[str, float]:
        """Return what a shard needs, as far as workers advertise it."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        advertised = {name for worker in workers for name in worker["resources"]}
        wanted = {"GPU": int(self.on_gpu), "MEMORY": memory}
        needed = {name: n for name, n in wanted.items() if n and name in advertised}
        return {self.name: 1, **needed}

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``function`` on a worker; its one argument and its result travel as bytes."""
        (task,) = args
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # workers end it, not `Future.cancel`
        remote = self.client.submit(
            _by_value(),
            pickle.dumps((function, task)),
            pure=False,
            resources=self.resources,
            **kwargs,
        )
        remote.add_done_callback(partial(_hand_over, future))
        return future

    def count(self) -> int:
        """Return how many workers fit at the moment; 0 while the scheduler cannot be asked."""
        with contextlib.suppress(OSError):
            if self.client.status == "running":
                workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
                return sum(self.name in worker["resources"] for worker in workers)
        return 0

    def call(self, function: Callable[..., None], *args: Any) -> None:
        """Call ``function`` on all workers as far as they can be reached, without waiting."""
        payload = pickle.dumps((function, args))
        with contextlib.suppress(OSError):  # workers notice the stop file, or end their shard
            if self.client.status == "running":
                self.client.run(_caller(), payload, wait=False, on_error="ignore")

    def close(self, token: str) -> None:
        """Let the workers forget the run."""
        from featx.engine.work.runner import close_runners

        if token:
            self.call(close_runners, token)
        with contextlib.suppress(OSError):  # a lost scheduler has forgotten it
            if self.client.status == "running":
                self.client.unregister_worker_plugin(self.name)


def connect(address: str) -> Any:
    """Return a client of the scheduler at ``address``.

    Raises
    ------
    ParameterError
        If the package for clusters is not installed.
    ClusterError
        If no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ParameterError(
            "a scheduler requires the package distributed, which is not installed. "
            f"Run: {install_extra('dask')}"
        ) from error
    _wait_for_port(address)
    try:
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"scheduler must answer at {address}, got {type(error).__name__}: {error}."
        ) from error


def _wait_for_port(address: str) -> None:
    """Wait until a connection to a TCP address is accepted.

    Dask itself takes twice its time-out where nothing listens. Raises `ClusterError`.
    """
    from distributed.comm import parse_address, parse_host_port

    try:
        scheme, place = parse_address(address)
        host, port = parse_host_port(place, 8786)
    except ValueError as error:
        raise ParameterError(f"scheduler must be like tcp://host:8786, got {address!r}.") from error
    deadline = time.monotonic() + _PORT_SECONDS
    while scheme in ("tcp", "tls"):
        try:
            socket.create_connection((host, port), _PORT_SECONDS).close()
        except OSError as error:
            if time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            raise ClusterError(
                f"scheduler must answer at {address}, got {error.strerror or error}. Start it "
                "there, or give its address as 'dask scheduler' writes it."
            ) from error
        return


def examine_worker(needs: bytes, threads: int, memory: int | None) -> Fitness:
    """Compare this worker with what a run needs; it runs on the worker.

    ``memory`` is the limit of the worker in bytes, None for that of the machine.
    """
    try:
        versions, store, identity, extractors = pickle.loads(needs)  # noqa: S301  (from the client)
        problem = _difference(versions, Path(store), identity, extractors)
    except FeatxError as error:
        problem = str(error)
    share = int(0.8 * (memory or physical_memory())) // threads
    return Fitness(problem, threads, max(1, available_cores() // threads), share)


def _difference(
    versions: Mapping[str, str],
    store: Path,
    identity: str,
    extractors: Sequence[PreparedExtractor],
) -> str:
    """Return what is different here; empty if everything is as the client has it."""
    here = _versions(extractors)
    for name, version in versions.items():
        if here[name] != version:
            return f"{name} must be {version}, as where the run was started, got {here[name]}"
    if store_id(store) != identity:
        return f"{store} is another store here"
    registry = load_registry()
    for extractor in extractors:
        if extractor.module is not None:  # its source travels with every task
            continue
        recipe = extractor.recipe
        (own,) = prepare_extractors(
            registry,
            [extractor.full_name],
            params=dataclasses.asdict(extractor.params),
            weights=extractor.weights or ("untrained" if recipe.weights else None),
            quality=recipe.resampler.rpartition(":")[2],
            downmix=recipe.downmix,
            level=recipe.level,
        )
        if own.recipe.id != recipe.id:
            return f"{extractor.full_name} differs: {recipe_changes(recipe, own.recipe)}"
    return ""


def _versions(extractors: Sequence[PreparedExtractor]) -> dict[str, str]:
    """Return the versions of featx and of the distributions of ``extractors``."""
    names = {item.distribution for item in extractors if item.module is None}
    versions = {"featx": __version__}
    for name in sorted(names):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "none"
    return versions


def _hand_over(future: Future[ShardSummary], remote: Any) -> None:
    """Give ``future`` what became of a task on the cluster."""
    try:
        if remote.status == "finished":
            future.set_result(pickle.loads(remote.result()))  # noqa: S301  (from our worker)
        elif remote.status == "error":
            future.set_exception(remote.exception())
        else:
            future.set_exception(ClusterError(f"the scheduler of the cluster was lost. {_RERUN}"))
    except Exception as error:
        future.set_exception(ClusterError(f"a result could not be fetched: {error}. {_RERUN}"))


def _error_text(error: Any) -> str:
    return f"{type(error).__name__}: {error}"


# Functions and classes that are made here travel by value: where they arrive, featx may be missing.


def _by_value() -> Callable[[bytes], bytes]:
    def run_pickled(payload: bytes) -> bytes:
        import pickle

        function, task = pickle.loads(payload)  # noqa: S301
        return pickle.dumps(function(task))

    return run_pickled


def _nothing() -> Callable[[], None]:
    def nothing() -> None:
        return None

    return nothing


def _caller() -> Callable[[bytes], Any]:
    async def call_pickled(payload: bytes) -> None:
        import asyncio
        import pickle

        function, args = pickle.loads(payload)  # noqa: S301
        await asyncio.to_thread(function, *args)

    return call_pickled


def _reporter(name: str) -> Callable[..., Any]:
    async def report(dask_worker: Any) -> tuple[Any, ...]:
        return tuple(await dask_worker.plugins[name].fitness)

    return report


def _examiner(needs: bytes, name: str) -> Any:
    """Return the plugin of Dask that examines every worker, also those that join later."""
    from distributed import Status, WorkerPlugin

    class Examiner(WorkerPlugin):  # type: ignore[misc]  # Any for mypy
        async def setup(self, worker: Any) -> None:
            import asyncio

            self.fitness = asyncio.ensure_future(self.examine(worker))

        async def examine(self, worker: Any) -> tuple[Any, ...]:
            import asyncio
            import logging

            threads, limit = worker.state.nthreads, worker.memory_manager.memory_limit
            try:
                from featx.engine.work.cluster import examine_worker

                fitness = tuple(await asyncio.to_thread(examine_worker, needs, threads, limit))
            except Exception as error:  # whatever is wrong there is reported
                fitness = (f"{type(error).__name__}: {error}",)
            if fitness[0]:
                logging.getLogger("distributed.worker").error("featx: %s", fitness[0])
            else:
                await worker.set_resources(**{name: threads})
                if worker.status is Status.running:
                    # the scheduler looks again at tasks that no worker could take when one resumes,
                    # but not when one gains a resource
                    worker.status = Status.paused
                    worker.status = Status.running
            return fitness

        async def teardown(self, worker: Any) -> None:
            if not (await self.fitness)[0]:
                await worker.set_resources(**{name: 0})

    return Examiner()
