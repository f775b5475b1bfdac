"""From a configuration to a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from featx import neural
from featx_samplecnn.config import ModelConfig, ResConfig, ResSEConfig, SampleCNNConfig
from featx_samplecnn.model import SampleCNN
from featx_samplecnn.residual import ReSE, SampleCNNSE

Network: TypeAlias = SampleCNN | ReSE | SampleCNNSE

#: Layers whose kernels begin as those of dense layers do.
GLOROT = ("shortcut",)

_CLASSES: dict[type[ModelConfig], Callable[[Any], Network]] = {
    SampleCNNConfig: SampleCNN,
    ResConfig: ReSE,
    ResSEConfig: SampleCNNSE,
}


def make_network(config: ModelConfig) -> Network:
    """Return the network of ``config``, on the meta device: no memory, no random numbers."""
    return neural.build(lambda: _CLASSES[type(config)](config))


def seeded_network(config: ModelConfig, generator: torch.Generator) -> Network:
    """Return an untrained network whose parameters are drawn from ``generator``, in evaluation."""
    return neural.seeded(lambda: make_network(config), generator, glorot=GLOROT)
