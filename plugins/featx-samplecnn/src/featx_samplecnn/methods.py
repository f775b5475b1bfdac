"""Training SampleCNN: labelled segments of the waveform in, weights for the extractor out."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx import ParameterError
from featx.neural import check_config, seeded, state_tensors
from featx.training import (
    ArtistClasses,
    Batch,
    ClassifierMethod,
    CropSpec,
    TagClasses,
    TeacherMethod,
)
from featx_samplecnn.config import SampleCNNConfig
from featx_samplecnn.convert import checkpoint
from featx_samplecnn.fast import TimeFirst
from featx_samplecnn.model import SampleCNN, levelled
from featx_samplecnn.networks import GLOROT, Network, make_network, seeded_network
from featx_samplecnn.tags import TAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx.types import AnyArray


def crops_of(params: Any) -> CropSpec:
    """Return one input of the network that parameters name."""
    config = params.config()
    if config.front_end is not None:
        return CropSpec(front_end=config.front_end, length=config.length)
    return CropSpec(sr=config.sr, length=config.length)


def exported(
    model: Network, params: Any, *, labels: Sequence[str], activation: str
) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Return the state dict, and the configuration with what the extractor needs to be set."""
    settings = {
        "model": params.model,
        "widths": params.widths,
        "first_padding": params.first_padding,
        "level": params.level,
        "labels": list(labels),
        "activation": activation,
    }
    return state_tensors(model), {"model": model.config.to_json(), "params": settings}


class SegmentMethod(ClassifierMethod):
    """What tags and artists share: inputs, network, export."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.every_segment = params.every_segment

    def crops(self) -> CropSpec:
        """Return one input of the network."""
        return crops_of(self.params)

    def build(self, generator: torch.Generator) -> Network:
        """Return the network with a head for the classes, drawn from ``generator``."""
        config = dataclasses.replace(
            self.params.config(),
            n_tags=len(self.classes.names),
            activation=self.classes.activation,
        )
        return seeded_network(config, generator).requires_grad_(True)

    def logits(self, model: Network, batch: Batch) -> Tensor:
        """Return ``(batch, n_classes)``."""
        logits: Tensor = model(levelled(batch["inputs"], self.params.level))
        return logits

    def export(self, model: Network) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return what `exported` does."""
        classes = self.classes
        return exported(model, self.params, labels=classes.names, activation=classes.activation)


class TagMethod(SegmentMethod):
    """Several tags at once: sum over tags of binary cross-entropy, mean over segments."""

    needs = TagClasses.needs

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        vocabulary = TAGS if params.vocabulary == "magnatagatune" else None
        self.classes = TagClasses(vocabulary, max_tags=params.max_tags)


class ArtistMethod(SegmentMethod):
    """One of the artists: categorical cross-entropy, mean over segments."""

    needs = ArtistClasses.needs

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.classes = ArtistClasses()


class Student(nn.Module):
    """The network, and heads that only training uses: numbers of teachers, tags of the manifest."""

    def __init__(self, network: Network, *, numbers: int, labels: int, frozen: int) -> None:
        super().__init__()
        self.network, self.frozen = network, frozen
        for name, size in (("numbers", numbers), ("labels", labels)):
            if size:
                self.add_module(name, nn.Linear(network.config.embedding_dim, size))
        self._first: TimeFirst | None = None

    def forward(self, y: Tensor) -> Tensor:
        """Map inputs to the last hidden layer, ``(batch, embedding_dim)``."""
        network = self.network
        y = levelled(y, network.config.level)
        if not isinstance(network, SampleCNN):
            return network.embed(network.encode(y))
        x = self._frames(network, y).unsqueeze(2)  # (batch, channels, 1, time)
        modules = zip(network.stages, network.config.modules, strict=True)
        for stage, size in list(modules)[self.frozen :]:
            # the maximum and the ReLU change places freely, and fewer values are left for it
            x = functional.relu(functional.max_pool2d(stage.lines(x), (1, size)))  # type: ignore[operator]
        return functional.relu(network.top.lines(x).flatten(1))  # (batch, 512), one frame is left

    def _frames(self, network: SampleCNN, y: Tensor) -> Tensor:
        """Return what the first module reads that is trained, ``(batch, channels, time)``."""
        if not self.frozen:
            frames: Tensor = network.stem(y if network.config.bands else y.unsqueeze(1))
            return frames
        if self._first is None:  # not before a state was restored
            short = torch.is_autocast_enabled(y.device.type)
            dtype = torch.get_autocast_dtype(y.device.type) if short else torch.float32
            self._first = TimeFirst(copy.deepcopy(network).eval(), dtype=dtype)
        with torch.no_grad(), torch.autocast(y.device.type, enabled=False):
            return self._first.frames(y, self.frozen)


class DistilMethod(TeacherMethod):
    """Numbers and tags of teachers; what is exported is the network with the tags as classes."""

    def crops(self) -> CropSpec:
        """Return one input of the network."""
        return crops_of(self.params)

    def build(self, generator: torch.Generator) -> Student:
        """Return network and heads, drawn from ``generator`` or taken from ``start``."""
        params = self.params
        if not self.tags:
            raise ParameterError("tags must be STORE:EXTRACTOR.FEATURE, got none.")
        config = dataclasses.replace(
            params.config(), n_tags=len(self.tags), activation="sigmoid", dropout=0.0
        )
        most = len(config.modules) - 1 if isinstance(config, SampleCNNConfig) else 0
        if params.frozen and not (params.start and params.frozen <= most):
            raise ParameterError(
                f"frozen must be 0 without start, and at most {most} for {params.model!r}, got "
                f"{params.frozen}."
            )

        def make() -> Student:
            network = make_network(config)
            sizes = {"numbers": self.numbers, "labels": len(self.labels)}
            return Student(network, frozen=params.frozen, **sizes)

        student = seeded(make, generator, glorot=GLOROT).requires_grad_(True)
        if params.start:
            self._begin(student.network)
        return student

    def _begin(self, network: Network) -> None:
        """Give a network the weights of ``start``, all but the classifier."""
        path = Path(self.params.start)
        arrays, stored = checkpoint(path / "samplecnn.safetensors" if path.is_dir() else path)
        ignored = ("n_tags", "activation", "level", "dropout")
        check_config(stored.get("model"), network.config.to_json(), name=str(path), ignore=ignored)
        tensors = {
            name: torch.from_numpy(array).float()
            for name, array in arrays.items()
            if not name.startswith("head.")
        }
        network.load_state_dict({**network.state_dict(), **tensors})

    def predictions(self, model: Student, batch: Batch) -> dict[str, Tensor]:
        """Return what the heads make of the last hidden layer."""
        hidden = model(batch["inputs"])  # (batch, 512)
        predicted = {"tags": model.network.classify(hidden)}
        for name in ("numbers", "labels"):
            if hasattr(model, name):
                predicted[name] = getattr(model, name)(hidden)
        return predicted

    def export(self, model: Student) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return what `exported` does of the network."""
        return exported(model.network, self.params, labels=self.tags, activation="sigmoid")
