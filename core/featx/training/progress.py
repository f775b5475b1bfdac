"""Progress reports of a training: a bar with the losses, or plain lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from featx.progress import Meter


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a training is: step, total (None if open), epoch, losses, speed.

    ``lr`` is None for fits, whose only epoch is the sample.
    """

    step: int
    total: int | None
    epoch: float
    lr: float | None
    losses: Mapping[str, float]
    rate: float

    @property
    def text(self) -> str:
        """Losses, epoch, learning rate and examples per second in one line."""
        losses = ", ".join(f"{name} {value:.4g}" for name, value in self.losses.items())
        if self.lr is None:
            return losses
        return f"{losses}; epoch {self.epoch:.2f}; lr {self.lr:.3g}; {self.rate:.3g} examples/s"


class TrainingReporter(Protocol):
    """Receives the progress of a training."""

    def begin(self, step: int, total: int | None) -> None:
        """Training starts, or resumes, after ``step`` of ``total`` steps."""

    def note(self, text: str) -> None:
        """Say something once, such as the result of a validation."""

    def update(self, standing: Standing) -> None:
        """Show how far it is; called after every step."""

    def end(self) -> None:
        """Stop showing anything."""


class MeterProgress:
    """Counts steps on a `featx.engine.Meter`."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def begin(self, step: int, total: int | None) -> None:
        """Say where it starts."""
        if step:
            self._meter.note(f"resuming after step {step}")
        self._meter.begin(total, step)

    def note(self, text: str) -> None:
        """Write one line."""
        self._meter.note(text)

    def update(self, standing: Standing) -> None:
        """Count, and show the losses."""
        self._meter.update(standing.step, standing.text)

    def end(self) -> None:
        """Stop, after a last line with the losses where there is no bar that shows them."""
        self._meter.end()
