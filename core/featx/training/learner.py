"""What every training does, whatever learns: resume, save now and then, end in time."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.training.checkpoints import State, load_state, save_state
from featx.training.options import TrainingParams
from featx.training.progress import TrainingReporter
from featx.training.songs import Failure
from featx.types import AnyArray


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """Where and by what a training runs.

    ``out`` is the folder of checkpoints and logs, ``identity`` what a checkpoint must agree in to
    be resumed, as plain JSON values, and ``workers`` the number of threads that read songs.
    """

    out: Path
    identity: Mapping[str, Any]
    device: str
    workers: int
    reporter: TrainingReporter


class Limit:
    """What may end a run from outside: a deadline, or an event."""

    def __init__(self, seconds: float | None = None, stop: threading.Event | None = None) -> None:
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds
        self._stop = stop

    @property
    def reason(self) -> str:
        """``interrupted``, ``time``, or nothing while there is neither."""
        if self._stop is not None and self._stop.is_set():
            return "interrupted"
        return "time" if time.monotonic() >= self._deadline else ""


class Learner(ABC):
    """Runs one method step by step; ``reason`` says why it ended."""

    def __init__(self, run: TrainingRun, options: TrainingParams) -> None:
        self.out, self.identity = run.out, run.identity
        self.device, self.workers, self.reporter = run.device, run.workers, run.reporter
        self.step = self.first = 0
        self.metrics: dict[str, float] = {}
        self.reason = ""
        self._seconds = 60.0 * options.checkpoint_minutes
        self._saved = 0.0
        self._failures: dict[str, Failure] = {}

    def run(self, *, max_seconds: float | None = None, stop: threading.Event | None = None) -> None:
        """Train until a limit, the schedule, ``max_seconds`` or ``stop`` ends it; see `reason`."""
        state = load_state(self.out, self.identity)
        if state is not None:
            self.step, self.metrics = state.step, state.plain["metrics"]
            self._failures = {item["track_id"]: Failure(**item) for item in state.plain["failures"]}
            self._restore(state)
        self.first, self._saved = self.step, time.monotonic()
        self._learn(Limit(max_seconds, stop))

    def save(self) -> None:
        """Replace the state on disk by the present one; see `save_state`."""
        parts, plain = self._state()
        plain |= {"metrics": self.metrics, "failures": [vars(item) for item in self.failures]}
        state = State(step=self.step, identity=self.identity, parts=parts, plain=plain)
        save_state(self.out, state)

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved >= self._seconds:
            self.save()
            self._saved = time.monotonic()

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Files that could not be read, by id; those of earlier runs included."""
        return tuple(self._failures[key] for key in sorted(self._failures))

    @property
    def best_step(self) -> int:
        """The step of the best validation; -1 without one."""
        return -1

    @property
    @abstractmethod
    def examples(self) -> int:
        """Examples, or vectors, of this run."""

    @property
    @abstractmethod
    def epoch(self) -> float:
        """Passes over the training examples so far."""

    @abstractmethod
    def export(self) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return what the method exports."""

    @abstractmethod
    def _learn(self, limit: Limit) -> None:
        """Take steps until one of the limits is reached."""

    @abstractmethod
    def _state(self) -> tuple[dict[str, dict[str, AnyArray]], dict[str, Any]]:
        """Return what a checkpoint holds besides: arrays by part, and plain values."""

    @abstractmethod
    def _restore(self, state: State) -> None:
        """Take back what `_state` gave."""
