"""The library's losses behind the roles of featx; the only module that imports it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from featx import Loss, ParameterError
from featx.training import take_roles

_RENAMED = {"dim": "embedding_size", "n_classes": "num_classes", "smooth": "smooth_loss"}


class LibraryLoss(Loss, torch.nn.Module):
    """One loss of pytorch-metric-learning.

    Roles: ``embeddings`` (batch, dim), ``labels`` (batch,), integers.

    Parameters
    ----------
    inner : torch.nn.Module
        Called with embeddings and labels.
    n_classes : int, optional
        Labels must be below it.
    """

    def __init__(self, inner: torch.nn.Module, *, n_classes: int | None = None) -> None:
        super().__init__()
        self.inner, self.n_classes = inner, n_classes

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
        embeddings, labels = take_roles(roles, "embeddings", "labels")
        if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
            raise ParameterError(
                "embeddings and labels must have shapes (batch, dim) and (batch,), got "
                f"{tuple(embeddings.shape)} and {tuple(labels.shape)}."
            )
        if len(embeddings) == 0:
            nothing: Tensor = embeddings.sum() * 0.0
            return nothing
        if self.n_classes is not None and not 0 <= labels.min() <= labels.max() < self.n_classes:
            raise ParameterError(
                f"labels must be within 0..{self.n_classes - 1}, got {int(labels.min())}.."
                f"{int(labels.max())}. Set n_classes."
            )
        loss: Tensor = self.inner(embeddings, labels)
        return loss


def factory(name: str) -> Callable[..., LibraryLoss]:
    """Return a function that makes the library's class ``name`` from parameters of featx."""

    def make(**params: Any) -> LibraryLoss:
        try:
            from pytorch_metric_learning import losses
        except ImportError as error:
            raise ParameterError(
                f"{name} needs pytorch-metric-learning, which is not installed. "
                "Run: pip install pytorch-metric-learning"
            ) from error
        renamed = {_RENAMED.get(key, key): value for key, value in params.items()}
        return LibraryLoss(getattr(losses, name)(**renamed), n_classes=params.get("n_classes"))

    return make


triplet_margin = factory("TripletMarginLoss")
contrastive = factory("ContrastiveLoss")
nt_xent = factory("NTXentLoss")
sup_con = factory("SupConLoss")
multi_similarity = factory("MultiSimilarityLoss")
circle = factory("CircleLoss")
arcface = factory("ArcFaceLoss")
cosface = factory("CosFaceLoss")
normalized_softmax = factory("NormalizedSoftmaxLoss")
proxy_anchor = factory("ProxyAnchorLoss")
