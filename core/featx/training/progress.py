"""What a training tells while it goes on: a bar with the losses, or plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["PlainProgress", "RichProgress", "Standing", "TrainingReporter", "choose_progress"]

_LINE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a training is: step, total (None if open), epoch, learning rate, losses, speed."""

    step: int
    total: int | None
    epoch: float
    lr: float
    losses: Mapping[str, float]
    rate: float

    @property
    def told(self) -> str:
        """Losses, learning rate and examples per second in one line."""
        losses = ", ".join(f"{name} {value:.4g}" for name, value in self.losses.items())
        return f"{losses}; lr {self.lr:.3g}; {self.rate:.3g} examples/s"


class TrainingReporter(Protocol):
    """Gets told how a training goes."""

    def begin(self, step: int, total: int | None) -> None:
        """Training starts, or goes on, after ``step`` of ``total`` steps."""

    def note(self, text: str) -> None:
        """Say something once, such as the result of a validation."""

    def update(self, standing: Standing) -> None:
        """Show how far it is; called after every step."""

    def end(self) -> None:
        """Stop showing anything."""


class PlainProgress:
    """One line on stderr every 30 seconds, for logs and pipes."""

    def __init__(self, *, seconds: float = _LINE_SECONDS) -> None:
        self._seconds = seconds
        self._told = time.monotonic()

    def begin(self, step: int, total: int | None) -> None:
        """Say where it starts."""
        del total
        if step:
            self.note(f"going on after step {step}")

    def note(self, text: str) -> None:
        """Write one line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def update(self, standing: Standing) -> None:
        """Write a line if the last one is old."""
        now = time.monotonic()
        if now - self._told >= self._seconds:
            self._told = now
            of = "" if standing.total is None else f"/{standing.total}"
            self.note(f"step {standing.step}{of}, epoch {standing.epoch:.2f}: {standing.told}")

    def end(self) -> None:
        """Leave everything as it is."""


class RichProgress:
    """A bar on the terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress: Progress = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("steps  {task.fields[told]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def begin(self, step: int, total: int | None) -> None:
        """Show the bar."""
        self._task = self._progress.add_task("", total=total, completed=step, told="")
        self._progress.start()

    def note(self, text: str) -> None:
        """Write one line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def update(self, standing: Standing) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=standing.step, told=standing.told)

    def end(self) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()


def choose_progress() -> TrainingReporter:
    """Return the bar where stderr is a terminal, lines elsewhere."""
    return RichProgress() if sys.stderr.isatty() else PlainProgress()
