"""From a plugin's name and a manifest to weights on disk."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from featx._version import __version__
from featx.errors import ParameterError, PluginError, listed
from featx.guarded.limits import available_cores
from featx.interfaces import ExtractorSpec, MethodSpec
from featx.params import parse_params
from featx.progress import LineMeter
from featx.registry import Registered, Registry, import_object, load_registry
from featx.store.layout import is_store_folder
from featx.training.crops import AudioCrops, CropReader, StoreCrops
from featx.training.loader import MODEL, Loader, stream
from featx.training.logs import write_failures
from featx.training.memory import pages_kept
from featx.training.method import Method
from featx.training.options import FREE, TrainingParams, find_method, split_settings
from featx.training.progress import MeterProgress, TrainingReporter
from featx.training.songs import SongSplit, read_songs
from featx.training.trainer import Trainer, TrainingSummary
from featx.weights import Provenance, file_sha256, save_weights
from featx.weights.cards import CARD_NAME

if TYPE_CHECKING:
    from featx.types import AnyArray

__all__ = ["train"]


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a training is made of, before anything is read."""

    extractor: Registered[ExtractorSpec]
    spec: MethodSpec
    method: Method
    params: Any
    options: TrainingParams


def train(
    manifest: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    plugin: str,
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    store: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | None = None,
    max_minutes: float | None = None,
    progress: TrainingReporter | None = None,
    stop: threading.Event | None = None,
    disabled: Iterable[str] = (),
) -> TrainingSummary:
    """Train the weights of an extractor; goes on where an earlier call with ``out`` was cut.

    Parameters
    ----------
    manifest : path
        CSV or Parquet with ``path`` and the labels that the method needs.
    out : path
        Folder of the checkpoint: ``<weights>.safetensors`` for ``featx run --weights``, its
        ``card.json``, the state to go on from, logs, and the files that could not be read.
    plugin : str
        Extractor, short or full name.
    method : str, optional
        One of its methods; the first by default.
    settings : mapping, optional
        Parameters of the method and of `TrainingParams`; strings are parsed.
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
        After so long a checkpoint is written and the call returns; the next goes on.
    progress : TrainingReporter, optional
        Gets told how it goes; by default lines on stderr.
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
        If it diverges, or its state is damaged.
    """
    for name, value in (("threads", threads), ("workers", workers)):
        if value is not None and value < 1:
            raise ParameterError(f"{name} must be an integer > 0, got {value}.")
    if max_minutes is not None and not max_minutes > 0:
        raise ParameterError(f"max_minutes must be > 0, got {max_minutes}.")
    began = time.monotonic()
    planned = _plan(load_registry(disabled=disabled), plugin, method, settings or {})
    _check_device(device, planned.extractor.spec)
    threads = threads or available_cores()
    reporter = progress or MeterProgress(LineMeter("steps", last=True))
    folder = Path(out)
    if is_store_folder(folder):
        raise ParameterError(
            f"out must be a folder for checkpoints, got {folder}, which is a store of features."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _reader(planned.method, store) as reader, _torch(threads, device):
        songs = read_songs(
            manifest,
            length_of=reader.length,
            needs=planned.method.needs,
            options=planned.options,
        )
        for note in songs.notes:
            reporter.note(note)
        trainer = _trainer(planned, songs, reader, folder, device, workers or threads, reporter)
        trainer.run(max_seconds=None if max_minutes is None else 60.0 * max_minutes, stop=stop)
        failures = tuple(
            {item.track_id: item for item in (*songs.failures, *trainer.failures)}.values()
        )
        write_failures(folder, failures)
        summary = TrainingSummary(
            out=str(folder),
            steps=trainer.step,
            epochs=trainer.epoch,
            finished=trainer.reason in {"limit", "schedule"},
            reason=trainer.reason,
            metrics=trainer.metrics,
            best_step=trainer.schedule.best_step,
            examples=(trainer.step - trainer.first) * planned.options.batch_size,
            failures=failures,
        )
        _export(planned, trainer, songs, manifest, summary)
        summary.seconds = time.monotonic() - began
        _write_card(folder, planned, songs, summary, device=device, threads=threads)
    return summary


# ------------------------------------------------------------------------------ preparing
def _plan(
    registry: Registry, plugin: str, method: str | None, settings: Mapping[str, Any]
) -> _Plan:
    item = registry.extractor(plugin)
    spec = find_method(registry, item.spec, method)
    own, shared = split_settings(spec, settings)
    params: Any = parse_params(spec.params, own)
    made = import_object(spec.factory)(params)
    if not isinstance(made, Method):
        raise PluginError(
            f"{spec.factory} must be a featx.training.Method, got {type(made).__name__}."
        )
    return _Plan(
        extractor=item,
        spec=spec,
        method=made,
        params=params,
        options=parse_params(TrainingParams, shared),
    )


def _check_device(device: str, spec: ExtractorSpec) -> None:
    kind = device.partition(":")[0]
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if kind not in there:
        raise ParameterError(f"device must be one of {listed(there)}, got {device!r}.")
    if not there[kind]:
        raise ParameterError(f"device must be available to torch, got {device!r}.")
    if kind not in spec.devices:
        raise ParameterError(
            f"device of {spec.name!r} must be one of {listed(spec.devices)}, got {device!r}."
        )


@contextlib.contextmanager
def _reader(method: Method, store: str | os.PathLike[str] | None) -> Iterator[CropReader]:
    spec = method.crops()
    reader = AudioCrops(spec) if store is None else StoreCrops(store, spec)
    try:
        yield reader
    finally:
        reader.close()


@contextlib.contextmanager
def _torch(threads: int, device: str) -> Iterator[None]:
    """Set threads and determinism, and give torch's random state back afterwards."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    # kernels of accelerators without a deterministic form would raise; the promise is the CPU's
    torch.use_deterministic_algorithms(device == "cpu")
    cuda = [torch.device(device).index or 0] if device.startswith("cuda") else []
    try:
        with torch.random.fork_rng(devices=cuda), pages_kept():
            yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict)


def _trainer(
    planned: _Plan,
    songs: SongSplit,
    reader: CropReader,
    folder: Path,
    device: str,
    workers: int,
    reporter: TrainingReporter,
) -> Trainer:
    method, options = planned.method, planned.options
    samplers = method.samplers(songs.train, songs.valid)
    if samplers[1] is None and songs.valid:
        reporter.note(
            f"{len(songs.valid)} songs are held out, but method {planned.spec.name!r} cannot "
            f"validate by them: {method.validates_by}."
        )
    loaders = [
        None
        if sampler is None
        else Loader(
            sampler,
            reader,
            batch_size=options.batch_size,
            seed=options.seed,
            workers=workers,
            augment=method.augment,
        )
        for sampler in samplers
    ]
    assert loaders[0] is not None
    drawn = int(stream(options.seed, MODEL).integers(2**62))
    torch.manual_seed(drawn)  # for parts that draw without a generator, such as losses
    model = method.build(torch.Generator().manual_seed(drawn))
    return Trainer(
        method,
        model,
        loaders[0],
        loaders[1],
        options=options,
        out=folder,
        identity=_identity(planned, songs),
        device=device,
        reporter=reporter,
    )


def _identity(planned: _Plan, songs: SongSplit) -> dict[str, Any]:
    """Return what decides the numbers: a state that differs in it is another training."""
    options = dataclasses.asdict(planned.options)
    return {
        "extractor": planned.extractor.full_name,
        "version": planned.extractor.spec.version,
        "method": planned.spec.name,
        "params": dataclasses.asdict(planned.params),
        "options": {name: value for name, value in options.items() if name not in FREE},
        "crops": planned.method.crops().to_json(),
        "train": songs.train.digest(),
        "valid": songs.valid.digest(),
    }


# ------------------------------------------------------------------------------ results
def _export(
    planned: _Plan,
    trainer: Trainer,
    songs: SongSplit,
    manifest: str | os.PathLike[str],
    summary: TrainingSummary,
) -> None:
    """Write the weights; equal trainings give equal bytes, so no times and no machine enter."""
    weights = planned.extractor.spec.weights
    assert weights is not None
    tensors, config = trainer.export()
    dtype = np.dtype(planned.options.export_dtype)
    told = {
        "method": f"{planned.extractor.full_name}/{planned.spec.name}",
        "steps": summary.steps,
        "best_step": summary.best_step,
        "metrics": summary.metrics,
        "seed": planned.options.seed,
        "train": songs.train.digest(),
    }
    path = Path(summary.out) / f"{weights.name}.safetensors"
    summary.sha256 = save_weights(
        path,
        {name: _shortened(array, dtype) for name, array in tensors.items()},
        {**config, "training": told},
        provenance=Provenance(
            source=Path(manifest).name,
            source_sha256=file_sha256(os.fspath(manifest)),
            converter=planned.spec.factory,
        ),
    )
    summary.weights = str(path)


def _shortened(array: AnyArray, dtype: Any) -> AnyArray:
    """Return floats as ``dtype`` unless a value would overflow it; others as they are."""
    if array.dtype.kind != "f" or np.abs(array).max(initial=0) > np.finfo(dtype).max:
        return array
    return array.astype(dtype)


def _write_card(
    folder: Path,
    planned: _Plan,
    songs: SongSplit,
    summary: TrainingSummary,
    *,
    device: str,
    threads: int,
) -> None:
    """Write what a reader of the weights must know, as JSON."""
    counts = {name: len(songs.train.groups(name)) for name in ("artist", "album")}
    card = {
        "extractor": planned.extractor.full_name,
        "extractor_version": planned.extractor.spec.version,
        "method": planned.spec.name,
        "summary": planned.spec.summary,
        "params": dataclasses.asdict(planned.params),
        "options": dataclasses.asdict(planned.options),
        "crops": planned.method.crops().to_json(),
        "data": {
            "train_songs": len(songs.train),
            "valid_songs": len(songs.valid),
            "labels": {**counts, "tags": len(songs.train.vocabulary())},
            "unreadable": len(summary.failures),
            "notes": list(songs.notes),
        },
        "results": {
            key: value
            for key, value in summary.to_json().items()
            if key not in {"out", "weights", "failures", "examples"}
        }
        | {"weights": Path(summary.weights).name},
        "machine": {"device": device, "threads": threads, "platform": platform.platform()},
        "versions": {
            "featx": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        **planned.method.card(),
    }
    path = folder / CARD_NAME
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
