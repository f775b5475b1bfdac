"""The extractor ``music-tagger``: windows of 29.12 s through the network, mean over windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from featx.neural import NetworkExtractor, Segments
from featx_music_tagger.config import FLOOR_DB, INPUT_MEAN, INPUT_STD, N_FRAMES, TOP_DB
from featx_music_tagger.model import MusicTagger


class MusicTaggerExtractor(NetworkExtractor):
    """Tags and an embedding per track."""

    streaming = True
    segments = Segments(length=N_FRAMES, fill=FLOOR_DB / 2)

    def network(self) -> MusicTagger:
        """Return the network that the parameters name."""
        return MusicTagger(self.context.params.config())

    def config(self) -> Mapping[str, Any]:
        """Return the configuration of the network."""
        plain: dict[str, Any] = self.context.params.config().to_json()
        return plain

    def starts(self, n: int) -> Sequence[int]:
        """Return all complete windows side by side, or the one in the middle."""
        if self.context.params.windows == "all":
            return super().starts(n)
        return [(n - N_FRAMES) // 2]

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map windows of the front end to ``tags`` and ``embedding``."""
        embedding = self.model.embed(standardised(x))
        return {"tags": torch.sigmoid(self.model.classify(embedding)), "embedding": embedding}


def standardised(x: torch.Tensor) -> torch.Tensor:
    """Return windows ``(batch, 1366, 96)`` of `FRONT_END` as the network reads them.

    They are doubled (see `FRONT_END`), cut off below the loudest value, and standardised.
    """
    doubled = 2 * x
    loudest = doubled.amax(dim=(1, 2), keepdim=True)
    return (torch.maximum(doubled, loudest - TOP_DB) - INPUT_MEAN) / INPUT_STD
