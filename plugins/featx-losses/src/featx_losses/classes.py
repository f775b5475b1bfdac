"""Classification: every row has a loss of its own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from featx import ParameterError
from featx_losses.composed import ComposedLoss, check_shape
from featx_losses.distances import unit
from featx_losses.reducers import Reducer

__all__ = ["BinaryCrossEntropy", "CrossEntropy", "ProxyBCE"]


class CrossEntropy(ComposedLoss):
    """``-log softmax(logits)[label]``.

    Roles: ``embeddings`` (batch, n_classes), the logits; ``labels`` (batch,), integers; rows with a
    label below 0 do not count.

    Parameters
    ----------
    reducer : Reducer
        How losses (batch, 1) become a scalar.
    smoothing : float in [0, 1)
        Share of the target that is spread over all classes.
    """

    roles = ("embeddings", "labels")

    def __init__(self, reducer: Reducer, *, smoothing: float = 0.0) -> None:
        super().__init__()
        self.reducer, self.smoothing = reducer, smoothing

    def compute(self, *tensors: Tensor) -> Tensor:
        """See `ComposedLoss`."""
        logits, labels = tensors
        check_shape("embeddings", logits, (None, None), expected="(batch, n_classes)")
        check_shape("labels", labels, (len(logits),), expected=f"({len(logits)},)")
        if labels.is_floating_point():
            raise ParameterError(f"labels must be integers, got {labels.dtype}.")
        logs = functional.log_softmax(logits, dim=1)  # (batch, n_classes)
        known = labels >= 0
        right = logs.gather(1, labels.clamp(min=0).long().unsqueeze(1))  # (batch, 1)
        spread = logs.mean(dim=1, keepdim=True)
        losses = -(1.0 - self.smoothing) * right - self.smoothing * spread
        return self.reducer(losses, known.unsqueeze(1))


class BinaryCrossEntropy(ComposedLoss):
    """``-y log s(x) - (1 - y) log(1 - s(x))`` for every tag, s the logistic function.

    Roles: ``embeddings`` (batch, n_tags), the logits; ``labels`` (batch, n_tags) within 0..1.

    Parameters
    ----------
    reducer : Reducer
        How losses (batch, n_tags) become a scalar.
    """

    roles = ("embeddings", "labels")

    def __init__(self, reducer: Reducer) -> None:
        super().__init__()
        self.reducer = reducer

    def compute(self, *tensors: Tensor) -> Tensor:
        """See `ComposedLoss`."""
        logits, labels = tensors
        check_shape("embeddings", logits, (None, None), expected="(batch, n_tags)")
        expected = f"of embeddings, {tuple(logits.shape)}"
        check_shape("labels", labels, tuple(logits.shape), expected=expected)
        return self.reducer(_binary(logits, labels))


class ProxyBCE(ComposedLoss):
    """Binary cross-entropy of the scores of unit embeddings against one trained proxy per tag.

    The score of tag z is ``s(u p_z)`` with ``u = x / |x|`` and a proxy of any length: a cosine
    would keep it within s(-1)..s(1). With masks it is ``s((x m_z) / |x m_z| (p_z m_z))``. Roles:
    ``embeddings`` (batch, dim), ``labels`` (batch, n_classes) within 0..1.

    Parameters
    ----------
    reducer : Reducer
        How losses (batch, n_classes) become a scalar.
    dim : int > 0
        Length of the embeddings.
    n_classes : int > 0
        Tags, each with a proxy.
    masks : tensor, shape (n_classes, dim), optional
        0 where a tag does not look at an embedding.

    References
    ----------
    Lee, Bryan, Salamon, Jin, Nam. "Metric learning vs classification for disentangled music
    representation learning". ISMIR, 2020.
    """

    roles = ("embeddings", "labels")
    masks: Tensor | None

    def __init__(
        self, reducer: Reducer, *, dim: int, n_classes: int, masks: Tensor | None = None
    ) -> None:
        super().__init__()
        if masks is not None:
            check_shape("masks", masks, (n_classes, dim), expected=f"({n_classes}, {dim})")
            masks = masks.to(torch.get_default_dtype(), copy=True)
        self.reducer = reducer
        self.proxies = torch.nn.Parameter(torch.empty(n_classes, dim))
        self.register_buffer("masks", masks)
        self.reset()

    @torch.no_grad()
    def reset(self, generator: torch.Generator | None = None) -> None:
        """Initialise the proxies with normal numbers, with an average length of 1."""
        self.proxies.normal_(0.0, self.proxies.shape[1] ** -0.5, generator=generator)

    def compute(self, *tensors: Tensor) -> Tensor:
        """See `ComposedLoss`."""
        embeddings, labels = tensors
        n_classes, dim = self.proxies.shape
        check_shape("embeddings", embeddings, (None, dim), expected=f"(batch, {dim})")
        batch = len(embeddings)
        check_shape("labels", labels, (batch, n_classes), expected=f"({batch}, {n_classes})")
        return self.reducer(_binary(self.scores(embeddings), labels))

    def scores(self, embeddings: Tensor) -> Tensor:
        """Return the logits of all tags, shape (batch, n_classes)."""
        if self.masks is None:
            return unit(embeddings) @ self.proxies.T
        masked = unit(embeddings.unsqueeze(1) * self.masks)  # (batch, n_classes, dim)
        return torch.einsum("bcd,cd->bc", masked, self.proxies * self.masks)


def _binary(logits: Tensor, labels: Tensor) -> Tensor:
    targets = labels.to(logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
