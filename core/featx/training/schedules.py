"""Optimisers and learning rates, as plain state that survives a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import torch

from featx.training.options import GradientParams

#: What a validation leads to.
Verdict: TypeAlias = Literal["better", "wait", "restart", "slower", "stop"]


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter], options: GradientParams
) -> torch.optim.Optimizer:
    """Return a fresh optimiser over ``parameters``."""
    if options.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=options.lr,
            momentum=options.momentum,
            nesterov=options.momentum > 0,
            weight_decay=options.weight_decay,
        )
    kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, lr=options.lr, weight_decay=options.weight_decay)


@dataclass
class Schedule:
    """The learning rate, and what validations do to it.

    ``stages``: after more than ``patience`` validations without improvement the next stage begins
    from the best weights, with ``factor`` times the learning rate and a fresh optimiser; after the
    last stage training ends. ``plateau``: the learning rate falls by ``factor``, the weights stay.
    With either, and without, training ends after ``early_stop`` validations without improvement.

    References
    ----------
    Lee, Park, Kim, Nam. "Sample-level deep convolutional neural networks for music auto-tagging
    using raw waveforms". SMC, 2017 (stages).
    """

    scale: float = 1.0
    stage: int = 0
    waited: int = 0
    idle: int = 0
    best: float | None = None
    best_step: int = -1

    def lr(self, step: int, options: GradientParams) -> float:
        """Return the learning rate of ``step``."""
        rate = options.lr * self.scale / (1.0 + options.lr_decay * step)
        return max(rate, options.min_lr) if options.schedule == "plateau" else rate

    def observe(self, loss: float, step: int, options: GradientParams) -> Verdict:
        """Take the loss of a validation after ``step`` steps and say what follows."""
        if self.best is None or loss < self.best:
            self.best, self.best_step = loss, step
            self.waited = self.idle = 0
            return "better"
        self.waited += 1
        self.idle += 1
        if options.early_stop and self.idle >= options.early_stop:
            return "stop"
        if options.schedule == "constant" or self.waited <= options.patience:
            return "wait"
        self.waited = 0
        self.scale *= options.factor
        if options.schedule == "plateau":
            return "slower"
        self.stage += 1
        return "restart" if self.stage < options.stages else "stop"

    def to_json(self) -> dict[str, Any]:
        """Return plain values; floats survive JSON exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Schedule:
        """Read what `to_json` wrote."""
        return cls(**plain)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def steps_in_all(options: GradientParams, epoch_steps: float) -> int | None:
    """Return the number of steps after which training ends by itself; None if only by schedule."""
    limits = []
    if options.steps is not None:
        limits.append(options.steps)
    if options.epochs is not None:
        limits.append(math.ceil(options.epochs * epoch_steps))
    return min(limits) if limits else None


def flat_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the tensors of an optimiser as ``<parameter number>/<name>``."""
    flat = {}
    for number, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:
                flat[f"{number}/{name}"] = torch.as_tensor(value)
    return flat


def restore_optimizer(optimizer: torch.optim.Optimizer, flat: Mapping[str, torch.Tensor]) -> None:
    """Give an optimiser the tensors that `flat_optimizer` returned."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in flat.items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
