"""What comes out of a training: weights, a card, a summary."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import numpy as np

from featx._version import __version__
from featx.training.planning import TrainingPlan
from featx.training.songs import Failure, SongSplit
from featx.types import AnyArray
from featx.weights import Provenance, file_sha256, save_weights
from featx.weights.cards import CARD_NAME
from featx.weights.files import replacing


@dataclass(kw_only=True)
class TrainingSummary:
    """What came of a training.

    Parameters
    ----------
    out : str
        Its folder.
    weights : str
        The file that ``featx run --weights`` reads; empty where a fit was cut before its first
        step.
    sha256 : str
        Of that file.
    steps : int
        Steps in all, earlier runs included.
    epochs : float
        Passes over the training examples.
    finished : bool
        False if it was cut by time or by hand and can be resumed.
    reason : str
        Why it ended: ``limit``, ``schedule``, ``done`` (a fit), ``time``, ``interrupted``.
    metrics : dict of str to float
        Of the best validation, empty without one; of a fit those of its last step, and of its
        validation as ``valid_<name>``.
    best_step : int
        The steps that the weights have seen; -1 without validation.
    examples, seconds : float
        Of this run; vectors of a fit.
    failures : tuple of Failure
        Files that could not be read.
    """

    out: str
    weights: str = ""
    sha256: str = ""
    steps: int = 0
    epochs: float = 0.0
    finished: bool = False
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    best_step: int = -1
    examples: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "failures": [vars(item) for item in self.failures]}


def export_weights(
    plan: TrainingPlan,
    exported: tuple[Mapping[str, AnyArray], Mapping[str, Any]],
    songs: SongSplit,
    manifest: str | os.PathLike[str],
    summary: TrainingSummary,
) -> None:
    """Write the weights; equal trainings give equal bytes, so no times and no machine enter."""
    weights = plan.extractor.spec.weights
    assert weights is not None
    tensors, config = exported
    dtype = np.dtype(plan.options.export_dtype)
    learned = {
        "method": plan.name,
        "steps": summary.steps,
        "best_step": summary.best_step,
        "metrics": summary.metrics,
        "seed": plan.options.seed,
        "train": songs.train.digest(),
    }
    path = Path(summary.out) / f"{weights.name}.safetensors"
    summary.sha256 = save_weights(
        path,
        {name: _shortened(array, dtype) for name, array in tensors.items()},
        {**config, "training": learned},
        provenance=Provenance(
            source=Path(manifest).name,
            source_sha256=file_sha256(os.fspath(manifest)),
            converter=plan.spec.factory,
        ),
    )
    summary.weights = str(path)


def _plugin_versions(distribution: str) -> dict[str, str]:
    """Return the versions of a plugin's distribution and of what it requires, where installed."""
    versions: dict[str, str] = {}
    with contextlib.suppress(PackageNotFoundError):
        names = [re.split(r"[^\w.-]", item)[0] for item in requires(distribution) or ()]
        for name in [distribution, *names]:
            with contextlib.suppress(PackageNotFoundError):
                versions[name] = version(name)
    return versions


def _shortened(array: AnyArray, dtype: Any) -> AnyArray:
    """Return floats as ``dtype`` unless a value would overflow it; others as they are."""
    if array.dtype.kind != "f" or np.abs(array).max(initial=0) > np.finfo(dtype).max:
        return array
    return array.astype(dtype)


def write_card(
    folder: Path,
    plan: TrainingPlan,
    songs: SongSplit,
    summary: TrainingSummary,
    *,
    device: str,
    threads: int,
) -> None:
    """Write what a reader of the weights must know, as JSON."""
    counts = {name: len(songs.train.groups(name)) for name in ("artist", "album")}
    card = {
        "extractor": plan.extractor.full_name,
        "extractor_version": plan.extractor.spec.version,
        "method": plan.spec.name,
        "summary": plan.spec.summary,
        "params": dataclasses.asdict(plan.params),
        "loss": dict(plan.loss),
        "options": dataclasses.asdict(plan.options),
        "crops": plan.method.crops().to_json(),
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
            **({"torch": version("torch")} if plan.spec.kind == "gradient" else {}),
            "numpy": np.__version__,
            "python": platform.python_version(),
            **_plugin_versions(plan.extractor.distribution),
        },
        **plan.method.card(),
    }
    text = json.dumps(card, indent=2, ensure_ascii=False)
    with replacing(folder / CARD_NAME) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")
