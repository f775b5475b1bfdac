"""From a manifest and the name of an extractor to weights on disk."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from featx.errors import FeatxError, ParameterError, TrainingError, listed
from featx.guarded.limits import available_cores
from featx.progress import choose_meter
from featx.registry import load_registry
from featx.store.paths import is_store_folder
from featx.training.crops import AudioCrops, CropReader, StoreCrops
from featx.training.fitting import Fitter
from featx.training.learner import Learner, TrainingRun
from featx.training.logs import write_failures
from featx.training.planning import TrainingPlan, plan_training
from featx.training.progress import MeterProgress, TrainingReporter
from featx.training.results import TrainingSummary, export_weights, write_card
from featx.training.songs import SongSplit, read_songs


def train(
    manifest: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    extractor: str,
    method: str | None = None,
    params: Mapping[str, Any] | None = None,
    store: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | None = None,
    max_minutes: float | None = None,
    progress: TrainingReporter | None = None,
    stop: threading.Event | None = None,
    disabled: Iterable[str] = (),
) -> TrainingSummary:
    """Train the weights of an extractor; resumes where an earlier call with ``out`` was cut.

    Parameters
    ----------
    manifest : path
        CSV or Parquet with ``path`` and the labels that the method needs.
    out : path
        Folder of the checkpoint: ``<weights>.safetensors`` for ``featx run --weights``, its
        ``card.json``, the state to resume from, logs, and the files that could not be read.
    extractor : str
        Short or full name.
    method : str, optional
        One of its methods; the first by default.
    params : mapping, optional
        Parameters of the method and of `GradientParams`; strings are parsed.
    store : path, optional
        Store that holds the front end of the method, instead of the audio files.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    threads : int > 0, optional
        Threads of torch; one per core by default. Sums of floats depend on their number: equal
        numbers give equal weights on a CPU.
    workers : int > 0, optional
        Threads that read crops; as many as ``threads`` by default. Weights do not depend on them.
    max_minutes : float > 0, optional
        After so long a checkpoint is written and the call returns; the next resumes.
    progress : TrainingReporter, optional
        Shows how far it is; by default a bar on stderr where that is a terminal, lines elsewhere.
    stop : threading.Event, optional
        Ends the training after the present step when set.
    disabled : iterable of str
        Plugins that are not loaded.

    Returns
    -------
    TrainingSummary

    Raises
    ------
    ParameterError, PluginError
        For a wrong manifest, name or setting, or if ``out`` holds another training.
    TrainingError
        If it diverges, its state is damaged, or the code of the method raises an exception.
    """
    for name, value in (("threads", threads), ("workers", workers)):
        if value is not None and value < 1:
            raise ParameterError(f"{name} must be an integer > 0, got {value}.")
    if max_minutes is not None and not max_minutes > 0:
        raise ParameterError(f"max_minutes must be > 0, got {max_minutes}.")
    began = time.monotonic()
    plan = plan_training(load_registry(disabled=disabled), extractor, method, params or {})
    _check_device(device, plan)
    threads = threads or available_cores()
    reporter = progress or MeterProgress(choose_meter("steps", last=True))
    folder = Path(out)
    if is_store_folder(folder):
        raise ParameterError(
            f"out must be a folder for checkpoints, got {folder}, which is a store of features."
        )
    with (
        _made(folder),
        _own_code(plan),
        _reader(plan, store) as reader,
        _settings(plan, threads, device),
    ):
        songs = read_songs(
            manifest, length_of=reader.length, needs=plan.method.needs, options=plan.options
        )
        for note in songs.notes:
            reporter.note(note)
        run = TrainingRun(
            out=folder,
            identity=plan.identity(songs),
            device=device,
            workers=workers or threads,
            reporter=reporter,
        )
        learner = _learner(plan, songs, reader, run)
        with _own_code(plan, learner):
            learner.run(max_seconds=None if max_minutes is None else 60.0 * max_minutes, stop=stop)
        failures = tuple(
            {item.track_id: item for item in (*songs.failures, *learner.failures)}.values()
        )
        write_failures(folder, failures)
        summary = TrainingSummary(
            out=str(folder),
            steps=learner.step,
            epochs=learner.epoch,
            finished=learner.reason in {"limit", "schedule", "done"},
            reason=learner.reason,
            metrics=learner.metrics,
            best_step=learner.best_step,
            examples=learner.examples,
            failures=failures,
        )
        if learner.step:
            export_weights(plan, learner.export(), songs, manifest, summary)
        summary.seconds = time.monotonic() - began
        if learner.step:
            write_card(folder, plan, songs, summary, device=device, threads=threads)
    return summary


def _check_device(device: str, plan: TrainingPlan) -> None:
    spec = plan.extractor.spec
    if plan.spec.kind == "gradient":
        from featx.training.gradients import check_device

        check_device(device)
    elif device != "cpu":
        raise ParameterError(f"device must be 'cpu' for method {plan.spec.name!r}, got {device!r}.")
    if device.partition(":")[0] not in spec.devices:
        raise ParameterError(
            f"device of {spec.name!r} must be one of {listed(spec.devices)}, got {device!r}."
        )


@contextlib.contextmanager
def _own_code(plan: TrainingPlan, learner: Learner | None = None) -> Iterator[None]:
    """Report what the code of the method raises as a failure of this training, in one line."""
    try:
        yield
    except FeatxError:
        raise
    except Exception as error:
        package = type(plan.method).__module__.partition(".")[0]
        lines = [
            f"{Path(frame.f_code.co_filename).name}, line {number}"
            for frame, number in traceback.walk_tb(error.__traceback__)
            if str(frame.f_globals.get("__name__")).partition(".")[0] == package
        ]
        if not lines:  # not the method's code
            raise
        step = ""
        if learner is not None:
            ended = bool(learner.reason)
            step = f" after step {learner.step}" if ended else f" in step {learner.step + 1}"
        raise TrainingError(
            f"method {plan.spec.name!r} of {plan.extractor.spec.name} failed{step}: "
            f"{type(error).__name__}: {error} ({lines[-1]}); --debug shows the traceback"
        ) from error


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder, and take back what was made and is empty at the end."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for place in made:
            if any(place.iterdir()):
                break
            place.rmdir()


@contextlib.contextmanager
def _reader(plan: TrainingPlan, store: str | os.PathLike[str] | None) -> Iterator[CropReader]:
    spec, augment = plan.method.crops(), plan.options
    reader: CropReader
    reader = AudioCrops(spec, augment) if store is None else StoreCrops(store, spec, augment)
    try:
        yield reader
    finally:
        reader.close()


def _settings(
    plan: TrainingPlan, threads: int, device: str
) -> contextlib.AbstractContextManager[None]:
    if plan.spec.kind == "fit":
        return contextlib.nullcontext()
    from featx.training.gradients import torch_settings

    return torch_settings(threads, device)


def _learner(plan: TrainingPlan, songs: SongSplit, reader: CropReader, run: TrainingRun) -> Learner:
    method, options = cast("Any", plan.method), cast("Any", plan.options)
    if plan.spec.kind == "fit":
        return Fitter(method, songs, reader, options=options, run=run)
    from featx.training.gradients import make_trainer

    return make_trainer(method, songs, reader, options=options, run=run)
