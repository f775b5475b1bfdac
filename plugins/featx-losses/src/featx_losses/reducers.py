"""From a table of losses to one number; a table without valid entries gives 0 with a gradient."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

__all__ = ["ActiveMean", "Mean", "Reducer", "RowMean", "Sum"]


class Reducer(ABC):
    """Adds up what is valid."""

    def __call__(self, values: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return a scalar.

        Parameters
        ----------
        values : tensor, shape (n_rows, n_columns)
            Losses; a row is an anchor, an example or a pair.
        valid : bool tensor, shape (n_rows, n_columns), optional
            Which of them count; all of them if omitted.
        """
        if valid is None:
            valid = torch.ones_like(values, dtype=torch.bool)
        total = torch.where(valid, values, 0.0).sum()
        return total / self.count(values.detach(), valid).clamp(min=1)

    @abstractmethod
    def count(self, values: Tensor, valid: Tensor) -> Tensor:
        """Return what the sum is divided by, if it is above 1."""


class Sum(Reducer):
    """The sum; learning rates then go with the size of the batch."""

    def count(self, values: Tensor, valid: Tensor) -> Tensor:
        """See `Reducer`."""
        del valid
        return values.new_ones(())


class Mean(Reducer):
    """The mean over valid entries."""

    def count(self, values: Tensor, valid: Tensor) -> Tensor:
        """See `Reducer`."""
        del values
        return valid.sum()


class ActiveMean(Reducer):
    """The mean over entries above 0: those that still teach something."""

    def count(self, values: Tensor, valid: Tensor) -> Tensor:
        """See `Reducer`."""
        return (valid & (values > 0)).sum()


class RowMean(Reducer):
    """The sum within a row, the mean over the rows that have a valid entry."""

    def count(self, values: Tensor, valid: Tensor) -> Tensor:
        """See `Reducer`."""
        del values
        return valid.any(dim=1).sum()
