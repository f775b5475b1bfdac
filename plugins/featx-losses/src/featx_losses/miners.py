"""Which negatives count."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

__all__ = ["AllNegatives", "HardestNegative", "Miner", "SemihardNegatives"]


class Miner(ABC):
    """Chooses among the negatives of every positive pair."""

    @abstractmethod
    def __call__(self, gaps: Tensor, valid: Tensor) -> Tensor:
        """Return a bool mask of the negatives that count, a subset of ``valid``.

        Parameters
        ----------
        gaps : tensor, shape (n_pairs, n_negatives)
            By how much each negative is nearer than the positive (`Distance.gap`).
        valid : bool tensor, shape (n_pairs, n_negatives)
            Which of them are negatives at all.
        """


class AllNegatives(Miner):
    """Every negative counts."""

    def __call__(self, gaps: Tensor, valid: Tensor) -> Tensor:
        """See `Miner`."""
        del gaps
        return valid


class HardestNegative(Miner):
    """The nearest negative of every pair counts, those as near as it included.

    References
    ----------
    Hermans, Beyer, Leibe. "In defense of the triplet loss for person re-identification".
    arXiv:1703.07737, 2017.
    """

    def __call__(self, gaps: Tensor, valid: Tensor) -> Tensor:
        """See `Miner`."""
        if gaps.shape[1] == 0:
            return valid
        known = gaps.detach().masked_fill(~valid, -torch.inf)
        return valid & (known == known.amax(dim=1, keepdim=True))


class SemihardNegatives(Miner):
    """Negatives count that are farther than the positive, but by less than ``margin``.

    Parameters
    ----------
    margin : float > 0
        The margin of the hinge.

    References
    ----------
    Schroff, Kalenichenko, Philbin. "FaceNet: a unified embedding for face recognition and
    clustering". CVPR, 2015.
    """

    def __init__(self, *, margin: float) -> None:
        self.margin = margin

    def __call__(self, gaps: Tensor, valid: Tensor) -> Tensor:
        """See `Miner`."""
        known = gaps.detach()
        return valid & (known < 0) & (known > -self.margin)
