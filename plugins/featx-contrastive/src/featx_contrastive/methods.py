"""Training: predictions of teachers, contrast between views, tags of the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from featx.neural import seeded, state_tensors
from featx.training import (
    Batch,
    CropSpec,
    GradientMethod,
    Sampler,
    Songs,
    TeacherMethod,
    TrackSampler,
    make_loss,
)
from featx_contrastive.config import FRONT_END, LENGTH, NETWORK
from featx_contrastive.model import Network

if TYPE_CHECKING:
    from featx.types import AnyArray

#: The loss of two views, by the name under which a plugin brings it.
NT_XENT = "nt-xent"


class Student(nn.Module):
    """The network, and what is used while training only: the projection of views, other heads."""

    def __init__(self, network: Network, *, projection: int = 0, labels: int = 0) -> None:
        super().__init__()
        self.network = network
        dim = network.config.dim
        if projection:
            self.projection = nn.Sequential(
                nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, projection)
            )
        if labels:
            self.labels = nn.Linear(dim, labels)


class StudentMethod(GradientMethod):
    """What both methods share: crops of 3 s, the network, its export."""

    numbers = 0
    tags: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def crops(self) -> CropSpec:
        """Return 96 frames; the front end has one level per recording, so they need a store."""
        return CropSpec(front_end=FRONT_END, length=LENGTH)

    @property
    def contrasts(self) -> bool:
        """Whether views are compared."""
        return True

    def build(self, generator: torch.Generator) -> Student:
        """Return network and heads."""

        def make() -> Student:
            network = Network(NETWORK, numbers=self.numbers, tags=len(self.tags))
            return Student(
                network,
                projection=self.params.projection if self.contrasts else 0,
                labels=len(self.labels),
            )

        return seeded(make, generator).requires_grad_(True)

    def contrast(self, model: Student, views: Tensor) -> Tensor:
        """Return the contrast between views ``(batch, n_views, time, band)``."""
        embeddings = model.network(views.flatten(0, 1))  # (batch n_views, dim)
        projected = model.projection(embeddings).float().unflatten(0, views.shape[:2])
        loss: Tensor = make_loss(NT_XENT, temperature=self.params.temperature)(views=projected)
        return loss

    def export(self, model: Student) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return the state of the network without projection, and what it predicts."""
        config = {
            "model": NETWORK.to_json(),
            "front_end": FRONT_END,
            "params": {"numbers": self.numbers, "tags": list(self.tags)},
        }
        return state_tensors(model.network), config


class ContrastMethod(StudentMethod):
    """Two changed views of a crop among views of other recordings."""

    validates_by = "it needs two songs or more"

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return views; validation needs songs to tell apart."""
        drawn = TrackSampler(train, length=LENGTH, augment=True)
        return drawn, TrackSampler(valid, length=LENGTH, augment=True) if len(valid) > 1 else None

    def losses(self, model: Student, batch: Batch) -> dict[str, Tensor]:
        """Return the contrast."""
        return {"contrast": self.contrast(model, batch["views"])}


class DistilMethod(StudentMethod, TeacherMethod):
    """Numbers and tags of teachers, with a contrast and tags of the manifest where wanted."""

    @property
    def contrasts(self) -> bool:
        """Whether views are compared."""
        return bool(self.params.contrast_weight > 0)

    @property
    def views(self) -> bool:
        """Whether examples hold views."""
        return self.contrasts

    def predictions(self, model: Student, batch: Batch) -> dict[str, Tensor]:
        """Return what the heads make of the embedding."""
        embeddings = model.network(batch["inputs"])  # (batch, dim)
        heads = model.network.heads
        predicted = {}
        if self.numbers:
            predicted["numbers"] = heads["similarity"](embeddings)
        if self.tags:
            predicted["tags"] = heads["tags"](embeddings)
        if self.labels:
            predicted["labels"] = model.labels(embeddings)
        return predicted

    def losses_of(
        self, model: Student, batch: Batch, predicted: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the losses of numbers, tags, labels and contrast, as far as they are wanted."""
        losses = super().losses_of(model, batch, predicted)
        if self.contrasts:
            losses["contrast"] = self.params.contrast_weight * self.contrast(model, batch["views"])
        return losses
