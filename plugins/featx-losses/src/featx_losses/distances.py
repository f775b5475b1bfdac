"""How near two vectors are; every distance says in which direction it counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

__all__ = ["Cosine", "Distance", "Euclidean", "unit"]


def unit(x: Tensor) -> Tensor:
    """Return ``x`` divided by its Euclidean norm along the last axis; zeros stay zeros.

    Rows are scaled by their largest value first, so that no square overflows, and a row of zeros
    has a finite gradient.
    """
    scale = _scale(x)
    scaled = x / scale
    length = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    return scaled / torch.where(length > 0, length, 1.0)


def _scale(x: Tensor) -> Tensor:
    """Return the largest magnitude along the last axis, 1 where there is none; a constant."""
    largest = x.detach().abs().amax(dim=-1, keepdim=True)
    return torch.where(largest > torch.finfo(x.dtype).tiny, largest, 1.0)


class Distance(ABC):
    """A number for every pair of vectors."""

    #: Direction: True for similarities, False for distances proper.
    larger_is_nearer: ClassVar[bool]

    @abstractmethod
    def pairs(self, a: Tensor, b: Tensor) -> Tensor:
        """Compare row with row: ``(..., dim)`` and ``(..., dim)``, broadcast, to ``(...)``."""

    @abstractmethod
    def matrix(self, a: Tensor, b: Tensor) -> Tensor:
        """Compare every row with every row: ``(n, dim)`` and ``(m, dim)`` to ``(n, m)``."""

    def gap(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Return by how much a negative is nearer than the positive; below 0 it is farther."""
        return negative - positive if self.larger_is_nearer else positive - negative

    def score(self, value: Tensor) -> Tensor:
        """Return what is large for near pairs, for use in a softmax."""
        return value if self.larger_is_nearer else -value


class Cosine(Distance):
    """Cosine of the angle, within -1..1; a vector of zeros has cosine 0 to everything."""

    larger_is_nearer = True

    def pairs(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Distance`."""
        return (unit(a) * unit(b)).sum(dim=-1)

    def matrix(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Distance`."""
        return unit(a) @ unit(b).T


class Euclidean(Distance):
    """Length of the difference; 0 between equal vectors, with gradient 0.

    Parameters
    ----------
    normalise : bool
        Whether vectors are brought to unit length first; distances then lie within 0..2.
    """

    larger_is_nearer = False

    def __init__(self, *, normalise: bool) -> None:
        self.normalise = normalise

    def pairs(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Distance`."""
        if self.normalise:
            a, b = unit(a), unit(b)
        difference = a - b
        scale = _scale(difference)
        length: Tensor = torch.linalg.vector_norm(difference / scale, dim=-1)
        return scale.squeeze(-1) * length

    def matrix(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Distance`; needs memory for n m dim numbers."""
        return self.pairs(a.unsqueeze(1), b.unsqueeze(0))
