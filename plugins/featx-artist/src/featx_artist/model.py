"""The shared audio model: normalised log-mel segments in, embeddings out."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from featx_artist.config import INPUT_MEAN, INPUT_STD, ArtistConfig


class Layer(nn.Module):
    """Convolution over time under the "same" rule of TensorFlow, normalisation, ReLU, pooling."""

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int, pool: int, bn_eps: float
    ) -> None:
        super().__init__()
        left = (kernel - 1) // 2
        self.padding = (left, kernel - 1 - left)
        self.pool = pool
        self.conv = nn.Conv1d(in_channels, out_channels, kernel)
        self.bn = nn.BatchNorm1d(out_channels, eps=bn_eps, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in, time)`` to ``(batch, out, time // pool)``."""
        x = functional.pad(x, self.padding)
        x = functional.relu(self.bn(self.conv(x)))
        return functional.max_pool1d(x, self.pool)  # (batch, out, time // pool)


class ArtistTrunk(nn.Module):
    """Five convolutions over time; mel bands are the input channels.

    References
    ----------
    Park, Lee, Park, Ha, Nam. "Representation learning of music using artist labels". ISMIR, 2018.
    """

    def __init__(self, config: ArtistConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.n_bands, *config.filters)
        self.layers = nn.Sequential(
            *(
                Layer(width_in, width_out, kernel=kernel, pool=pool, bn_eps=config.bn_eps)
                for width_in, width_out, kernel, pool in zip(
                    widths[:-1], widths[1:], config.kernels, config.pools, strict=True
                )
            )
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map segments ``(batch, time, band)`` to embeddings ``(batch, filters[-1])``, >= 0."""
        x = self.layers(x.transpose(1, 2))  # (batch, channel, time')
        embedding: Tensor = self.dropout(x).mean(dim=2)  # (batch, channel)
        return embedding


class Classifier(nn.Module):
    """The trunk with a linear head over classes, artists or tags."""

    def __init__(self, config: ArtistConfig, n_classes: int) -> None:
        super().__init__()
        self.trunk = ArtistTrunk(config)
        self.head = nn.Linear(config.filters[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map segments ``(batch, time, band)`` to logits ``(batch, n_classes)``."""
        logits: Tensor = self.head(self.trunk(x))  # (batch, n_classes)
        return logits


def normalised(x: Tensor) -> Tensor:
    """Return ``fe-artist`` minus the mean of its training set, over its deviation."""
    return (x - INPUT_MEAN) / INPUT_STD
