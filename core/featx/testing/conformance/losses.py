"""The battery of checks that a loss runs through. torch is imported inside the checks only."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from featx.installed import install_extra
from featx.params import parse_params
from featx.registry import import_object
from featx.registry.specs import spec_from_json
from featx.testing.conformance.recording import CheckFailed, Recorder
from featx.testing.conformance.target import Target

if TYPE_CHECKING:
    import torch

    from featx.interfaces import LossSpec

BATCH, DIM, TAGS, NEGATIVES = 8, 6, 6, 3

#: Relative change that float64 sums may show when their terms change places.
_PERMUTED = 1e-9

#: More numbers than this are compared along random directions.
_SLOW = 1000

#: Factors of unit normal embeddings, and what they are called.
_SCALES = ((1e-8, "tiny embeddings"), (1e6, "huge embeddings"), (0.0, "zeros"))


def run_battery(target: Target, recorder: Recorder) -> None:
    """Run every behavioural check of a loss."""
    battery: _Battery | None = None
    with recorder.check("open"):
        battery = _Battery(target)
    if battery is not None:
        with battery.deterministic():
            for name, check in battery.checks().items():
                with recorder.check(name):
                    check()


class _Battery:
    """The checks of one loss."""

    def __init__(self, target: Target) -> None:
        try:
            import torch
        except ImportError as error:
            raise CheckFailed(
                f"torch must be installed to check a loss. Run: {install_extra('torch')}"
            ) from error
        self.torch = torch
        self.spec: LossSpec = spec_from_json("loss", target.spec)
        params: Any = parse_params(self.spec.params, target.params)
        self.params = dataclasses.asdict(params)
        self.loss = self.build()

    def build(self, *, double: bool = True) -> Any:
        """Return a new loss; what it draws follows from one seed."""
        from featx.interfaces import Loss

        with self.torch.random.fork_rng(devices=[]):
            self.torch.manual_seed(0)
            loss: Any = import_object(self.spec.factory)(**self.params)
        if not isinstance(loss, Loss):
            raise CheckFailed(f"the factory must give a featx.Loss, got {type(loss).__name__}.")
        if isinstance(loss, self.torch.nn.Module):
            loss = loss.double() if double else loss.float()
        return loss

    @contextlib.contextmanager
    def deterministic(self) -> Iterator[None]:
        """Forbid algorithms without a deterministic form, as the trainer does on a CPU.

        Not by ``use_deterministic_algorithms``, which imports torch's compiler: 1.4 s.
        """
        before = self.torch.get_deterministic_debug_mode()
        self.torch.set_deterministic_debug_mode("error")
        try:
            yield
        finally:
            self.torch.set_deterministic_debug_mode(before)

    def checks(self) -> dict[str, Any]:
        return {
            "scalar": self.check_scalar,
            "roles": self.check_roles,
            "gradient": self.check_gradient,
            "repeatable": self.check_repeatable,
            "permutation": self.check_permutation,
            "no-pair": self.check_no_pair,
            "extremes": self.check_extremes,
            "input": self.check_input,
        }

    # ------------------------------------------------------------ helpers
    def roles(
        self, *, batch: int = BATCH, scale: float = 1.0, many: bool = False
    ) -> dict[str, torch.Tensor]:
        """Return float64 tensors for every role; class labels come in pairs."""
        generator = self.torch.Generator().manual_seed(batch)
        dim = self.params.get("dim", DIM)

        def draw(*shape: int) -> torch.Tensor:
            values: torch.Tensor = self.torch.randn(
                *shape, generator=generator, dtype=self.torch.float64
            )
            return values.mul(scale)

        if self.spec.inputs == "triplet":
            shape = (batch, NEGATIVES, dim) if many else (batch, dim)
            return {
                "anchors": draw(batch, dim),
                "positives": draw(batch, dim),
                "negatives": draw(*shape),
            }
        if self.spec.inputs == "views":
            return {"views": draw(batch, 2, dim)}
        embeddings = draw(batch, dim)
        if self.spec.labels == "classes":
            return {"embeddings": embeddings, "labels": self.torch.arange(batch) // 2}
        n_tags = self.params.get("n_classes", TAGS)
        labels = self.torch.randint(2, (batch, n_tags), generator=generator)
        return {"embeddings": embeddings, "labels": labels.to(self.torch.float64)}

    def wants_gradient(self, role: str, tensor: torch.Tensor) -> bool:
        return role != "labels" and tensor.is_floating_point()

    def value(
        self, roles: Mapping[str, torch.Tensor], *, loss: Any = None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the loss, and the gradient of every role and of what the loss trains itself."""
        loss = self.loss if loss is None else loss
        leaves = {
            name: tensor.clone().requires_grad_() if self.wants_gradient(name, tensor) else tensor
            for name, tensor in roles.items()
        }
        result: Any = loss(**leaves)
        if not isinstance(result, self.torch.Tensor) or result.ndim != 0:
            raise CheckFailed(f"the loss must be a scalar tensor, got {_shown(result)}.")
        if not result.requires_grad:
            raise CheckFailed("the loss must have a gradient, got a constant.")
        variables = [leaf for leaf in leaves.values() if leaf.requires_grad]
        variables += self.own(loss).values()
        gradients: Any = self.torch.autograd.grad(result, variables, allow_unused=True)
        scalar: torch.Tensor = result.detach()
        return scalar, [
            self.torch.zeros_like(leaf) if gradient is None else gradient
            for leaf, gradient in zip(variables, gradients, strict=True)
        ]

    def own(self, loss: Any) -> dict[str, torch.Tensor]:
        """Return the parameters that the loss trains itself."""
        if not isinstance(loss, self.torch.nn.Module):
            return {}
        return {name: item for name, item in loss.named_parameters() if item.requires_grad}

    def finite(
        self, roles: Mapping[str, torch.Tensor], what: str, *, loss: Any = None
    ) -> torch.Tensor:
        value, gradients = self.value(roles, loss=loss)
        if not self.torch.isfinite(value):
            raise CheckFailed(f"{what} must give a finite value, got {value.item()}.")
        if not all(bool(self.torch.isfinite(gradient).all()) for gradient in gradients):
            raise CheckFailed(f"{what} must give finite gradients, got NaN or infinity.")
        return value

    # ------------------------------------------------------------ checks
    def check_scalar(self) -> None:
        self.finite(self.roles(), "random embeddings")
        self.finite(_single(self.roles()), "float32", loss=self.build(double=False))
        if self.spec.many_negatives:
            self.finite(self.roles(many=True), f"{NEGATIVES} negatives per anchor")

    def check_roles(self) -> None:
        roles = self.roles()
        for name in roles:
            remaining = {other: tensor for other, tensor in roles.items() if other != name}
            self._refused(remaining, name, "missing")
        self._refused({**roles, "strangers": roles[next(iter(roles))]}, "strangers", "unknown")

    def _refused(self, roles: Mapping[str, torch.Tensor], name: str, what: str) -> None:
        try:
            self.loss(**roles)
        except Exception as error:  # any kind will do, if it says what is wrong
            if name not in str(error):
                raise CheckFailed(
                    f"the error for the {what} role {name!r} must name it, got "
                    f"{type(error).__name__}: {error}"
                ) from error
            return
        raise CheckFailed(f"the {what} role {name!r} must be refused, got a value.")

    def check_gradient(self) -> None:
        roles = self.roles(many=self.spec.many_negatives)
        names = [name for name, tensor in roles.items() if self.wants_gradient(name, tensor)]
        fixed = {name: tensor for name, tensor in roles.items() if name not in names}
        leaves = [roles[name].clone().requires_grad_() for name in names]

        def of_roles(*tensors: torch.Tensor) -> Any:
            return self.loss(**dict(zip(names, tensors, strict=True)), **fixed)

        self._compare(of_roles, leaves, "embeddings")
        own = self.own(self.loss)
        if own:

            def of_parameters(*tensors: torch.Tensor) -> Any:
                values = dict(zip(own, tensors, strict=True))
                return self.torch.func.functional_call(self.loss, values, kwargs=roles)

            self._compare(of_parameters, list(own.values()), "parameters")

    def _compare(self, function: Any, leaves: list[torch.Tensor], what: str) -> None:
        """Compare gradients along random directions where all of them would take long."""
        from torch.autograd.gradcheck import GradcheckError

        fast = sum(leaf.numel() for leaf in leaves) > _SLOW
        try:
            self.torch.autograd.gradcheck(
                function, tuple(leaves), eps=1e-6, atol=1e-5, rtol=1e-3, fast_mode=fast
            )
        except GradcheckError as error:
            line = next(line for line in str(error).splitlines() if line.strip())
            raise CheckFailed(
                f"gradients of {what} must agree with finite differences, but {line}"
            ) from error

    def check_repeatable(self) -> None:
        roles = self.roles()
        first = self.value(roles)
        for what, loss in (("again", self.loss), ("of another instance", self.build())):
            value, gradients = self.value(roles, loss=loss)
            if not self.torch.equal(first[0], value):
                raise CheckFailed(
                    f"the same input must give the same value, got {first[0].item()} and "
                    f"{what} {value.item()}."
                )
            if not all(map(self.torch.equal, first[1], gradients)):
                raise CheckFailed(f"the same input must give the same gradient, got others {what}.")

    def check_permutation(self) -> None:
        generator = self.torch.Generator().manual_seed(1)
        for many in {False, self.spec.many_negatives}:
            roles = self.roles(many=many)
            first = self.value(roles)[0].item()
            for order in (
                self.torch.arange(BATCH - 1, -1, -1),
                self.torch.randperm(BATCH, generator=generator),
            ):
                moved = {name: tensor[order] for name, tensor in roles.items()}
                second = self.value(moved)[0].item()
                if abs(first - second) > _PERMUTED * max(1.0, abs(first)):
                    raise CheckFailed(
                        f"the order in the batch must not matter, got {first}, {second}."
                    )

    def check_no_pair(self) -> None:
        empty = self.spec.inputs == "triplet" or not self.spec.pairwise
        what = "an empty batch" if empty else "a batch of one"
        loss = self.finite(self.roles(batch=0 if empty else 1), what)
        if loss.item() != 0.0:
            raise CheckFailed(f"{what} has no valid pair and must give 0, got {loss.item()}.")

    def check_extremes(self) -> None:
        single = self.build(double=False)
        for scale, what in _SCALES:
            self.finite(self.roles(scale=scale), what)
            self.finite(_single(self.roles(scale=scale)), f"{what} in float32", loss=single)
        for what, change in (
            ("equal embeddings", self.torch.ones_like),
            ("opposite embeddings", _opposite),
            ("one embedding of zeros", _one_silent),
        ):
            roles = self.roles()
            self.finite(
                {
                    name: change(tensor) if self.wants_gradient(name, tensor) else tensor
                    for name, tensor in roles.items()
                },
                what,
            )

    def check_input(self) -> None:
        roles = self.roles()
        copies = {name: tensor.clone() for name, tensor in roles.items()}
        self.loss(**roles)
        for name, tensor in roles.items():
            if not self.torch.equal(tensor, copies[name]):
                raise CheckFailed(f"{name} must be left unmodified, got other values.")


def _single(roles: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name: item.float() if item.is_floating_point() else item for name, item in roles.items()
    }


def _opposite(tensor: torch.Tensor) -> torch.Tensor:
    """Return ones, with the other sign in every second row."""
    changed = tensor.new_ones(tensor.shape)
    changed[1::2] = -1.0
    return changed


def _one_silent(tensor: torch.Tensor) -> torch.Tensor:
    changed = tensor.clone()
    changed[0] = 0.0
    return changed


def _shown(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"shape {tuple(shape)}"
