"""The extractor ``samplecnn``: segments of a track through the network, mean over segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from featx import Context
from featx.neural import NetworkExtractor, Segments, initial_tensors
from featx_samplecnn.config import ModelConfig
from featx_samplecnn.fast import make_forward
from featx_samplecnn.networks import GLOROT, Network, make_network

if TYPE_CHECKING:
    from featx.types import FloatArray


class SampleCNNExtractor(NetworkExtractor):
    """Embeddings, tag probabilities and three levels of activations per track."""

    streaming = True
    accelerator_batch = 64
    training_only = ("dropout", "block_dropout")

    def open(self, context: Context) -> None:
        """Build the network, and the fastest way to run it."""
        self.model_config: ModelConfig = context.params.config()
        self.segments = Segments(length=self.model_config.length)
        super().open(context)
        precision = context.params.precision
        self.fast = make_forward(self.model, device=context.device, precision=precision)

    def network(self) -> Network:
        """Return the network that the parameters name."""
        return make_network(self.model_config)

    def config(self) -> Mapping[str, Any]:
        """Return the configuration of the network."""
        return self.model_config.to_json()

    def initial(
        self, model: torch.nn.Module, generator: torch.Generator
    ) -> Mapping[str, FloatArray]:
        """Draw the parameters that training begins with."""
        return initial_tensors(model, generator, glorot=GLOROT)

    def starts(self, n: int) -> Sequence[int]:
        """Return all complete segments, or as many as the parameters say, see `SampleCNNParams`."""
        segments, room = self.context.params.segments, n - self.segments.length
        if segments == 0:
            return super().starts(n)
        if self.context.params.spacing == "exclusive":
            return [room // segments * i for i in range(segments)]
        if segments == 1:
            return [room // 2]
        return [i * room // (segments - 1) for i in range(segments)]

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map segments to ``levels``, ``embedding`` and ``tags``."""
        levels, hidden, logits = self.fast(x)
        softmax = self.model_config.activation == "softmax"
        tags = torch.softmax(logits, dim=1) if softmax else torch.sigmoid(logits)
        return {"levels": levels, "embedding": hidden, "tags": tags}
