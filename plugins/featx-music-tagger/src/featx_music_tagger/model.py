"""The networks, with every normalisation already folded into what surrounds it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx_music_tagger.config import TAGS, TaggerConfig


class KerasGRU(nn.Module):
    """The gated recurrent unit of Keras 1: hard sigmoids, reset before the recurrent product.

    ``h' = z h + (1 - z) tanh(W x + b + U (r h))`` with ``z, r = clip(0.2 (W x + b + U h) + 0.5,
    0, 1)``; `torch.nn.GRU` resets behind the product and has smooth sigmoids.
    """

    def __init__(self, n_in: int, n_units: int) -> None:
        super().__init__()
        self.n_units = n_units
        self.inputs = nn.Linear(n_in, 3 * n_units)
        self.gates = nn.Linear(n_units, 2 * n_units, bias=False)
        self.candidate = nn.Linear(n_units, n_units, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, in)`` to the states ``(batch, time, units)``."""
        state = x.new_zeros(len(x), self.n_units)
        states = []
        for now in self.inputs(x).unbind(dim=1):  # each (batch, 3 units): z, r, candidate
            update, reset, new = now.chunk(3, dim=1)
            held_update, held_reset = self.gates(state).chunk(2, dim=1)
            z = _hard_sigmoid(update + held_update)
            r = _hard_sigmoid(reset + held_reset)
            state = z * state + (1 - z) * torch.tanh(new + self.candidate(r * state))
            states.append(state)
        return torch.stack(states, dim=1)  # (batch, time, units)


def _hard_sigmoid(x: Tensor) -> Tensor:
    # torch's own function of this name has another slope, 1/6
    return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)


class MusicTagger(nn.Module):
    """Standardised log-mel windows in, embedding and tag logits out.

    References
    ----------
    Choi, Fazekas, Sandler. "Automatic tagging using deep convolutional neural networks". ISMIR,
    2016. Choi, Fazekas, Sandler, Cho. "Convolutional recurrent neural networks for music
    classification". ICASSP, 2017.
    """

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = nn.Parameter(torch.ones(config.n_frames))
        self.shift = nn.Parameter(torch.zeros(config.n_frames))
        self.convs = nn.ModuleList()
        width = 1
        for channels in config.channels:
            self.convs.append(nn.Conv2d(width, channels, 3, padding=1))
            width = channels
        self.recurrent = nn.ModuleList()
        if config.recurrent:
            for n_in in (width, config.recurrent):
                self.recurrent.append(KerasGRU(n_in, config.recurrent))
        self.head = nn.Linear(config.embedding_dim, len(TAGS))

    def embed(self, x: Tensor) -> Tensor:
        """Map windows ``(batch, time, band)`` to ``(batch, embedding_dim)``."""
        x = x.transpose(1, 2).unsqueeze(1)  # (batch, 1, band, time)
        x = functional.pad(x, (self.config.padding, self.config.padding))
        x = x * self.scale + self.shift  # one factor per frame: the published layer is so
        for conv, pool in zip(self.convs, self.config.pools, strict=True):
            x = functional.max_pool2d(functional.elu(conv(x)), pool)
        if not self.recurrent:
            return x.flatten(1)  # (batch, channels), one band and frame are left
        x = x.squeeze(2).transpose(1, 2)  # (batch, time, channels), one band is left
        for layer in self.recurrent:
            x = layer(x)
        return x[:, -1]  # (batch, units)

    def classify(self, embedding: Tensor) -> Tensor:
        """Map embeddings to tag logits ``(batch, 50)``."""
        logits: Tensor = self.head(embedding)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Map windows to tag logits ``(batch, 50)``."""
        return self.classify(self.embed(x))
