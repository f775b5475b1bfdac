"""The extractor ``musicnn``: segments of 3 s through the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from featx.neural import NetworkExtractor, Segments
from featx_musicnn.config import N_FRAMES, TAGS
from featx_musicnn.model import Musicnn

if TYPE_CHECKING:
    from featx.types import AnyArray


class MusicnnExtractor(NetworkExtractor):
    """Tags and an embedding per track and per segment."""

    segments = Segments(length=N_FRAMES)

    def network(self) -> Musicnn:
        """Return the network."""
        return Musicnn(len(TAGS[self.context.params.model]))

    def tensors(self, weights: Mapping[str, AnyArray]) -> Mapping[str, AnyArray]:
        """Return those of the chosen model; the file holds both."""
        prefix = f"{self.context.params.model}/"
        return {
            name.removeprefix(prefix): values
            for name, values in weights.items()
            if name.startswith(prefix)
        }

    def forward(self, x: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Map segments of the front end to their embedding and tags."""
        embedding, logits = self.model(x)
        tags = torch.sigmoid(logits)
        return {
            "tags": tags,
            "tag_segments": tags,
            "embedding": embedding,
            "segments": embedding,
        }
