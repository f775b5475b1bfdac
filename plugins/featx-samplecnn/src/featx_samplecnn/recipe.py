"""Training SampleCNN: labelled segments of the waveform in, weights for the extractor out."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from featx import ParameterError
from featx.training import (
    Batch,
    CropSpec,
    Recipe,
    Sampler,
    SegmentSampler,
    Songs,
    macro_roc_auc,
)
from featx_samplecnn.networks import Network, seeded_network
from featx_samplecnn.tags import TAGS

if TYPE_CHECKING:
    from featx.types import AnyArray


class SegmentRecipe(Recipe):
    """What tags and artists share: segments, network, prediction per clip."""

    def crops(self) -> CropSpec:
        """Return one input of the network."""
        config = self.params.config()
        if config.front_end is not None:
            return CropSpec(front_end=config.front_end, length=config.length)
        return CropSpec(sr=config.sr, length=config.length)

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return segments with their labels; the classes are those of the training songs."""
        self.classes = self.names(train)
        length = self.params.config().length
        every = self.params.every_segment
        drawn = SegmentSampler(train, self.labels(train), length=length, every=every)
        known = Songs(song for song in valid if self.knows(song.labels.get("artist", "")))
        if not known:
            return drawn, None
        return drawn, SegmentSampler(known, self.labels(known), length=length)

    def build(self, generator: torch.Generator) -> Network:
        """Return the network with a head for the classes, drawn from ``generator``."""
        config = dataclasses.replace(
            self.params.config(), n_tags=len(self.classes), activation=self.activation
        )
        return seeded_network(config, generator).requires_grad_(True)

    def evaluate(self, model: Network, batches: Iterable[Batch]) -> dict[str, float]:
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

    def losses(self, model: Network, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of the segments under its name."""
        return {self.loss_name: self.loss(model(batch["inputs"]), batch["targets"])}

    def export(self, model: Network) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return the state dict, and the configuration with what the extractor needs to be set."""
        tensors = {
            key: value.numpy()
            for key, value in model.state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
        params = {
            "model": self.params.model,
            "widths": self.params.widths,
            "first_padding": self.params.first_padding,
            "labels": list(self.classes),
            "activation": self.activation,
        }
        return tensors, {"model": model.config.to_json(), "params": params}

    def card(self) -> dict[str, Any]:
        """Return the classes."""
        return {self.class_key: list(self.classes)}

    def knows(self, artist: str) -> bool:  # noqa: ARG002
        """Tell whether a validation song can be judged."""
        return True

    #: How the loss is called in logs, the classes in the card, and what makes them probabilities.
    loss_name: str
    class_key: str
    activation: str

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
    activation = "sigmoid"

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
        area = macro_roc_auc(predicted, targets)
        return {} if area is None else {"auc": area}


class ArtistRecipe(SegmentRecipe):
    """One of the artists: categorical cross-entropy, mean over segments."""

    needs = ("artist",)
    loss_name = "cross_entropy"
    class_key = "artists"
    activation = "softmax"

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
