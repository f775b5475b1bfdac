"""Hinges: a positive must be nearer than negatives, by a margin."""

from __future__ import annotations

import torch
from torch import Tensor

from featx_losses.composed import ComposedLoss, check_shape
from featx_losses.distances import Distance
from featx_losses.miners import Miner
from featx_losses.reducers import Reducer

__all__ = ["BatchHinge", "TripletHinge"]


class TripletHinge(ComposedLoss):
    """``max(0, margin + gap)`` for every anchor and each of its negatives.

    Roles: ``anchors`` and ``positives`` (batch, dim), ``negatives`` (batch, dim) or (batch,
    n_negatives, dim). The gap is ``D(a, p) - D(a, n)`` for a distance and ``S(a, n) - S(a, p)`` for
    a similarity.

    Parameters
    ----------
    distance : Distance
        How vectors are compared.
    miner : Miner
        Which negatives count.
    reducer : Reducer
        How hinges (batch, n_negatives) become a scalar.
    margin : float > 0
        In the unit of the distance.
    """

    roles = ("anchors", "positives", "negatives")

    def __init__(
        self, distance: Distance, miner: Miner, reducer: Reducer, *, margin: float
    ) -> None:
        super().__init__()
        self.distance, self.miner, self.reducer, self.margin = distance, miner, reducer, margin

    def compute(self, *tensors: Tensor) -> Tensor:
        """See `ComposedLoss`."""
        anchors, positives, negatives = tensors
        check_shape("anchors", anchors, (None, None), expected="(batch, dim)")
        batch, dim = anchors.shape
        check_shape("positives", positives, (batch, dim), expected=f"of anchors, {(batch, dim)}")
        if negatives.ndim == 2:
            negatives = negatives.unsqueeze(1)  # (batch, 1, dim)
        expected = f"({batch}, {dim}) or ({batch}, n_negatives, {dim})"
        check_shape("negatives", negatives, (batch, None, dim), expected=expected)
        near = self.distance.pairs(anchors, positives)  # (batch,)
        far = self.distance.pairs(anchors.unsqueeze(1), negatives)  # (batch, n_negatives)
        gaps = self.distance.gap(near.unsqueeze(1), far)
        valid = self.miner(gaps, torch.ones_like(gaps, dtype=torch.bool))
        return self.reducer((self.margin + gaps).clamp(min=0), valid)


class BatchHinge(ComposedLoss):
    """Triplets from labels: every pair of one class, against the other classes of the batch.

    Roles: ``embeddings`` (batch, dim), ``labels`` (batch,), integers. Parameters are those of
    `TripletHinge`; rows of the reducer are ordered pairs of one class.
    """

    roles = ("embeddings", "labels")

    def __init__(
        self, distance: Distance, miner: Miner, reducer: Reducer, *, margin: float
    ) -> None:
        super().__init__()
        self.distance, self.miner, self.reducer, self.margin = distance, miner, reducer, margin

    def compute(self, *tensors: Tensor) -> Tensor:
        """See `ComposedLoss`."""
        embeddings, labels = tensors
        check_shape("embeddings", embeddings, (None, None), expected="(batch, dim)")
        batch = len(embeddings)
        check_shape("labels", labels, (batch,), expected=f"({batch},)")
        values = self.distance.matrix(embeddings, embeddings)  # (batch, batch)
        same = labels.unsqueeze(1) == labels.unsqueeze(0)
        itself = torch.eye(batch, dtype=torch.bool, device=same.device)
        first, second = (same & ~itself).nonzero(as_tuple=True)
        gaps = self.distance.gap(values[first, second].unsqueeze(1), values[first])
        valid = self.miner(gaps, ~same[first])  # (n_pairs, batch)
        return self.reducer((self.margin + gaps).clamp(min=0), valid)
