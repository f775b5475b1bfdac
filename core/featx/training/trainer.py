"""The loop: steps, validations, checkpoints; the same numbers whenever and wherever it is cut."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from featx.errors import ParameterError, TrainingError, lines
from featx.training.checkpoints import State, last_good
from featx.training.learner import Learner, Limit, TrainingRun
from featx.training.loader import STEP, LoadedBatch, Loader, stream
from featx.training.logs import TRAINING_LOG, VALIDATION_LOG, Log
from featx.training.method import Batch, GradientMethod
from featx.training.options import GradientParams
from featx.training.progress import Standing
from featx.training.schedules import (
    Schedule,
    flat_optimizer,
    make_optimizer,
    restore_optimizer,
    set_lr,
    steps_in_all,
)
from featx.training.songs import Failure
from featx.types import AnyArray

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Trainer(Learner):
    """Trains one module, freshly built on the CPU, with one gradient method."""

    def __init__(
        self,
        method: GradientMethod,
        model: torch.nn.Module,
        train: Loader,
        valid: Loader | None,
        *,
        options: GradientParams,
        run: TrainingRun,
    ) -> None:
        _check(options, valid, run.device)
        super().__init__(run, options)
        self.method, self.train, self.valid, self.options = method, train, valid, options
        self.model = model.to(self.device)
        self.optimizer = make_optimizer(self.model.parameters(), options)
        self.scaler = torch.amp.GradScaler(enabled=options.precision == "float16")
        self.schedule = Schedule()
        self.best: dict[str, torch.Tensor] = {}
        self._paths: tuple[str, ...] = ()
        self._shown: dict[str, float] = {}
        self._sums: dict[str, float] = {}
        self._summed, self._lr = 0, 0.0
        self.epoch_steps = len(train.sampler) / options.batch_size
        self.total = steps_in_all(options, self.epoch_steps)
        self.validate_every = options.validate_every or max(round(self.epoch_steps), 1)

    def _learn(self, limit: Limit) -> None:
        if self._ended():
            return
        began = time.monotonic()
        log = Log(self.out, step=self.step, every=self.options.log_every)
        self.reporter.begin(self.step, self.total)
        batches = self.train.training(self.first)
        self.model.train()
        try:
            for batch in batches:
                self._one_step(batch, log)
                self._report(time.monotonic() - began, self.step - self.first)
                self._maybe_validate(log)
                if not self._ended():
                    self.reason = limit.reason
                if self.reason:
                    break
                self._save_if_due()
            if self._summed:  # a last line, which `Log` drops where the training resumes
                self._write_means(log)
            self.save()
        finally:
            batches.close()
            log.close()
            self.reporter.end()

    def _one_step(self, batch: LoadedBatch, log: Log) -> None:
        torch.manual_seed(int(stream(self.options.seed, STEP, self.step).integers(2**62)))
        self._lr = self.schedule.lr(self.step, self.options)
        set_lr(self.optimizer, self._lr)
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            losses = self.method.losses(self.model, batch.tensors(self.device))
            total = torch.stack([value.float() for value in losses.values()]).sum()
        examples = len(batch) if self.method.reduction == "sum" else 1
        values = {name: float(value.detach()) / examples for name, value in losses.items()}
        if not math.isfinite(float(total.detach())):
            raise TrainingError(self._divergence(values, batch))
        self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        if self.options.clip_norm:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        self._paths = batch.paths
        self._log(values, log)

    def _log(self, values: Mapping[str, float], log: Log) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._summed += 1
        if self.step % self.options.log_every == 0:
            self._write_means(log)
            self._sums, self._summed = {}, 0

    def _write_means(self, log: Log) -> None:
        log.add(TRAINING_LOG, self.step, {"epoch": self.epoch, "lr": self._lr, **self._means()})

    def _means(self) -> dict[str, float]:
        return {name: value / self._summed for name, value in self._sums.items()}

    def _report(self, seconds: float, steps: int) -> None:
        if self._summed:
            self._shown = self._means()
        self.reporter.update(
            Standing(
                step=self.step,
                total=self.total,
                epoch=self.epoch,
                lr=self.schedule.lr(self.step, self.options),
                losses=self._shown,
                rate=steps * self.options.batch_size / max(seconds, 1e-9),
            )
        )

    @property
    def examples(self) -> int:
        """Examples of this run."""
        return (self.step - self.first) * self.options.batch_size

    @property
    def best_step(self) -> int:
        """The step of the best validation; -1 without one."""
        return self.schedule.best_step

    @property
    def epoch(self) -> float:
        """Passes over the training examples so far."""
        return self.step / self.epoch_steps

    def _maybe_validate(self, log: Log) -> None:
        last = self.total is not None and self.step >= self.total
        if self.valid is None or (self.step % self.validate_every and not last):
            return
        metrics = self.validate()
        log.add(VALIDATION_LOG, self.step, {"epoch": self.epoch, **metrics})
        verdict = self.schedule.observe(metrics["loss"], self.step, self.options)
        if verdict == "better":
            self.best = {key: value.clone() for key, value in self.model.state_dict().items()}
            self.metrics = metrics
        elif verdict == "restart":
            self.model.load_state_dict(self.best)
            self.optimizer = make_optimizer(self.model.parameters(), self.options)
        elif verdict == "stop":
            self.reason = "schedule"
        text = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        self.reporter.note(f"validation after step {self.step}: {text} ({_WORDS[verdict]})")

    def validate(self) -> dict[str, float]:
        """Return the metrics of the module as it stands."""
        assert self.valid is not None
        self.model.eval()
        with torch.no_grad(), self._autocast():
            metrics = self.method.evaluate(self.model, self._validation_batches())
        self.model.train()
        if not math.isfinite(metrics["loss"]):
            raise TrainingError(
                f"the validation loss must be finite, got {metrics['loss']} after step "
                f"{self.step}. {last_good(self.out)} The last batch was read from:"
                f"{lines(self._paths)}"
            )
        return metrics

    def _validation_batches(self) -> Iterator[Batch]:
        assert self.valid is not None
        for batch in self.valid.validation():
            yield batch.tensors(self.device)

    def save(self) -> None:
        """Replace the state on disk by the present one, unless that is not finite."""
        try:
            super().save()
        except TrainingError as error:
            paths = lines(self._paths)
            raise TrainingError(f"{error} The last batch was read from:{paths}") from error

    def _state(self) -> tuple[dict[str, dict[str, AnyArray]], dict[str, Any]]:
        parts = {
            "model": _arrays(self.model.state_dict()),
            "best": _arrays(self.best),
            "optimizer": _arrays(flat_optimizer(self.optimizer)),
        }
        return parts, {
            "schedule": self.schedule.to_json(),
            "reason": self.reason if self.reason == "schedule" else "",
            "sums": self._sums,
            "summed": self._summed,
            "scaler": self.scaler.state_dict(),
        }

    def _restore(self, state: State) -> None:
        self.model.load_state_dict(_tensors(state.parts["model"]))
        best = _tensors(state.parts.get("best", {}))
        self.best = {key: value.to(self.device) for key, value in best.items()}
        restore_optimizer(self.optimizer, _tensors(state.parts.get("optimizer", {})))
        self.schedule = Schedule.from_json(state.plain["schedule"])
        self.reason = state.plain["reason"]
        self._sums, self._summed = state.plain["sums"], state.plain["summed"]
        self.scaler.load_state_dict(state.plain["scaler"])

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Files that could not be read, by id; those of earlier runs included."""
        for loader in (self.train, self.valid):
            self._failures |= {item.track_id: item for item in (loader.failures if loader else ())}
        return super().failures

    def export(self) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return what the method exports of the best weights, or of the last without validation."""
        if self.best:
            self.model.load_state_dict(self.best)
        self.model.eval()
        return self.method.export(self.model.cpu())

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.options.precision == "float32":
            return contextlib.nullcontext()
        kind = self.device.partition(":")[0]
        return torch.autocast(kind, dtype=_DTYPES[self.options.precision])

    def _ended(self) -> bool:
        if self.total is not None and self.step >= self.total:
            self.reason = "limit"
        return self.reason in {"limit", "schedule"}

    def _divergence(self, values: Mapping[str, float], batch: LoadedBatch) -> str:
        losses = ", ".join(f"{name}={value:g}" for name, value in values.items())
        return (
            f"the loss must be finite, got {losses} at step {self.step}. {last_good(self.out)} "
            f"The batch was read from:{lines(batch.paths)}"
        )


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, AnyArray]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _tensors(arrays: Mapping[str, AnyArray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


_WORDS = {
    "better": "the best so far",
    "wait": "no improvement",
    "restart": "next stage, from the best weights",
    "slower": "the learning rate falls",
    "stop": "the end",
}


def _check(options: GradientParams, valid: Loader | None, device: str) -> None:
    if valid is None and (options.schedule != "constant" or options.early_stop):
        raise ParameterError(
            "schedule must be 'constant' and early_stop 0 without validation songs, got "
            f"{options.schedule!r} and {options.early_stop}. Hold out songs that the method can "
            f"use for validation, or set schedule=constant, early_stop=0 and steps."
        )
    if options.precision == "float16" and not device.startswith("cuda"):
        raise ParameterError(f"precision must be float32 or bfloat16 on {device}, got 'float16'.")
    if valid is None and not (options.steps or options.epochs):
        raise ParameterError("epochs or steps must be given without validation songs, got None.")
