"""Training SampleCNN: labelled segments of the waveform in, weights for the extractor out."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featx import ParameterError
from featx.neural import build, load_tensors
from featx.training import Batch, CropSpec, Recipe, Sampler, SegmentSampler, Songs
from featx_samplecnn.model import SampleCNN, initial_tensors
from featx_samplecnn.tags import TAGS

if TYPE_CHECKING:
    from featx.types import AnyArray


class SegmentRecipe(Recipe):
    """What tags and artists share: segments, network, prediction per clip."""

    def crops(self) -> CropSpec:
        """Return one input of the network."""
        config = self.params.config()
        return CropSpec(sr=config.sr, length=config.n_samples)

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return segments with their labels; the classes are those of the training songs."""
        self.classes = self.names(train)
        length = self.params.config().n_samples
        every = self.params.every_segment
        drawn = SegmentSampler(train, self.labels(train), length=length, every=every)
        known = Songs(song for song in valid if self.knows(song.labels.get("artist", "")))
        if not known:
            return drawn, None
        return drawn, SegmentSampler(known, self.labels(known), length=length)

    def build(self, generator: torch.Generator) -> SampleCNN:
        """Return the network with a head for the classes, drawn from ``generator``."""
        config = dataclasses.replace(self.params.config(), n_tags=len(self.classes))
        model = build(lambda: SampleCNN(config))
        drawn = initial_tensors(model, generator)
        tensors = {key: value.numpy() for key, value in drawn.items()}
        return load_tensors(model, tensors, name="samplecnn").requires_grad_(True)

    def evaluate(self, model: SampleCNN, batches: Iterable[Batch]) -> dict[str, float]:
        """Return the mean loss over segments, and what `score` says of predictions per clip."""
        total, count = 0.0, 0
        sums: dict[int, AnyArray] = {}
        targets: dict[int, AnyArray] = {}
        for batch in batches:
            logits = model(batch["inputs"]).float()
            total += float(self.loss(logits, batch["targets"])) * len(logits)
            count += len(logits)
            rows = zip(batch["clip"].tolist(), self.predict(logits).cpu().numpy(), strict=True)
            for row, (clip, prediction) in enumerate(rows):
                sums[clip] = sums.get(clip, 0.0) + prediction
                targets[clip] = batch["targets"][row].cpu().numpy()
        predicted, wanted = (np.stack([by[clip] for clip in sorted(by)]) for by in (sums, targets))
        return {"loss": total / count, **self.score(predicted, wanted)}

    def losses(self, model: SampleCNN, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of the segments under its name."""
        return {self.loss_name: self.loss(model(batch["inputs"]), batch["targets"])}

    def export(self, model: SampleCNN) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return the state dict, and the configuration with the classes of the head."""
        tensors = {
            key: value.numpy()
            for key, value in model.state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
        return tensors, {"model": model.config.to_json(), self.class_key: list(self.classes)}

    def card(self) -> dict[str, Any]:
        """Return the classes."""
        return {self.class_key: list(self.classes)}

    def knows(self, artist: str) -> bool:  # noqa: ARG002
        """Tell whether a validation song can be judged."""
        return True

    #: How the loss is called in logs, and the classes in the configuration.
    loss_name: str
    class_key: str

    @abstractmethod
    def names(self, songs: Songs) -> tuple[str, ...]:
        """Return the classes."""

    @abstractmethod
    def labels(self, songs: Songs) -> AnyArray:
        """Return one target per song."""

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar loss."""

    @abstractmethod
    def predict(self, logits: Tensor) -> Tensor:
        """Return what is averaged over the segments of a clip."""

    @abstractmethod
    def score(self, predicted: AnyArray, targets: AnyArray) -> dict[str, float]:
        """Return metrics of the predictions per clip, (n_clips, n_classes)."""


class TagRecipe(SegmentRecipe):
    """Several tags at once: sum over tags of binary cross-entropy, mean over segments."""

    needs = ("tags",)
    loss_name = "bce"
    class_key = "tags"

    def names(self, songs: Songs) -> tuple[str, ...]:
        """Return the vocabulary."""
        if self.params.vocabulary == "magnatagatune":
            return TAGS
        return songs.vocabulary(self.params.max_tags)

    def labels(self, songs: Songs) -> AnyArray:
        """Return 1 for every tag that a song has, shape (n_songs, n_tags)."""
        rows = [[tag in song.tags for tag in self.classes] for song in songs]
        return np.array(rows, np.float32).reshape(len(songs), len(self.classes))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """See `SegmentRecipe`."""
        total = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        return total / len(logits)

    def predict(self, logits: Tensor) -> Tensor:
        """Return probabilities."""
        return torch.sigmoid(logits)

    def score(self, predicted: AnyArray, targets: AnyArray) -> dict[str, float]:
        """Return the area under the ROC curve, mean over the tags that have both answers."""
        areas = [
            area
            for tag in range(targets.shape[1])
            if (area := roc_auc(predicted[:, tag], targets[:, tag] > 0.5)) is not None
        ]
        return {"auc": float(np.mean(areas))} if areas else {}


class ArtistRecipe(SegmentRecipe):
    """One of the artists: categorical cross-entropy, mean over segments."""

    needs = ("artist",)
    loss_name = "cross_entropy"
    class_key = "artists"

    def names(self, songs: Songs) -> tuple[str, ...]:
        """Return the artists.

        Raises
        ------
        ParameterError
            If there is only one.
        """
        names = songs.names("artist")
        if len(names) < 2:
            raise ParameterError(
                f"manifest must hold training songs of two artists or more, got {len(names)}."
            )
        return names

    def knows(self, artist: str) -> bool:
        """Tell whether the artist is one of the classes."""
        return artist in self.classes

    def labels(self, songs: Songs) -> AnyArray:
        """Return the number of each song's artist."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[song.labels["artist"]] for song in songs], np.int64)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """See `SegmentRecipe`."""
        return functional.cross_entropy(logits, targets)

    def predict(self, logits: Tensor) -> Tensor:
        """Return log probabilities."""
        return functional.log_softmax(logits, dim=1)

    def score(self, predicted: AnyArray, targets: AnyArray) -> dict[str, float]:
        """Return the share of clips whose artist is named."""
        return {"accuracy": float((predicted.argmax(axis=1) == targets).mean())}


def roc_auc(scores: Sequence[float] | AnyArray, positive: AnyArray) -> float | None:
    """Return the probability that a positive scores above a negative, ties counting half.

    None where there are no positives, or no negatives.
    """
    scores = np.asarray(scores, np.float64)
    n_positive = int(positive.sum())
    n_negative = len(scores) - n_positive
    if n_positive == 0 or n_negative == 0:
        return None
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    del values
    above = ranks[positive].sum() - n_positive * (n_positive + 1) / 2.0
    return float(above / (n_positive * n_negative))
