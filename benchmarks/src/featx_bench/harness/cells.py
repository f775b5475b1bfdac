"""Cells and costs as JSON files in the folder of results; each is written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["STATES", "Cell", "Results"]

#: What a cell can be: measured; measured although some tracks failed; given up, with a reason;
#: not tried, because data, weights or time are missing; or no output fits the task.
STATES = ("ok", "partial", "failed", "skipped", "not applicable")


@dataclass(kw_only=True)
class Cell:
    """One competitor on one task.

    Parameters
    ----------
    task, competitor, status, reason : str
        ``status`` is one of `STATES`; ``reason`` is empty for ok.
    key : str
        Hash of all that the scores depend on.
    metrics : dict
        Metric -> what `featx_bench.harness.scores.Scores.to_json` gives.
    outputs : dict
        Extractor -> names of the outputs that were measured.
    recipes : list of dict
        What changes the numbers of each member.
    tracks, failed : int
        Tracks of the task, and those without features.
    bytes_per_track : float
        Of the features as they are stored, without compression.
    seconds : float
        Seconds that scoring took.
    command : str
        What to run for this cell alone.
    """

    task: str
    competitor: str
    status: str
    reason: str = ""
    key: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, list[str]] = field(default_factory=dict)
    recipes: list[dict[str, Any]] = field(default_factory=list)
    tracks: int = 0
    failed: int = 0
    bytes_per_track: float = 0.0
    seconds: float = 0.0
    command: str = ""

    @property
    def measured(self) -> bool:
        """Whether there are scores."""
        return self.status in ("ok", "partial")


class Results:
    """The folder of results: ``cells/TASK/COMPETITOR.json``, ``costs/COMPETITOR.json``, a table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Cells as they were read, which need not be written again.
        self._read: dict[Path, Cell] = {}

    @property
    def work(self) -> Path:
        """Manifests, rendered music and degraded copies."""
        return self.folder / "data"

    def store(self, dataset: str) -> Path:
        """Return the feature store of a data set."""
        return self.folder / "features" / dataset

    def cell(self, task: str, slug: str) -> Cell | None:
        """Return a cell that was written before; None if it is not there or damaged."""
        path = self._cell_path(task, slug)
        plain = _read(path)
        try:
            cell = None if plain is None else Cell(**plain)
        except TypeError:
            return None
        if cell is not None:
            self._read[path] = cell
        return cell

    def save_cell(self, slug: str, cell: Cell) -> None:
        """Write a cell, unless it is one that was read."""
        path = self._cell_path(cell.task, slug)
        if self._read.get(path) is not cell:
            _write(path, asdict(cell))

    def cost(self, slug: str) -> dict[str, Any] | None:
        """Return the cost of a competitor that was measured before."""
        return _read(self.folder / "costs" / f"{slug}.json")

    def save_cost(self, slug: str, cost: Mapping[str, Any]) -> None:
        """Write the cost of a competitor."""
        _write(self.folder / "costs" / f"{slug}.json", cost)

    def summary(self) -> dict[str, Any] | None:
        """Return what the last run wrote: tasks, competitors, machine."""
        return _read(self.folder / "results.json")

    def save_summary(self, plain: Mapping[str, Any]) -> None:
        """Write tasks, competitors and machine."""
        _write(self.folder / "results.json", plain)

    def _cell_path(self, task: str, slug: str) -> Path:
        return self.folder / "cells" / task.replace(":", "__") / f"{slug}.json"


def data_digest(manifest: Path, files: list[Path]) -> str:
    """Return a hash of a manifest and of sizes and modification times of the files it names."""
    digest = hashlib.sha256(manifest.read_bytes())
    for path in files:
        try:
            state = path.stat()
        except OSError:
            digest.update(f"{path}\0missing\n".encode("utf-8", "surrogateescape"))
            continue
        line = f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return plain if isinstance(plain, dict) else None


def _write(path: Path, plain: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(plain, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)
