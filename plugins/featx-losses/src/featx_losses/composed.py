"""What all losses share: roles, shapes, full precision."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from featx import Loss, ParameterError
from featx.training import take_roles

__all__ = ["ComposedLoss"]

_LEAST_BITS = 32


class ComposedLoss(Loss, torch.nn.Module):
    """A loss made of parts; a torch module, so that it may hold proxies or a queue.

    Calculates in float32 at least, whatever a surrounding autocast asks for.
    """

    #: Names of the roles, in the order in which `compute` takes them.
    roles: ClassVar[tuple[str, ...]]

    def __call__(self, **roles: Any) -> Tensor:
        """Return the scalar loss.

        Raises
        ------
        ParameterError
            If a role is missing, unknown or of a wrong shape.
        """
        loss: Tensor = torch.nn.Module.__call__(self, **roles)
        return loss

    def forward(self, **roles: Any) -> Tensor:
        """See `__call__`."""
        tensors = [_full(tensor) for tensor in take_roles(roles, *self.roles)]
        with torch.autocast(tensors[0].device.type, enabled=False):
            return self.compute(*tensors)

    @abstractmethod
    def compute(self, *tensors: Tensor) -> Tensor:
        """Return the scalar loss of the roles, in their order."""


def _full(tensor: Tensor) -> Tensor:
    short = tensor.is_floating_point() and torch.finfo(tensor.dtype).bits < _LEAST_BITS
    return tensor.float() if short else tensor


def check_shape(name: str, tensor: Tensor, *rules: tuple[int | None, ...], expected: str) -> None:
    """Raise `ParameterError` unless the shape follows one of ``rules``; None is any size."""
    shape = tuple(tensor.shape)
    for rule in rules:
        if len(rule) == len(shape) and all(
            length in (None, size) for length, size in zip(rule, shape, strict=True)
        ):
            return
    raise ParameterError(f"{name} must have shape {expected}, got {shape}.")
