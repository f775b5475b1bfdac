"""Contrast: the positive must win a softmax against negatives."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from featx import ParameterError
from featx_losses.composed import ComposedLoss, check_shape
from featx_losses.distances import Distance
from featx_losses.reducers import Reducer

__all__ = ["InfoNCE", "NTXent"]


def contrast(positive: Tensor, negatives: Tensor, valid: Tensor) -> Tensor:
    """Return ``-log(exp(p) / (exp(p) + sum over valid n of exp(n)))``, shape of ``positive``.

    Parameters
    ----------
    positive : tensor, shape (n,)
        Scores divided by the temperature.
    negatives : tensor, shape (n, m)
        Likewise.
    valid : bool tensor, shape (n, m)
        Without a valid negative the loss is 0.
    """
    if negatives.shape[1] == 0:
        return positive * 0.0
    # finite, because the softmax over nothing but -inf is NaN
    lowest = torch.finfo(negatives.dtype).min
    others = torch.where(valid, negatives, lowest)
    total = torch.logsumexp(others, dim=1)
    return torch.where(valid.any(dim=1), functional.softplus(total - positive), positive * 0.0)


class NTXent(ComposedLoss):
    """Normalised temperature-scaled cross-entropy: views of one example among the whole batch.

    Role: ``views`` (batch, n_views, dim). Every ordered pair of views of an example is a positive;
    negatives are all views of the other examples.

    Parameters
    ----------
    distance : Distance
        How vectors are compared; the paper takes the cosine.
    reducer : Reducer
        How losses (batch n_views, n_views - 1) become a scalar.
    temperature : float > 0
        Scores are divided by it.

    References
    ----------
    Chen, Kornblith, Norouzi, Hinton. "A simple framework for contrastive learning of visual
    representations". ICML, 2020, eq. 1.
    """

    roles = ("views",)

    def __init__(self, distance: Distance, reducer: Reducer, *, temperature: float) -> None:
        super().__init__()
        self.distance, self.reducer, self.temperature = distance, reducer, temperature

    def compute(self, *tensors: Tensor) -> Tensor:
        """See `ComposedLoss`."""
        (views,) = tensors
        _check_views(views)
        batch, n_views, dim = views.shape
        flat = views.reshape(batch * n_views, dim)
        scores = self.distance.score(self.distance.matrix(flat, flat)) / self.temperature
        example = torch.arange(batch, device=views.device).repeat_interleave(n_views)
        other = example.unsqueeze(1) != example.unsqueeze(0)  # (batch n_views, batch n_views)
        itself = torch.eye(len(flat), dtype=torch.bool, device=views.device)
        first, second = (~other & ~itself).nonzero(as_tuple=True)
        losses = contrast(scores[first, second], scores[first], other[first])
        return self.reducer(losses.reshape(batch * n_views, n_views - 1))


class InfoNCE(ComposedLoss):
    """Queries find their key among keys of the batch and a queue of earlier ones.

    Role: ``views`` (batch, n_views, dim): a query, its key, and any number of hard negatives of
    this query. The call changes nothing; `enqueue` adds keys when a step is over. Keys are not
    detached: encode them without gradients where a momentum encoder makes them.

    Parameters
    ----------
    distance : Distance
        How vectors are compared; the paper takes the cosine.
    reducer : Reducer
        How losses (batch, 1) become a scalar.
    temperature : float > 0
        Scores are divided by it.
    dim : int > 0
        Length of the vectors.
    queue_size : int >= 0
        Keys that are kept, the newest ones; the queue begins empty.
    in_batch : bool
        Whether the keys of the other examples are negatives, too.

    References
    ----------
    van den Oord, Li, Vinyals. "Representation learning with contrastive predictive coding".
    arXiv:1807.03748, 2018, eq. 4.
    He, Fan, Wu, Xie, Girshick. "Momentum contrast for unsupervised visual representation
    learning". CVPR, 2020, eq. 1 (the queue).
    """

    roles = ("views",)
    queue: Tensor
    written: Tensor

    def __init__(
        self,
        distance: Distance,
        reducer: Reducer,
        *,
        temperature: float,
        dim: int,
        queue_size: int,
        in_batch: bool,
    ) -> None:
        super().__init__()
        self.distance, self.reducer, self.temperature = distance, reducer, temperature
        self.in_batch = in_batch
        self.register_buffer("queue", torch.zeros(queue_size, dim))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put ``keys`` (n, dim) in the place of the oldest ones.

        Raises
        ------
        ParameterError
            If ``keys`` have another shape.
        """
        size, dim = self.queue.shape
        check_shape("keys", keys, (None, dim), expected=f"(n, {dim})")
        newest = keys[max(len(keys) - size, 0) :]
        if len(newest) == 0:
            return
        first = self.written + len(keys) - len(newest)
        places = (first + torch.arange(len(newest), device=self.queue.device)) % size
        self.queue[places] = newest.to(self.queue)
        self.written += len(keys)

    def compute(self, *tensors: Tensor) -> Tensor:
        """See `ComposedLoss`."""
        (views,) = tensors
        _check_views(views)
        if views.shape[2] != self.queue.shape[1]:
            raise ParameterError(
                f"views must have dim {self.queue.shape[1]} in the last axis, got "
                f"{views.shape[2]}. Set dim."
            )
        queries, keys, hard = views[:, 0], views[:, 1], views[:, 2:]
        batch, size = len(views), len(self.queue)
        within = self.distance.matrix(queries, keys)  # (batch, batch)
        itself = torch.eye(batch, dtype=torch.bool, device=views.device)
        # a copy, because enqueue changes the queue before gradients are calculated
        queued = self.distance.matrix(queries, self.queue.to(views.dtype, copy=True))
        filled = torch.arange(size, device=views.device) < self.written
        apart = self.distance.pairs(queries.unsqueeze(1), hard)  # (batch, n_views - 2)
        negatives = torch.cat([within, queued, apart], dim=1)
        valid = torch.cat(
            [
                ~itself & self.in_batch,
                filled.expand(batch, size),
                torch.ones_like(apart, dtype=torch.bool),
            ],
            dim=1,
        )
        positive = self.distance.score(within.diagonal()) / self.temperature
        losses = contrast(positive, self.distance.score(negatives) / self.temperature, valid)
        return self.reducer(losses.unsqueeze(1))


def _check_views(views: Tensor) -> None:
    if views.ndim != 3 or views.shape[1] < 2:
        raise ParameterError(
            f"views must have shape (batch, n_views, dim), two views at least, got "
            f"{tuple(views.shape)}."
        )
