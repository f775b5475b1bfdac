"""Training: predictions of teachers, contrast between views, tags of the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from featx import ParameterError
from featx.frontend import preset
from featx.neural import seeded, state_tensors
from featx.training import (
    Batch,
    CropSpec,
    GradientMethod,
    Sampler,
    Songs,
    TrackSampler,
    make_loss,
)
from featx_contrastive.config import FRONT_END, LENGTH, NETWORK, SR
from featx_contrastive.model import Network
from featx_contrastive.teachers import TeacherSampler, heard, read_teacher

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


class DistilMethod(StudentMethod):
    """Numbers and tags of teachers, with a contrast and tags of the manifest where wanted.

    Validation adds ``fidelity``: the mean cosine of predicted and true numbers, both relative to
    their mean over the validation crops.
    """

    validates_by = "it needs songs that the teachers know"

    @property
    def contrasts(self) -> bool:
        """Whether views are compared."""
        return bool(self.params.contrast_weight > 0)

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return crops with what the teachers gave."""
        if not self.params.teachers and not self.params.tags:
            raise ParameterError(
                "teachers or tags must name outputs of teachers, got neither. Compute some with "
                "featx run and set teachers=STORE:EXTRACTOR.FEATURE; the method contrast needs "
                "none."
            )
        ids = [song.track_id for song in (*train, *valid)]
        teachers = [read_teacher(text, ids) for text in self.params.teachers]
        tags = read_teacher(self.params.tags, ids) if self.params.tags else None
        self.numbers = sum(teacher.dim for teacher in teachers)
        self.tags = tags.names if tags else ()
        self.labels = train.vocabulary() if self.params.label_weight else ()
        known = [
            [song.track_id for song in train if song.track_id in teacher.values]
            for teacher in teachers
        ]
        moments = [teacher.moments(names) for teacher, names in zip(teachers, known, strict=True)]

        def sampler(songs: Songs, jitter: float) -> TeacherSampler:
            return TeacherSampler(
                songs,
                teachers=teachers,
                moments=moments,
                tags=tags,
                labels=self.labels,
                length=LENGTH,
                rate=SR / float(preset(FRONT_END).hop),
                jitter=jitter,
                views=self.contrasts,
            )

        held = heard(valid, [*teachers, *((tags,) if tags else ())])
        return sampler(train, self.params.jitter), sampler(held, 0.0) if held else None

    def losses(self, model: Student, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of numbers, tags, labels and contrast, as far as they are wanted."""
        embeddings = model.network(batch["inputs"])  # (batch, dim)
        heads = model.network.heads
        losses = {}
        if self.numbers:
            predicted = heads["similarity"](embeddings).float()
            losses["numbers"] = over_known(functional.mse_loss, predicted, batch["numbers"])
        if self.tags:
            logits = heads["tags"](embeddings).float()
            bce = functional.binary_cross_entropy_with_logits
            losses["tags"] = self.params.tag_weight * over_known(bce, logits, batch["tags"])
        if self.labels:
            logits = model.labels(embeddings).float()
            bce = functional.binary_cross_entropy_with_logits
            losses["labels"] = self.params.label_weight * over_known(bce, logits, batch["labels"])
        if self.contrasts:
            losses["contrast"] = self.params.contrast_weight * self.contrast(model, batch["views"])
        return losses

    def evaluate(self, model: Student, batches: Iterable[Batch]) -> dict[str, float]:
        """Return the losses, and how near the predicted numbers are to the true ones."""
        rows: dict[str, list[AnyArray]] = {"predicted": [], "true": []}

        def noted() -> Iterable[Batch]:
            for batch in batches:
                if self.numbers:
                    embeddings = model.network(batch["inputs"])
                    predicted = model.network.heads["similarity"](embeddings).float()
                    rows["predicted"].append(predicted.cpu().numpy())
                    rows["true"].append(batch["numbers"].cpu().numpy())
                yield batch

        metrics = super().evaluate(model, noted())
        if self.numbers:
            predicted, true = map(np.concatenate, rows.values())
            complete = ~np.isnan(true).any(axis=1)
            if complete.any():
                metrics["fidelity"] = _fidelity(predicted[complete], true[complete])
        return metrics


def over_known(loss: Callable[[Tensor, Tensor], Tensor], predicted: Tensor, true: Tensor) -> Tensor:
    """Return the mean ``loss`` over the entries of ``true`` that are not NaN; 0 without any."""
    known = ~torch.isnan(true)
    if not known.any():
        return predicted.sum() * 0.0
    return loss(predicted[known], true[known])


def _fidelity(predicted: AnyArray, true: AnyArray) -> float:
    """Return the mean cosine of rows relative to their means."""
    parts = [rows - rows.mean(axis=0) for rows in (predicted, true)]
    lengths = [np.linalg.norm(part, axis=1) for part in parts]
    cosines = (parts[0] * parts[1]).sum(axis=1) / np.maximum(lengths[0] * lengths[1], 1e-12)
    return float(cosines.mean())
