"""The extractor: the network over the whole track, in overlapping segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx.neural import NetworkExtractor, Segments
from featx_contrastive.config import LENGTH, NETWORK, RATIO, WINDOW
from featx_contrastive.model import Network

if TYPE_CHECKING:
    from torch import Tensor

#: What an embedding of 3 s depends on, to a whole number of output frames.
CONTEXT = -(-NETWORK.reach // RATIO) * RATIO + WINDOW // 2 * RATIO


class Contrastive(NetworkExtractor):
    """Embedding, frames and predictions."""

    streaming = True
    segments = Segments(length=1024, ratio=RATIO, context=CONTEXT, minimum=LENGTH)

    def network(self) -> Network:
        """Return the network with the predictions of its weights."""
        params = self.context.params
        return Network(NETWORK, numbers=params.numbers, tags=len(params.tags))

    def config(self) -> Mapping[str, Any]:
        """Return the configuration of the trunk."""
        return NETWORK.to_json()

    def forward(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return all outputs over time."""
        outputs: Mapping[str, Tensor] = self.model.over_time(x)
        return outputs
