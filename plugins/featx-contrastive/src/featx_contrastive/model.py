"""The network: mel spectrograms in, frames, embeddings and predictions out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx_contrastive.config import INPUT_MEAN, INPUT_STD, WINDOW, ContrastiveConfig


class Planes(nn.Sequential):
    """Convolution over time and frequency, normalisation, ReLU; odd kernels keep positions."""

    def __init__(
        self, n_in: int, n_out: int, *, kernel: int = 3, stride: tuple[int, int] = (1, 1)
    ) -> None:
        conv = nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=kernel // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(n_out), nn.ReLU())


class Residual(nn.Module):
    """A layer whose input is added to its output."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor to one of its shape."""
        added: Tensor = x + self.layer(x)
        return added


def over_time(n_in: int, n_out: int, *, kernel: int) -> nn.Sequential:
    """Return a convolution over time that keeps its length, with normalisation and ReLU."""
    conv = nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(n_out), nn.ReLU())


class Trunk(nn.Module):
    """Convolutions over time and frequency, then over time alone, four input frames per output.

    Frequency is flattened, not pooled: where in the spectrum something happens is what timbre is.
    """

    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__()
        self.config = config
        first, second, third = config.channels
        self.planes = nn.Sequential(
            Planes(1, first, kernel=5, stride=(2, 2)),
            Planes(first, second, stride=(2, 2)),
            Residual(Planes(second, second)),
            Planes(second, third, stride=(1, 2)),
        )
        self.lines = nn.Sequential(
            over_time(third * (config.n_bands // 8), config.hidden, kernel=1),
            *(
                Residual(over_time(config.hidden, config.hidden, kernel=3))
                for _ in range(config.blocks)
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map bands in dB ``(batch, time, band)`` to ``(batch, hidden, time / 4)``, >= 0."""
        x = ((x - INPUT_MEAN) / INPUT_STD).unsqueeze(1)  # (batch, 1, time, band)
        x = self.planes(x)  # (batch, channel, time / 4, band / 8)
        x = x.transpose(2, 3).flatten(1, 2)  # (batch, channel * band / 8, time / 4)
        hidden: Tensor = self.lines(x)  # (batch, hidden, time / 4)
        return hidden


class Network(nn.Module):
    """The trunk, the normalised embedding, and linear predictions from it.

    Parameters
    ----------
    config : ContrastiveConfig
        The trunk.
    numbers, tags : int >= 0
        How many numbers of teachers and how many tags are predicted.
    """

    def __init__(self, config: ContrastiveConfig, *, numbers: int = 0, tags: int = 0) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config)
        self.norm = nn.BatchNorm1d(config.dim, affine=False)
        self.heads = nn.ModuleDict()
        for name, size in (("similarity", numbers), ("tags", tags)):
            if size:
                self.heads[name] = nn.Linear(config.dim, size)

    def forward(self, x: Tensor) -> Tensor:
        """Map crops ``(batch, time, band)`` to embeddings ``(batch, 2 hidden)``."""
        hidden = self.trunk(x)
        pooled = torch.cat([hidden.mean(dim=2), hidden.amax(dim=2)], dim=1)  # (batch, 2 hidden)
        embeddings: Tensor = self.norm(pooled.float())
        return embeddings

    def over_time(self, x: Tensor) -> dict[str, Tensor]:
        """Return ``frames``, and the embedding and predictions of the 3 s around each of them.

        At the ends of a track the window is what there is of it. All are (batch, time / 4, dim).
        """
        hidden = self.trunk(x)  # (batch, hidden, time / 4)
        half = WINDOW // 2
        mean = functional.avg_pool1d(hidden, WINDOW, 1, half, count_include_pad=False)
        peak = functional.max_pool1d(hidden, WINDOW, 1, half)
        embedding = self.norm(torch.cat([mean, peak], dim=1)).transpose(1, 2)
        outputs = {"frames": hidden.transpose(1, 2), "embedding": embedding}
        for name, head in self.heads.items():
            values = head(embedding)  # (batch, time / 4, size)
            outputs[name] = torch.sigmoid(values) if name == "tags" else values
        return outputs
