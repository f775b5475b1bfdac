"""Tensors by role in, a scalar out."""

from __future__ import annotations

from typing import Any

from featx import Loss
from featx.training import take_roles
from torch import Tensor
from torch.nn import functional


class ExampleName(Loss):
    """Mean of ``max(0, margin - cos(a, p) + cos(a, n))`` over anchors and negatives."""

    def __init__(self, *, margin: float) -> None:
        self.margin = margin

    def __call__(self, **roles: Any) -> Tensor:
        """Return the loss of ``anchors``, ``positives`` and ``negatives``."""
        anchors, positives, negatives = map(
            unit, take_roles(roles, "anchors", "positives", "negatives")
        )
        if negatives.ndim == 2:
            negatives = negatives.unsqueeze(1)  # (batch, 1, dim)
        near = (anchors * positives).sum(dim=1, keepdim=True)  # (batch, 1)
        far = (anchors.unsqueeze(1) * negatives).sum(dim=2)  # (batch, n_negatives)
        hinges = (self.margin - near + far).clamp(min=0)
        # an empty batch has the loss 0, and a gradient
        return hinges.sum() / max(1, hinges.numel())


def unit(x: Tensor) -> Tensor:
    """Return rows of length 1; zeros stay zeros, and squares of large values stay finite."""
    largest = x.detach().abs().amax(dim=-1, keepdim=True)
    return functional.normalize(x / largest.where(largest > 0, 1.0), dim=-1)
