"""The network, and how it reads a track."""

from __future__ import annotations

from typing import ClassVar

import torch
from featx.neural import NetworkExtractor, Segments
from torch import Tensor, nn

from featx_example_name.config import CHANNELS, RATIO


class Network(nn.Module):
    """Two convolutions and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(128, CHANNELS, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool1d(RATIO),
            nn.Conv1d(CHANNELS, CHANNELS, 3, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Conv1d(CHANNELS, 1, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return both outputs for bands ``(batch, time, 128)``."""
        hidden = self.layers(x.transpose(1, 2))  # (batch, channels, time / 2)
        activation = torch.sigmoid(self.head(hidden))  # (batch, 1, time / 2)
        return {"embedding": hidden.transpose(1, 2), "activation": activation.transpose(1, 2)}


class ExampleName(NetworkExtractor):
    """Runs the network over segments of a track."""

    segments = Segments(length=1024, ratio=RATIO, context=8)
    statistics: ClassVar = {"embedding": ("mean", "std")}

    def network(self) -> Network:
        """Return the module; weights are loaded into it."""
        return Network()
