"""The battery of checks that a loss runs through. torch is imported inside the checks only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx.interfaces import parse_params
from featx.registry import import_object
from featx.testing.conformance.capture import captured, report_captured
from featx.testing.conformance.recording import CheckFailed, Recorder
from featx.testing.conformance.target import Target, spec_from_json

if TYPE_CHECKING:
    import torch

BATCH, DIM = 8, 6

#: Relative change that float64 sums may show when their terms change places.
_PERMUTED = 1e-9


def run_battery(target: Target, recorder: Recorder, job: Mapping[str, Any]) -> None:
    """Run every behavioural check of a loss."""
    del job
    with captured() as seen:
        battery: _Battery | None = None
        with recorder.check("open"):
            battery = _Battery(target)
        if battery is not None:
            for name, check in battery.checks().items():
                with recorder.check(name):
                    check()
    report_captured(recorder, seen)


class _Battery:
    """The checks of one loss."""

    def __init__(self, target: Target) -> None:
        try:
            import torch
        except ImportError as error:
            raise CheckFailed(
                "torch must be installed to check a loss. Run: pip install 'featx[torch]'"
            ) from error
        self.torch = torch
        spec = spec_from_json("loss", target.spec)
        params = parse_params(spec.params, target.params)
        self.inputs: str = spec.inputs
        self.loss: Any = import_object(spec.factory)(**dataclasses.asdict(params))
        if isinstance(self.loss, torch.nn.Module):
            self.loss.double()

    def checks(self) -> dict[str, Any]:
        return {
            "scalar": self.check_scalar,
            "gradient": self.check_gradient,
            "repeatable": self.check_repeatable,
            "permutation": self.check_permutation,
            "no-pair": self.check_no_pair,
            "extremes": self.check_extremes,
            "input": self.check_input,
        }

    # ------------------------------------------------------------ helpers
    def roles(self, *, batch: int = BATCH, scale: float = 1.0) -> dict[str, torch.Tensor]:
        """Return float64 tensors for every role; labels come in pairs."""
        generator = self.torch.Generator().manual_seed(batch)

        def draw(*shape: int) -> torch.Tensor:
            values: torch.Tensor = self.torch.randn(
                *shape, generator=generator, dtype=self.torch.float64
            )
            return values.mul(scale)

        if self.inputs == "triplet":
            return {name: draw(batch, DIM) for name in ("anchors", "positives", "negatives")}
        if self.inputs == "views":
            return {"views": draw(batch, 2, DIM)}
        return {"embeddings": draw(batch, DIM), "labels": self.torch.arange(batch) // 2}

    def value(self, roles: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the loss and the gradient of every floating-point role."""
        leaves = {
            name: tensor.clone().requires_grad_() if tensor.is_floating_point() else tensor
            for name, tensor in roles.items()
        }
        loss: Any = self.loss(**leaves)
        if not isinstance(loss, self.torch.Tensor) or loss.ndim != 0:
            raise CheckFailed(f"the loss must be a scalar tensor, got {_shown(loss)}.")
        if not loss.requires_grad:
            raise CheckFailed("the loss must have a gradient, got a constant.")
        wanted = [leaf for leaf in leaves.values() if leaf.is_floating_point()]
        found: Any = self.torch.autograd.grad(loss, wanted, allow_unused=True)
        gradients = [
            self.torch.zeros_like(leaf) if gradient is None else gradient
            for leaf, gradient in zip(wanted, found, strict=True)
        ]
        scalar: torch.Tensor = loss.detach()
        return scalar, gradients

    def finite(self, roles: Mapping[str, torch.Tensor], what: str) -> torch.Tensor:
        loss, gradients = self.value(roles)
        if not self.torch.isfinite(loss):
            raise CheckFailed(f"{what} must give a finite value, got {loss.item()}.")
        if not all(bool(self.torch.isfinite(gradient).all()) for gradient in gradients):
            raise CheckFailed(f"{what} must give finite gradients, got NaN or infinity.")
        return loss

    # ------------------------------------------------------------ checks
    def check_scalar(self) -> None:
        self.finite(self.roles(), "random embeddings")

    def check_gradient(self) -> None:
        from torch.autograd.gradcheck import GradcheckError

        roles = self.roles()
        names = [name for name, tensor in roles.items() if tensor.is_floating_point()]
        fixed = {name: tensor for name, tensor in roles.items() if name not in names}

        def function(*tensors: torch.Tensor) -> Any:
            return self.loss(**dict(zip(names, tensors, strict=True)), **fixed)

        leaves = tuple(roles[name].clone().requires_grad_() for name in names)
        try:
            self.torch.autograd.gradcheck(function, leaves, eps=1e-6, atol=1e-5, rtol=1e-3)
        except GradcheckError as error:
            line = next(line for line in str(error).splitlines() if line.strip())
            raise CheckFailed(
                f"gradients must agree with finite differences, but {line}"
            ) from error

    def check_repeatable(self) -> None:
        first, second = (self.value(self.roles())[0].item() for _ in range(2))
        if first != second:
            raise CheckFailed(f"the same input must give the same value, got {first}, {second}.")

    def check_permutation(self) -> None:
        roles = self.roles()
        order = self.torch.arange(BATCH - 1, -1, -1)
        first = self.value(roles)[0].item()
        second = self.value({name: tensor[order] for name, tensor in roles.items()})[0].item()
        if abs(first - second) > _PERMUTED * max(1.0, abs(first)):
            raise CheckFailed(f"the order in the batch must not matter, got {first}, {second}.")

    def check_no_pair(self) -> None:
        what = "an empty batch" if self.inputs == "triplet" else "a batch of one"
        loss = self.finite(self.roles(batch=0 if self.inputs == "triplet" else 1), what)
        if loss.item() != 0.0:
            raise CheckFailed(f"{what} has no valid pair and must give 0, got {loss.item()}.")

    def check_extremes(self) -> None:
        for scale, what in ((1e-8, "tiny embeddings"), (1e4, "huge embeddings"), (0.0, "zeros")):
            self.finite(self.roles(scale=scale), what)
        equal = {
            name: self.torch.ones_like(tensor) if tensor.is_floating_point() else tensor
            for name, tensor in self.roles().items()
        }
        self.finite(equal, "equal embeddings")

    def check_input(self) -> None:
        roles = self.roles()
        kept = {name: tensor.clone() for name, tensor in roles.items()}
        self.loss(**roles)
        for name, tensor in roles.items():
            if not self.torch.equal(tensor, kept[name]):
                raise CheckFailed(f"{name} must be left unmodified, got other values.")


def _shown(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"shape {tuple(shape)}"
