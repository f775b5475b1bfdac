"""The extractor ``csn``: segments of 3 s through the network, mean over segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from featx.neural import NetworkExtractor, Segments
from featx_csn.config import N_FRAMES
from featx_csn.model import CSN


class CSNExtractor(NetworkExtractor):
    """An embedding by notions, for the track and for every 3 s of it, and tags."""

    streaming = True
    segments = Segments(length=N_FRAMES)
    cpu_batch = 10
    accelerator_batch = 64

    def network(self) -> CSN:
        """Return the network that the parameters name."""
        return CSN(self.context.params.config())

    def config(self) -> Mapping[str, Any]:
        """Return the configuration of the network."""
        plain: dict[str, Any] = self.context.params.config().to_json()
        return plain

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map segments of the front end to the outputs."""
        z = self.model(x)
        embedding = self.model.embedding(z)
        outputs = {"embedding": embedding, "frames": embedding}
        if self.context.params.tags:
            outputs["tags"] = self.model.tag_scores(z)
        return outputs
