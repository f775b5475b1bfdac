"""The network, for inference: convolutions over patches of the spectrogram, pooling, two layers.

Normalisation follows activation in these models, so it cannot be folded into the convolution before
it; `Affine` is what it comes to. Its factors may be negative, which is why pooling over frequency
needs the smallest value as well as the largest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx_musicnn.config import (
    EMBEDDING,
    MIDDLE,
    TEMPORAL,
    TEMPORAL_FRAMES,
    TIMBRAL,
    TIMBRAL_BANDS,
)

#: All channels before pooling over time.
_CHANNELS = 2 * TIMBRAL + 3 * TEMPORAL + 3 * MIDDLE


class Affine(nn.Module):
    """Factor and summand of every channel."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))
        self.shift = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., size)``."""
        y: Tensor = x * self.scale + self.shift
        return y

    def highest(self, low: Tensor, high: Tensor) -> Tensor:
        """Return the largest result for values within ``low..high``, both ``(..., size)``."""
        highest: Tensor = self(torch.where(self.scale > 0, high, low))
        return highest


class Timbral(nn.Module):
    """Kernels of 7 frames and many bands at every height; the largest answer of all heights."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bands = bands
        self.conv = nn.Conv1d(bands, TIMBRAL, 7, padding=3)
        self.norm = Affine(TIMBRAL)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, band)`` to ``(batch, time, channel)``."""
        patches = x.unfold(2, self.bands, 1)  # (batch, time, height, bands)
        batch, time, heights, bands = patches.shape
        patches = patches.permute(0, 2, 3, 1).reshape(batch * heights, bands, time)
        y = functional.relu(self.conv(patches)).reshape(batch, heights, TIMBRAL, time)
        low, high = y.amin(dim=1).transpose(1, 2), y.amax(dim=1).transpose(1, 2)
        return self.norm.highest(low, high)  # (batch, time, channel)


class Temporal(nn.Module):
    """Kernels over time in every band; the largest answer of all bands."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.linear = nn.Linear(frames, TEMPORAL)
        self.norm = Affine(TEMPORAL)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, band)`` to ``(batch, time, channel)``; "same" as in TensorFlow."""
        left = (self.frames - 1) // 2
        padded = functional.pad(x.transpose(1, 2), (left, self.frames - 1 - left))
        y = functional.relu(self.linear(padded.unfold(2, self.frames, 1)))
        return self.norm.highest(y.amin(dim=1), y.amax(dim=1))  # (batch, time, channel)


class Middle(nn.Module):
    """A convolution of 7 frames over all channels."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, MIDDLE, 7, padding=3)
        self.norm = Affine(MIDDLE)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, n_in)`` to ``(batch, time, channel)``."""
        y: Tensor = self.norm(functional.relu(self.conv(x.transpose(1, 2))).transpose(1, 2))
        return y


class Musicnn(nn.Module):
    """The whole network.

    References
    ----------
    Pons, Serra. "musicnn: pre-trained convolutional neural networks for music audio tagging".
    ISMIR late-breaking, 2019.
    """

    def __init__(self, n_tags: int) -> None:
        super().__init__()
        self.norm = Affine(1)
        self.timbral = nn.ModuleList(Timbral(bands) for bands in TIMBRAL_BANDS)
        self.temporal = nn.ModuleList(Temporal(frames) for frames in TEMPORAL_FRAMES)
        front = 2 * TIMBRAL + 3 * TEMPORAL
        self.middle = nn.ModuleList(Middle(n) for n in (front, MIDDLE, MIDDLE))
        self.pooled_norm = Affine(2 * _CHANNELS)
        self.hidden = nn.Linear(2 * _CHANNELS, EMBEDDING)
        self.hidden_norm = Affine(EMBEDDING)
        self.head = nn.Linear(EMBEDDING, n_tags)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(batch, time, band)`` to embeddings ``(batch, 200)`` and logits of tags."""
        x = self.norm(x.unsqueeze(-1)).squeeze(-1)
        layers = [torch.cat([part(x) for part in (*self.timbral, *self.temporal)], dim=2)]
        layers.append(self.middle[0](layers[0]))
        for middle in self.middle[1:]:
            layers.append(layers[-1] + middle(layers[-1]))
        features = torch.cat(layers, dim=2)  # (batch, time, channel)
        # the largest value and the mean of a channel lie side by side
        pooled = torch.stack([features.amax(dim=1), features.mean(dim=1)], dim=2).flatten(1)
        hidden = functional.relu(self.hidden(self.pooled_norm(pooled)))
        embedding = self.hidden_norm(hidden)  # (batch, 200)
        return embedding, self.head(embedding)
