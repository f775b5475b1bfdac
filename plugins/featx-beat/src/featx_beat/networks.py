"""The networks: a temporal convolutional one, and the published recurrent one of BeatNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx_beat.config import BeatNetConfig, BothConfig, Config, TCNConfig

__all__ = ["TCN", "BeatNet", "Both", "Dilated", "make_network"]


class Dilated(nn.Module):
    """A dilated convolution over time, added to its input."""

    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            channels, channels, kernel, padding=dilation * (kernel // 2), dilation=dilation
        )
        self.mix = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, channels, time)`` to the same shape."""
        hidden = self.dropout(functional.elu(self.conv(x)))  # (batch, channels, time)
        out: Tensor = x + self.mix(hidden)  # (batch, channels, time)
        return out


class TCN(nn.Module):
    """Convolutions over bands, then dilated ones over time; reads bands and their rises.

    References
    ----------
    Davies, Böck. "Temporal convolutional networks for musical audio beat tracking". EUSIPCO, 2019.
    """

    def __init__(self, config: TCNConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.first = nn.Conv2d(2, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, (1, 3))
        self.third = nn.Conv2d(width, width, (1, config.pooled_bands))
        self.dilated = nn.ModuleList(
            Dilated(width, config.kernel, 2**n, config.dropout) for n in range(config.n_layers)
        )
        self.head = nn.Conv1d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map log-mel frames ``(batch, time, bands)`` to logits ``(batch, time, 2)``."""
        rise = functional.pad(x.diff(dim=1).clamp(min=0.0), (0, 0, 1, 0))  # (batch, time, bands)
        both = torch.stack([x - self.config.mean, 2.0 * rise], dim=1)  # (batch, 2, time, bands)
        hidden = functional.max_pool2d(functional.elu(self.first(both)), (1, 3))
        hidden = functional.max_pool2d(functional.elu(self.second(hidden)), (1, 3))
        hidden = functional.elu(self.third(hidden)).squeeze(3)  # (batch, channels, time)
        for layer in self.dilated:
            hidden = layer(hidden)  # (batch, channels, time)
        logits: Tensor = self.head(functional.elu(hidden)).transpose(1, 2)  # (batch, time, 2)
        return logits

    def activation(self, x: Tensor) -> Tensor:
        """Return the probabilities of a beat (downbeats included) and of a downbeat."""
        beat, downbeat = torch.sigmoid(self(x)).unbind(2)  # (batch, time) each
        return torch.stack([torch.maximum(beat, downbeat), downbeat], dim=2)


class BeatNet(nn.Module):
    """A convolution over bands and two LSTM layers, which look at the past only.

    References
    ----------
    Heydari, Cwitkowitz, Duan. "BeatNet: CRNN and particle filtering for online joint beat, downbeat
    and meter tracking". ISMIR, 2021, arXiv:2108.03576.
    """

    def __init__(self, config: BeatNetConfig) -> None:
        super().__init__()
        n_features = 2 * config.n_bands
        self.conv1 = nn.Conv1d(1, config.filters, config.kernel)
        pooled = (n_features - config.kernel + 1) // 2
        self.linear0 = nn.Linear(config.filters * pooled, config.width)
        self.lstm = nn.LSTM(config.width, config.width, num_layers=2, batch_first=True)
        self.linear = nn.Linear(config.width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map log frames ``(batch, time, bands)`` to logits ``(batch, time, 3)``."""
        rise = functional.pad(x.diff(dim=1).clamp(min=0.0), (0, 0, 1, 0))  # (batch, time, bands)
        both = torch.cat([x, rise], dim=2)  # (batch, time, 2 * bands)
        rows = both.flatten(0, 1).unsqueeze(1)  # (batch * time, 1, 2 * bands)
        rows = functional.max_pool1d(functional.relu(self.conv1(rows)), 2).flatten(1)
        hidden = self.linear0(rows).unflatten(0, x.shape[:2])  # (batch, time, width)
        logits: Tensor = self.linear(self.lstm(hidden)[0])  # (batch, time, 3)
        return logits

    def activation(self, x: Tensor) -> Tensor:
        """Return the probabilities of a beat (downbeats included) and of a downbeat."""
        shares = torch.softmax(self(x), dim=2)  # (batch, time, 3): beat, downbeat, nothing
        return torch.stack([shares[..., 0] + shares[..., 1], shares[..., 1]], dim=2)


class Both(nn.Module):
    """`BeatNet` and `TCN`, which read the bands of their own front ends, side by side."""

    def __init__(self, config: BothConfig) -> None:
        super().__init__()
        self.share = config.tcn_share
        self.beatnet, self.tcn = BeatNet(BeatNetConfig()), TCN(TCNConfig())

    def activation(self, x: Tensor) -> Tensor:
        """Return the weighted mean of both activations."""
        n = BeatNetConfig().n_bands
        published, own = x[..., :n], x[..., n:]  # (batch, time, 136), (batch, time, 81)
        return torch.lerp(
            self.beatnet.activation(published), self.tcn.activation(own), self.share
        )  # (batch, time, 2)


def make_network(config: Config) -> TCN | BeatNet | Both:
    """Return the network that a configuration describes."""
    if isinstance(config, BothConfig):
        return Both(config)
    return TCN(config) if isinstance(config, TCNConfig) else BeatNet(config)
