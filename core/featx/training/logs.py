"""Logs of a training: CSV always, TensorBoard where it is installed."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featx.training.songs import Failure
from featx.weights.files import replacing

TRAINING_LOG, VALIDATION_LOG = "training.csv", "validation.csv"
FAILURE_LOG = "failures.csv"


class Log:
    """Lines of numbers by step, in one CSV file per kind.

    A training that resumes after step n drops what was written behind n, and the line of its last
    step where that is no multiple of ``every``, so that its log equals that of an undisturbed one.
    Where TensorBoard is installed, event files are written to ``folder/tensorboard`` as well.
    """

    def __init__(self, folder: Path, *, step: int, every: int = 1) -> None:
        self._folder = folder
        _cut(folder / TRAINING_LOG, step, every)
        _cut(folder / VALIDATION_LOG, step)
        self._writer: Any = None
        installed = all(importlib.util.find_spec(name) for name in ("tensorboard", "torch"))
        if installed:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(folder / "tensorboard", purge_step=step + 1)

    def add(self, name: str, step: int, values: Mapping[str, float]) -> None:
        """Append one line to the file ``name``."""
        path = self._folder / name
        row = {"step": step, **values}
        fresh = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        if self._writer is not None:
            for key, value in values.items():
                self._writer.add_scalar(f"{path.stem}/{key}", value, step)

    def close(self) -> None:
        """Flush what is not written yet."""
        if self._writer is not None:
            self._writer.close()


def _cut(path: Path, step: int, every: int = 1) -> None:
    """Drop lines behind ``step`` or between multiples of ``every``, and one that was not ended."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    width = len(rows[0]) if rows else 0
    lines = rows[:1] + [
        row
        for row in rows[1:]
        if len(row) == width
        and row[0].isdigit()
        and int(row[0]) <= step
        and int(row[0]) % every == 0
    ]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(lines)


def write_failures(folder: Path, failures: Sequence[Failure]) -> None:
    """Write which files could not be read; no file where all could."""
    path = folder / FAILURE_LOG
    path.unlink(missing_ok=True)
    if not failures:
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("track_id", "path", "code", "reason"))
        for item in failures:
            writer.writerow((item.track_id, item.path, item.code, item.reason))
