"""What all methods share that learn from other networks, the teachers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featx.errors import ParameterError
from featx.training.frames import FrameGrid
from featx.training.method import Batch, GradientMethod
from featx.training.samplers import Sampler
from featx.training.songs import Songs
from featx.training.teachers import TeacherSampler, heard, read_teacher
from featx.types import AnyArray


class TeacherMethod(GradientMethod):
    """Predicts what teachers gave for the same seconds: numbers, tags, and tags of the manifest.

    ``params`` are `TeacherParams` and more. A subclass says what `predictions` are and builds a
    module that has them. After `samplers`, ``numbers`` is how many numbers are predicted, ``tags``
    and ``labels`` are the names of tags of the teacher and of the manifest.

    Validation adds ``fidelity``: the mean cosine of predicted and true numbers, both relative to
    their mean over the validation crops.
    """

    validates_by = "it needs songs that the teachers know"

    numbers = 0
    tags: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def views(self) -> bool:
        """Whether examples hold two ``views`` of each crop as well."""
        return False

    @abstractmethod
    def predictions(self, model: Any, batch: Batch) -> dict[str, Tensor]:
        """Return ``numbers``, and logits of ``tags`` and ``labels``, as far as there are any.

        All are ``(batch, size)``.
        """

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return crops with what the teachers gave."""
        if not self.params.teachers and not self.params.tags:
            raise ParameterError(
                "teachers or tags must name outputs of teachers, got neither. Compute some with "
                "featx run and set teachers=STORE:EXTRACTOR.FEATURE."
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
        crops = self.crops()

        def sampler(songs: Songs, jitter: float) -> TeacherSampler:
            return TeacherSampler(
                songs,
                teachers=teachers,
                moments=moments,
                tags=tags,
                labels=self.labels,
                length=crops.length,
                rate=crops.rate / float(FrameGrid.of(crops).unit),
                jitter=jitter,
                views=self.views,
            )

        held = heard(valid, [*teachers, *((tags,) if tags else ())])
        return sampler(train, self.params.jitter), sampler(held, 0.0) if held else None

    def losses(self, model: Any, batch: Batch) -> dict[str, Tensor]:
        """See `losses_of`."""
        return self.losses_of(model, batch, self.predictions(model, batch))

    def losses_of(
        self,
        model: Any,  # noqa: ARG002
        batch: Batch,
        predicted: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        """Return the losses of numbers, tags and labels, as far as they are wanted."""
        bce = functional.binary_cross_entropy_with_logits
        parts: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], float]] = {
            "numbers": (functional.mse_loss, 1.0),
            "tags": (bce, self.params.tag_weight),
            "labels": (bce, self.params.label_weight),
        }
        return {
            name: weight * over_known(loss, predicted[name].float(), batch[name])
            for name, (loss, weight) in parts.items()
            if name in predicted
        }

    def evaluate(self, model: Any, batches: Iterable[Batch]) -> dict[str, float]:
        """Return the losses, and how near the predicted numbers are to the true ones."""
        sums: dict[str, float] = {}
        count = 0
        rows: dict[str, list[AnyArray]] = {"predicted": [], "true": []}
        for batch in batches:
            predicted = self.predictions(model, batch)
            size = len(next(iter(predicted.values())))
            for name, value in self.losses_of(model, batch, predicted).items():
                sums[name] = sums.get(name, 0.0) + float(value) * size
            count += size
            if self.numbers:
                rows["predicted"].append(predicted["numbers"].float().cpu().numpy())
                rows["true"].append(batch["numbers"].cpu().numpy())
        means = {name: value / count for name, value in sums.items()}
        metrics = {"loss": sum(means.values()), **({} if len(means) == 1 else means)}
        if self.numbers:
            numbers, true = map(np.concatenate, rows.values())
            complete = ~np.isnan(true).any(axis=1)
            if complete.any():
                metrics["fidelity"] = _fidelity(numbers[complete], true[complete])
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
