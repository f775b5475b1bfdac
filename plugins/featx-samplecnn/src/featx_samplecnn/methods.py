"""Training SampleCNN: labelled segments of the waveform in, weights for the extractor out."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from featx.neural import state_tensors
from featx.training import ArtistClasses, ClassifierMethod, CropSpec, TagClasses
from featx_samplecnn.networks import Network, seeded_network
from featx_samplecnn.tags import TAGS

if TYPE_CHECKING:
    import torch

    from featx.types import AnyArray


class SegmentMethod(ClassifierMethod):
    """What tags and artists share: inputs, network, export."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.every_segment = params.every_segment

    def crops(self) -> CropSpec:
        """Return one input of the network."""
        config = self.params.config()
        if config.front_end is not None:
            return CropSpec(front_end=config.front_end, length=config.length)
        return CropSpec(sr=config.sr, length=config.length)

    def build(self, generator: torch.Generator) -> Network:
        """Return the network with a head for the classes, drawn from ``generator``."""
        config = dataclasses.replace(
            self.params.config(),
            n_tags=len(self.classes.names),
            activation=self.classes.activation,
        )
        return seeded_network(config, generator).requires_grad_(True)

    def export(self, model: Network) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return the state dict, and the configuration with what the extractor needs to be set."""
        params = {
            "model": self.params.model,
            "widths": self.params.widths,
            "first_padding": self.params.first_padding,
            "labels": list(self.classes.names),
            "activation": self.classes.activation,
        }
        return state_tensors(model), {"model": model.config.to_json(), "params": params}


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
