"""From a configuration to a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from featx.neural import build, load_tensors
from featx_samplecnn.config import ModelConfig, ResConfig, ResSEConfig, SampleCNNConfig
from featx_samplecnn.model import SampleCNN, initial_tensors
from featx_samplecnn.residual import ReSE, SampleCNNSE

Network: TypeAlias = SampleCNN | ReSE | SampleCNNSE

_CLASSES: dict[type[ModelConfig], Callable[[Any], Network]] = {
    SampleCNNConfig: SampleCNN,
    ResConfig: ReSE,
    ResSEConfig: SampleCNNSE,
}


def make_network(config: ModelConfig) -> Network:
    """Return the network of ``config``, on the meta device: no memory, no random numbers."""
    return build(lambda: _CLASSES[type(config)](config))


def seeded_network(
    config: ModelConfig, generator: torch.Generator, *, device: str = "cpu"
) -> Network:
    """Return an untrained network whose parameters are drawn from ``generator``, in evaluation."""
    network = make_network(config)
    drawn = initial_tensors(network, generator)
    tensors = {key: value.numpy() for key, value in drawn.items()}
    return load_tensors(network, tensors, name="samplecnn", device=device)
