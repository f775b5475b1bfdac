"""`featx.run` and the plan behind it: arguments in, a summary out."""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.audio import Limits
from featx.engine.planning.inputs import Inputs
from featx.engine.planning.plan import Plan
from featx.engine.planning.preparing import (
    ParamsChoice,
    WeightsChoice,
    prepare_extractors,
    untrained_message,
)
from featx.engine.reporting import Reporter, RunSummary
from featx.engine.tasks import PreparedExtractor, RunSettings
from featx.engine.work.dispatch import Execution
from featx.errors import ParameterError
from featx.guarded.limits import available_cores, physical_memory
from featx.registry import load_registry
from featx.store import lock_store
from featx.weights import unfinished

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["UntrainedWarning", "plan", "run"]

#: Seconds that opening all extractors may take at least.
_OPEN_SECONDS = 600.0
_MEMORY_SHARE = 0.8
_LEAST_MEMORY = 2**30


class UntrainedWarning(UserWarning):
    """An extractor runs with random weights, because none are installed."""


def plan(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    store: str | os.PathLike[str],
    *,
    extractors: str | Sequence[str],
    params: ParamsChoice | None = None,
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
    jobs = prepare_extractors(
        load_registry(disabled=disabled),
        [extractors] if isinstance(extractors, str) else extractors,
        params=params,
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
    extractors: str | Sequence[str],
    params: ParamsChoice | None = None,
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
    extractors : str or sequence of str
        By short or full name.
    params : mapping, optional
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
        Before any file is decoded; also if a file has the id of another one that the store knows
        and that is still there.
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
        extractors=extractors,
        params=params,
        features=features,
        device=device,
        weights=weights,
        failed=failed,
        rehash=rehash,
        quality=quality,
        disabled=disabled,
        stdin=stdin,
    )
    with planned.inputs:
        token = uuid.uuid4().hex
        share = int(_MEMORY_SHARE * physical_memory()) // workers
        threads = max(1, cores // workers)
        setup = RunSettings(
            token=token,
            store=os.path.abspath(store),  # noqa: PTH100  (workers may live elsewhere)
            extractors=planned.extractors,
            limits=limits or Limits(),
            quality=quality,
            threads=threads,
            timeout=timeout,
            open_timeout=max(timeout, _OPEN_SECONDS),
            memory=max(share, _LEAST_MEMORY) if memory is None else memory,
            provenance=_provenance(planned.extractors, threads),
            stop_file=str(Path(tempfile.gettempdir()) / f"featx-stop-{token}"),
        )
        _tell_untrained(planned.extractors, progress)
        found = planned.survey()
        total = found.files
        if total == 0:
            raise ParameterError(
                f"inputs must hold at least one audio file, got none in "
                f"{', '.join(planned.inputs.given)}."
            )
        with lock_store(store):
            execution = Execution(planned, setup, workers, total, executor, progress)
            execution.tell([*_unfinished_notes(planned.extractors), *found.notes()])
            return execution.execute()


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


def _tell_untrained(jobs: Iterable[PreparedExtractor], progress: Reporter | None) -> None:
    for job in jobs:
        if text := untrained_message(job):
            if progress is None:
                warnings.warn(text, UntrainedWarning, stacklevel=3)
            else:
                progress.note(text)


def _unfinished_notes(jobs: Iterable[PreparedExtractor]) -> list[str]:
    """Say whose weights come from a training that was cut."""
    cut = [(job, unfinished(job.weights)) for job in jobs if job.weights]
    return [
        f"{job.name}: the training of {found.weights} is unfinished, after {found.steps} steps; "
        "the same 'featx train' goes on with it."
        for job, found in cut
        if found is not None
    ]


def _provenance(jobs: Iterable[PreparedExtractor], threads: int) -> Mapping[str, Any]:
    """Return the versions of everything that takes part, for the attributes of shards."""
    import importlib.metadata

    import soundfile

    from featx._version import __version__

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
