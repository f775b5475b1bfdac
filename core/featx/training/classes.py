"""What a classifier is trained to say of a segment: artists or tags, their losses and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featx.errors import ParameterError
from featx.training.method import Batch, GradientMethod
from featx.training.metrics import macro_roc_auc
from featx.training.samplers import Sampler, SegmentSampler
from featx.training.songs import Songs
from featx.types import AnyArray


class Classes(ABC):
    """The classes of a classifier: which there are, and how answers are judged.

    `fit` comes first. ``names`` are the classes, ``key`` what they are called in configurations,
    ``loss_name`` what the loss is called in logs, ``activation`` what makes logits probabilities
    (``softmax`` or ``sigmoid``), ``needs`` the columns of the manifest without which a song is of
    no use.
    """

    key: str
    loss_name: str
    activation: str
    needs: tuple[str, ...]

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()

    def fit(self, songs: Songs) -> None:
        """Take the classes of the training songs.

        Raises
        ------
        ParameterError
            If there are fewer classes than a classifier needs.
        """
        self.names = self._names(songs)

    @abstractmethod
    def _names(self, songs: Songs) -> tuple[str, ...]: ...

    @abstractmethod
    def known(self, songs: Songs) -> Songs:
        """Return the songs that can be judged."""

    @abstractmethod
    def labels(self, songs: Songs) -> AnyArray:
        """Return one target per song, first axis ``n_songs``."""

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over segments, a scalar; logits are ``(batch, n_classes)``."""

    @abstractmethod
    def predict(self, logits: Tensor) -> Tensor:
        """Return what is averaged over the segments of a clip, ``(batch, n_classes)``."""

    @abstractmethod
    def score(self, predicted: AnyArray, targets: AnyArray) -> dict[str, float]:
        """Return metrics of the means over clips, ``(n_clips, n_classes)``."""


class ArtistClasses(Classes):
    """One of the artists of the training songs: categorical cross-entropy, accuracy."""

    key = "artists"
    loss_name = "cross_entropy"
    activation = "softmax"
    needs = ("artist",)

    def _names(self, songs: Songs) -> tuple[str, ...]:
        names = songs.names("artist")
        if len(names) < 2:
            raise ParameterError(
                f"manifest must hold training songs of two artists or more, got {len(names)}."
            )
        return names

    def known(self, songs: Songs) -> Songs:
        """Return the songs of the training artists."""
        names = set(self.names)
        return Songs(song for song in songs if song.labels.get("artist", "") in names)

    def labels(self, songs: Songs) -> AnyArray:
        """Return the number of each song's artist, shape (n_songs,)."""
        numbers = {name: number for number, name in enumerate(self.names)}
        return np.array([numbers[song.labels["artist"]] for song in songs], np.int64)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(logits, targets)

    def predict(self, logits: Tensor) -> Tensor:
        """Return log probabilities."""
        return functional.log_softmax(logits, dim=1)

    def score(self, predicted: AnyArray, targets: AnyArray) -> dict[str, float]:
        """Return the share of clips whose artist is named, ``accuracy``."""
        return {"accuracy": float((predicted.argmax(axis=1) == targets).mean())}


class TagClasses(Classes):
    """Several tags at once: binary cross-entropy summed over tags, area under the ROC curve.

    Parameters
    ----------
    vocabulary : sequence of str, optional
        The tags in their order; by default the most frequent ones of the training songs.
    max_tags : int > 0, optional
        Most tags without a vocabulary; all by default.
    """

    key = "tags"
    loss_name = "bce"
    activation = "sigmoid"
    needs = ("tags",)

    def __init__(
        self, vocabulary: Sequence[str] | None = None, *, max_tags: int | None = None
    ) -> None:
        super().__init__()
        self.vocabulary, self.max_tags = vocabulary, max_tags

    def _names(self, songs: Songs) -> tuple[str, ...]:
        if self.vocabulary is not None:
            return tuple(self.vocabulary)
        return songs.vocabulary(self.max_tags)

    def known(self, songs: Songs) -> Songs:
        """Return all: none of the tags is an answer as well."""
        return songs

    def labels(self, songs: Songs) -> AnyArray:
        """Return 1 for every tag that a song has, shape (n_songs, n_tags)."""
        rows = [[tag in song.tags for tag in self.names] for song in songs]
        return np.array(rows, np.float32).reshape(len(songs), len(self.names))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        total = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        return total / len(logits)

    def predict(self, logits: Tensor) -> Tensor:
        """Return probabilities."""
        return torch.sigmoid(logits)

    def score(self, predicted: AnyArray, targets: AnyArray) -> dict[str, float]:
        """Return ``auc``, the mean over the tags that have both answers; nothing without any."""
        area = macro_roc_auc(predicted, targets)
        return {} if area is None else {"auc": area}


class ClassifierMethod(GradientMethod):
    """A method that teaches segments their classes, and judges by means over clips.

    A subclass sets ``classes`` in its constructor and says what a crop, a model and its export are.
    """

    classes: Classes
    #: Whether an epoch holds every segment of every song, or one crop of each.
    every_segment = False

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return labelled segments; songs that cannot be judged do not validate."""
        self.classes.fit(train)
        length = self.crops().length
        drawn = SegmentSampler(
            train, self.classes.labels(train), length=length, every=self.every_segment
        )
        known = self.classes.known(valid)
        if not known:
            return drawn, None
        return drawn, SegmentSampler(known, self.classes.labels(known), length=length)

    def logits(self, model: Any, batch: Batch) -> Tensor:
        """Return ``(batch, n_classes)``."""
        logits: Tensor = model(batch["inputs"])
        return logits

    def losses(self, model: Any, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of the segments under its name."""
        loss = self.loss_of(self.logits(model, batch), batch["targets"])
        return {self.classes.loss_name if self.loss is None else "loss": loss}

    def loss_of(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the chosen loss of a batch, or that of the classes."""
        if self.loss is None:
            return self.classes.loss(logits, targets)
        loss: Tensor = self.loss(embeddings=logits, labels=targets)
        return loss

    def evaluate(self, model: Any, batches: Iterable[Batch]) -> dict[str, float]:
        """Return the mean loss over segments, and what the classes say of means over clips."""
        total, count = 0.0, 0
        rows: dict[int, list[AnyArray]] = {}
        targets: dict[int, AnyArray] = {}
        for batch in batches:
            logits = self.logits(model, batch).float()
            value = float(self.loss_of(logits, batch["targets"]))
            total += value * (len(logits) if self.reduction == "mean" else 1)
            count += len(logits)
            predicted = self.classes.predict(logits).cpu().numpy()
            expected = batch["targets"].cpu().numpy()
            for row, clip in enumerate(batch["clip"].tolist()):
                rows.setdefault(clip, []).append(predicted[row])
                targets[clip] = expected[row]
        clips = sorted(rows)
        means = np.stack([np.mean(rows[clip], axis=0) for clip in clips])
        truth = np.stack([targets[clip] for clip in clips])
        return {"loss": total / count, **self.classes.score(means, truth)}

    def card(self) -> dict[str, Any]:
        """Return the classes."""
        return {self.classes.key: list(self.classes.names)}
