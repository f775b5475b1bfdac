"""The ReSE family: blocks with gates and shortcuts, the last three of them classified together."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx_samplecnn.config import STEM_CHANNELS, ResConfig, ResSEConfig
from featx_samplecnn.model import ConvBlock, Levels, same_padding

POOL = 3


class Gate(nn.Module):
    """Squeeze and excitation: one factor per channel, out of the means over time."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of ``(batch, channels, time)`` by factors within 0..1."""
        hidden = functional.relu(self.squeeze(x.mean(dim=2)))  # (batch, hidden)
        factors = torch.sigmoid(self.excite(hidden))  # (batch, channels)
        return x * factors.unsqueeze(2)  # (batch, channels, time)


class PlainConv(nn.Module):
    """Convolution and batch normalisation, without the ReLU of `ConvBlock`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bn_eps: float,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, stride=stride, padding=padding)
        self.bn = nn.BatchNorm1d(out_channels, eps=bn_eps, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in, time)`` to ``(batch, out, time')``."""
        normal: Tensor = self.bn(self.conv(x))  # (batch, out, time')
        return normal


class BasicBlock(nn.Module):
    """Convolution, max-pooling, and the gate if there is one."""

    def __init__(self, in_channels: int, out_channels: int, config: ResConfig) -> None:
        super().__init__()
        self.first = ConvBlock(
            in_channels, out_channels, 3, padding=same_padding(3), bn_eps=config.bn_eps
        )
        gated = config.block == "se"
        self.gate = Gate(out_channels, config.expansion * out_channels) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in, time)`` to ``(batch, out, time // 3)``."""
        x = functional.max_pool1d(self.first(x), POOL)  # (batch, out, time // 3)
        return x if self.gate is None else self.gate(x)


class ResidualBlock(nn.Module):
    """Two convolutions, a gate if there is one, a shortcut, max-pooling."""

    def __init__(self, in_channels: int, out_channels: int, config: ResConfig) -> None:
        super().__init__()
        self.shortcut = (
            None
            if in_channels == out_channels
            else PlainConv(in_channels, out_channels, 1, bn_eps=config.bn_eps)
        )
        self.first = ConvBlock(
            in_channels, out_channels, 3, padding=same_padding(3), bn_eps=config.bn_eps
        )
        self.dropout = nn.Dropout(config.block_dropout)
        self.second = PlainConv(out_channels, out_channels, 3, padding=1, bn_eps=config.bn_eps)
        gated = config.block == "rese"
        self.gate = Gate(out_channels, config.expansion * out_channels) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in, time)`` to ``(batch, out, time // 3)``."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        x = self.second(self.dropout(self.first(x)))
        if self.gate is not None:
            x = self.gate(x)
        return functional.max_pool1d(functional.relu(x + shortcut), POOL)  # (batch, out, time // 3)


class Hidden(nn.Module):
    """Dense layer, batch normalisation, ReLU."""

    def __init__(self, width: int, *, bn_eps: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.bn = nn.BatchNorm1d(width, eps=bn_eps, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, width)`` to ``(batch, width)``, >= 0."""
        return functional.relu(self.bn(self.linear(x)))


class ReSE(nn.Module):
    """Basic-, SE-, Res-2- and ReSE-2-Multi.

    References
    ----------
    Kim, Lee, Nam. "Sample-level CNN architectures for music auto-tagging using raw waveforms".
    ICASSP, 2018, arXiv:1710.10451.
    """

    def __init__(self, config: ResConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = ConvBlock(
            1, STEM_CHANNELS, config.stride, stride=config.stride, bn_eps=config.bn_eps
        )
        kind = BasicBlock if config.block in ("basic", "se") else ResidualBlock
        self.blocks = nn.ModuleList()
        width = STEM_CHANNELS
        for channels in config.channels:
            self.blocks.append(kind(width, channels, config))
            width = channels
        self.hidden = Hidden(config.embedding_dim, bn_eps=config.bn_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.embedding_dim, config.n_tags)

    def encode(self, y: Tensor) -> Levels:
        """Map waveforms ``(batch, n_samples)`` to the outputs of the last three blocks."""
        x = self.stem(y.unsqueeze(1))  # (batch, 128, n_samples // stride)
        last: list[Tensor] = []
        for block in self.blocks:
            x = block(x)  # (batch, channels, time // 3)
            last = [x, *last[:2]]
        return Levels(*last)

    def embed(self, levels: Levels) -> Tensor:
        """Map the last blocks to the hidden layer, ``(batch, embedding_dim)``."""
        pooled = [level.amax(dim=2) for level in levels]  # each (batch, channels)
        # the published order is first block first
        joint = torch.cat(pooled[::-1], dim=1) if self.config.multi else pooled[0]
        hidden: Tensor = self.hidden(joint)  # (batch, embedding_dim)
        return hidden

    def classify(self, hidden: Tensor) -> Tensor:
        """Map the hidden layer to tag logits ``(batch, n_tags)``."""
        logits: Tensor = self.head(self.dropout(hidden))  # (batch, n_tags)
        return logits

    def forward(self, y: Tensor) -> Tensor:
        """Map waveforms to tag logits ``(batch, n_tags)``."""
        return self.classify(self.embed(self.encode(y)))


class ResSEBlock(nn.Module):
    """Block of `SampleCNNSE`: the shortcut has a kernel of 3, the gate no hidden expansion."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        pool: int = POOL,
        bn_eps: float,
    ) -> None:
        super().__init__()
        self.pool = pool
        half = kernel // 2
        first = {"stride": stride, "padding": half}
        self.first = ConvBlock(
            in_channels, out_channels, kernel, stride=stride, padding=(half, half), bn_eps=bn_eps
        )
        self.second = PlainConv(out_channels, out_channels, kernel, padding=half, bn_eps=bn_eps)
        self.gate = Gate(out_channels, out_channels)
        changes = stride != 1 or in_channels != out_channels
        self.shortcut = (
            PlainConv(in_channels, out_channels, kernel, bn_eps=bn_eps, **first)
            if changes
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in, time)`` to ``(batch, out, time // pool)``."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        x = self.gate(self.second(self.first(x)))
        return functional.max_pool1d(functional.relu(x + shortcut), self.pool)


class SampleCNNSE(nn.Module):
    """SampleCNNSE as in minzwon/sota-music-tagging-models; not weight-compatible with `ReSE`.

    References
    ----------
    Won, Ferraro, Bogdanov, Serra. "Evaluation of CNN-based automatic music tagging models".
    SMC, 2020.
    """

    def __init__(self, config: ResSEConfig) -> None:
        super().__init__()
        self.config = config
        eps = config.bn_eps
        widths = (128, 128, 128, *(256,) * 6, 512, 512)
        self.blocks = nn.ModuleList()
        width = 1
        for i, channels in enumerate(widths):
            self.blocks.append(
                ResSEBlock(
                    width,
                    channels,
                    kernel=1 if i == len(widths) - 1 else 3,
                    stride=3 if i == 0 else 1,
                    pool=1 if i in (0, len(widths) - 1) else POOL,
                    bn_eps=eps,
                )
            )
            width = channels
        self.hidden = Hidden(width, bn_eps=eps)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(width, config.n_tags)

    def encode(self, y: Tensor) -> Levels:
        """Map waveforms ``(batch, n_samples)`` to the outputs of the last three blocks."""
        x = y.unsqueeze(1)  # (batch, 1, n_samples)
        last: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            last = [x, *last[:2]]
        return Levels(*last)

    def embed(self, levels: Levels) -> Tensor:
        """Map the last block to the hidden layer, ``(batch, 512)``."""
        hidden: Tensor = self.hidden(levels.l1.flatten(1))
        return hidden

    def classify(self, hidden: Tensor) -> Tensor:
        """Map the hidden layer to tag logits ``(batch, n_tags)``."""
        logits: Tensor = self.head(self.dropout(hidden))  # (batch, n_tags)
        return logits

    def forward(self, y: Tensor) -> Tensor:
        """Map waveforms to tag logits ``(batch, n_tags)``."""
        return self.classify(self.embed(self.encode(y)))
