"""`featx.run` and `featx.plan`: what a call means, and what all workers need to know."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from featx.audio import Limits
from featx.engine.planning.inputs import Conditions, Inputs
from featx.engine.planning.plan import Plan
from featx.engine.planning.preparing import prepare_extractors, untrained_message
from featx.engine.planning.selecting import (
    ExtractorChoice,
    ParamsChoice,
    UntrainedWarning,
    WeightsChoice,
)
from featx.engine.reporting import Reporter, RunSummary
from featx.engine.tasks import PreparedExtractor, RunSettings
from featx.engine.work.cluster import Cluster
from featx.engine.work.dispatch import Dispatcher
from featx.errors import ParameterError
from featx.guarded.limits import available_cores, physical_memory
from featx.registry import load_registry
from featx.store import lock_store
from featx.store.paths import TEMPORARY
from featx.weights import unfinished

if TYPE_CHECKING:
    from typing import BinaryIO

#: Seconds that opening all extractors may take at least.
_OPEN_SECONDS = 600.0
_MEMORY_SHARE = 0.8
_LEAST_MEMORY = 2**30
#: Paths held for each file of a sample, to spread it over a number that is not known.
_HELD = 64
#: Shards that a thread of a cluster has in work or waiting.
_SHARDS_PER_THREAD = 2


_NEW_IDS = "With --new-ids (new_ids=True) they get second ids, and their results are taken over."


class OtherIdsError(ParameterError):
    """Files would get new ids, most likely because another root folder was given."""


def plan(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    store: str | os.PathLike[str],
    *,
    extractors: ExtractorChoice | Sequence[ExtractorChoice],
    params: ParamsChoice | None = None,
    features: Iterable[str] | None = None,
    device: str = "cpu",
    weights: WeightsChoice = None,
    failed: bool = False,
    rehash: bool = False,
    quality: str = "HQ",
    downmix: str = "mean",
    level: float | None = None,
    disabled: Iterable[str] = (),
    stdin: BinaryIO | None = None,
    null: bool = False,
    exclude: Iterable[str] = (),
    where: Conditions = (),
    part: tuple[int, int] | None = None,
) -> Plan:
    """Return what `run` with the same arguments would do; it is computed while it is walked.

    Nothing is written, and the store need not exist. Arguments and errors are those of `run`.
    """
    if re.match(r"[a-z][a-z0-9+.-]+:/", os.fspath(store)):
        raise ParameterError(
            f"store must be a folder of a file system, got {store}. Copy it there afterwards."
        )
    prepared = prepare_extractors(
        load_registry(disabled=disabled),
        [extractors] if isinstance(extractors, (str, type)) else extractors,
        params=params,
        features=features,
        weights=weights,
        device=device,
        quality=quality,
        downmix=downmix,
        level=level,
    )
    found = Inputs(
        _listed(inputs),
        stdin=stdin,
        null=null,
        exclude=exclude,
        where=where,
        store=store,
        part=part,
    )
    return Plan(found, store, prepared, failed=failed, rehash=rehash)


def run(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    store: str | os.PathLike[str],
    *,
    extractors: ExtractorChoice | Sequence[ExtractorChoice],
    params: ParamsChoice | None = None,
    features: Iterable[str] | None = None,
    jobs: int | None = None,
    device: str = "cpu",
    weights: WeightsChoice = None,
    failed: bool = False,
    rehash: bool = False,
    executor: Executor | None = None,
    cluster: Any = None,
    limits: Limits | None = None,
    quality: str = "HQ",
    downmix: str = "mean",
    level: float | None = None,
    timeout: float = 1800.0,
    memory: int | None = None,
    disabled: Iterable[str] = (),
    progress: Reporter | None = None,
    stdin: BinaryIO | None = None,
    null: bool = False,
    exclude: Iterable[str] = (),
    where: Conditions = (),
    part: tuple[int, int] | None = None,
    new_ids: bool = False,
    isolate: bool = False,
) -> RunSummary:
    """Extract features from audio files into a store, except those that it has already.

    Parameters
    ----------
    inputs : path or iterable of paths
        Files, folders, globs, manifests (CSV or Parquet), URLs, ``-`` for a list on stdin.
    store : path
        Store folder, created if need be.
    extractors : str, type, or sequence of these
        Short or full names, and `Extractor` classes that no package installs.
    params : mapping, optional
        Parameters: ``{"mfcc": {"n_mfcc": 20}}`` or ``{"mfcc.n_mfcc": 20}``; without a name where
        there is one extractor.
    features : iterable of str, optional
        Outputs to store, as ``extractor.feature``. By default clip features and events, and
        frames of extractors that have nothing else.
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
    cluster : distributed.Client, optional
        Runs the shards on the workers of its Dask cluster that have the same versions, weights and
        store. ``jobs``, ``memory`` and the number of cores then follow from these workers.
    limits : Limits, optional
        What one file may cost.
    quality : str
        Of resampling, one of `featx.audio.QUALITIES`.
    downmix : str
        Of several channels, one of `featx.audio.DOWNMIXES`; see `featx.to_mono`.
    level : float, optional
        RMS in dBFS that every waveform is scaled to, such as -20; by default none is scaled.
    timeout : float > 0
        Seconds that decoding a track may take, and each extractor on it.
    memory : int >= 0, optional
        Bytes that one child process may hold; 0 for no limit. By default its share of 80 % of the
        machine.
    disabled : iterable of str
        Plugins that are not loaded.
    progress : Reporter, optional
        Shows how far the run is.
    stdin : binary stream, optional
        Read for ``-`` instead of the process's own.
    null : bool
        NUL bytes end the names on stdin, not line breaks.
    exclude : iterable of str
        Patterns of files and folders to ignore, see `featx.engine.Inputs`.
    where : mapping or pairs of column and value
        Only tracks to which a manifest, or what the store knows of them, gives these values, such
        as ``{"artist": "Bach"}``; in ``tags`` it is one of the values between semicolons.
    part : tuple of int, optional
        ``(3, 100)`` takes the tracks of the third of a hundred parts. Runs over different parts
        need not know of each other and may write into one store at once.
    new_ids : bool
        Give files a second id that the store has under another one, as it happens where another
        folder is given than before. Their results are taken over by content.
    isolate : bool
        Run the extractors of each distribution in a child process of their own, which decodes the
        files again.

    Returns
    -------
    RunSummary
        Failures of single tracks do not raise; they are counted here and recorded in the store.

    Raises
    ------
    ParameterError, PluginError, WeightsError
        Before any file is decoded; also if a file has the id of another one that the store knows
        and that is still there.
    OtherIdsError
        Before any file is decoded, if the store has some under other ids, without ``new_ids``.
    ClusterError
        If no worker of the cluster fits, or its scheduler is lost; the same call resumes.
    StoreError
        If another run works on the store, or on this part, or it cannot be written.
    KeyboardInterrupt
        After what was finished has been committed; the same call resumes there.
    """
    workers = worker_count(jobs, device)
    if executor is not None and cluster is not None:
        raise ParameterError("executor and cluster cannot both be given: leave out one.")
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
        downmix=downmix,
        level=level,
        disabled=disabled,
        stdin=stdin,
        null=null,
        exclude=exclude,
        where=where,
        part=part,
    )
    with planned.inputs:
        settings = _run_settings(
            planned,
            workers,
            limits=limits or Limits(),
            quality=quality,
            downmix=downmix,
            level=level,
            timeout=timeout,
            memory=memory,
            isolate=isolate,
        )
        _report_untrained(planned.extractors, progress)
        survey = planned.survey()
        if survey.files == 0 and not survey.left_out.get("in other parts"):
            raise ParameterError(
                f"inputs must hold at least one audio file, got none in "
                f"{', '.join(planned.inputs.names)}."
            )
        if survey.elsewhere and not new_ids:
            raise OtherIdsError(f"{survey.elsewhere_note} {_NEW_IDS}")
        with lock_store(store, part=planned.inputs.part):
            unfit: list[str] = []
            if cluster is not None:
                note = () if progress is None else (progress.note,)
                executor = pool = Cluster(cluster, planned.store, planned.extractors, *note)
                workers = jobs or _SHARDS_PER_THREAD * pool.threads
                settings = pool.settings(settings, memory)
                unfit = [f"{name} is left out: {text}" for name, text in pool.unfit.items()]
            dispatcher = Dispatcher(planned, settings, workers, survey.files, executor, progress)
            dispatcher.summary.left_out = survey.left_out
            dispatcher.note(
                [
                    *_unfinished_notes(planned.extractors),
                    *planned.notes(),
                    *survey.notes(),
                    *unfit,
                ]
            )
            return dispatcher.run()


def _spread(paths: Iterable[str], number: int) -> list[str]:
    """Return so many paths, spread evenly; servers of remote files are asked in every walk."""
    held: list[str] = []
    stride = 1
    for place, path in enumerate(paths):
        if place % stride == 0:
            held.append(path)
        if len(held) == _HELD * number:
            held, stride = held[::2], 2 * stride
    return [held[place] for place in sorted({n * len(held) // number for n in range(number)})]


def measure(
    planned: Plan,
    folder: str | os.PathLike[str],
    *,
    tracks: int,
    jobs: int | None,
    **arguments: Any,
) -> None:
    """Extract some of the tracks that a plan has to do into another store, whose ledger has rates.

    Parameters
    ----------
    planned : Plan
        What is to be done.
    folder : path
        The other store.
    tracks : int > 1
        Number of files, spread evenly over those to do.
    jobs : int or None
        Workers of the run that is planned; at most one for two tracks is used here.
    **arguments
        Those of `run` that the plan was made with; inputs are replaced.
    """
    if tracks < 2:
        raise ParameterError(f"a sample must have at least 2 files, got {tracks}.")
    paths = _spread((track.source.path for track in planned if track.to_do()), tracks)
    if paths:
        workers = min(worker_count(jobs, arguments["device"]), max(1, len(paths) // 2))
        others = {
            "inputs": paths,
            "store": folder,
            "null": False,
            "exclude": (),
            "where": (),
            "part": None,
            "failed": False,
        }
        run(**{**arguments, **others}, jobs=workers)


def _run_settings(
    planned: Plan,
    workers: int,
    *,
    limits: Limits,
    quality: str,
    downmix: str,
    level: float | None,
    timeout: float,
    memory: int | None,
    isolate: bool,
) -> RunSettings:
    """Return the settings of all workers, with each worker's share of cores and memory."""
    token = uuid.uuid4().hex
    threads = max(1, available_cores() // workers)
    if memory is None:
        parts = len({item.distribution for item in planned.extractors}) if isolate else 1
        memory = max(int(_MEMORY_SHARE * physical_memory()) // (workers * parts), _LEAST_MEMORY)
    return RunSettings(
        token=token,
        store=os.path.abspath(planned.store),  # noqa: PTH100  (workers may live elsewhere)
        extractors=planned.extractors,
        limits=limits,
        quality=quality,
        downmix=downmix,
        level=level,
        threads=threads,
        timeout=timeout,
        open_timeout=max(timeout, _OPEN_SECONDS),
        memory=memory,
        isolate=isolate,
        provenance=_provenance(planned.extractors, threads),
        stop_file=os.path.abspath(planned.store / f"{TEMPORARY}stop-{token}"),  # noqa: PTH100
    )


def _listed(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
) -> list[str | os.PathLike[str]]:
    return [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)


def worker_count(jobs: int | None, device: str) -> int:
    """Return how many workers a run has; ``jobs`` below 1 raise `ParameterError`."""
    if jobs is None:
        return available_cores() if device == "cpu" else 1
    if jobs < 1:
        raise ParameterError(f"jobs must be an integer > 0, got {jobs}.")
    return jobs


def _report_untrained(extractors: Iterable[PreparedExtractor], progress: Reporter | None) -> None:
    for message in filter(None, map(untrained_message, extractors)):
        if progress is None:
            warnings.warn(message, UntrainedWarning, stacklevel=3)
        else:
            progress.note(message)


def _unfinished_notes(extractors: Iterable[PreparedExtractor]) -> list[str]:
    """Say which weights come from an interrupted training."""
    notes = []
    for extractor in extractors:
        training = unfinished(extractor.weights) if extractor.weights else None
        if training is not None:
            notes.append(
                f"{extractor.name}: the training of {training.weights} is unfinished, after "
                f"{training.steps} steps; the same 'featx train' resumes it."
            )
    return notes


def _provenance(extractors: Sequence[PreparedExtractor], threads: int) -> Mapping[str, Any]:
    """Return the versions of everything that takes part, for the attributes of shards."""
    import importlib.metadata

    import soundfile

    from featx._version import __version__

    packages = ["numpy", "numba", "soxr", "soundfile", "h5py"]
    packages += sorted({extractor.distribution for extractor in extractors})
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
        "devices": {extractor.name: extractor.device for extractor in extractors},
        "packages": versions,
        "licences": {extractor.full_name: _licences(extractor) for extractor in extractors},
    }


def _licences(extractor: PreparedExtractor) -> Mapping[str, str]:
    """Return the licences of an extractor and, where it has trained ones, of its weights."""
    weights = extractor.spec.weights if extractor.weights else None
    return {"extractor": extractor.spec.licence, "weights": weights.licence if weights else ""}
