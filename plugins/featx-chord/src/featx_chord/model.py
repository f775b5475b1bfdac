"""The network: notes in, chords out; what it computes turns with the pitch classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from featx_chord.front_end import N_NOTES
from featx_chord.labels import QUALITIES

if TYPE_CHECKING:
    from featx_chord.config import ChordNetConfig

OCTAVES = N_NOTES // 12
N_CLASSES = 1 + 12 * len(QUALITIES)


class Circle(nn.Module):
    """A convolution over the circle of pitch classes: every one sees all others, by distance."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, (1, 12))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, n_in, time, 12) to (batch, n_out, time, 12)."""
        around: Tensor = self.conv(torch.cat([x, x[..., :-1]], dim=-1))
        return around


class ChordNet(nn.Module):
    """Layers over pitch classes, each followed by one over time; heads for tones, root, bass.

    Chords are read from the last layer and the answers of these heads together.

    McFee, Bello. "Structured training for large-vocabulary chord recognition". ISMIR, 2017.
    """

    def __init__(self, config: ChordNetConfig) -> None:
        super().__init__()
        self.config = config
        width, kernel, reach = config.width, config.kernel, config.kernel // 2
        inputs = (OCTAVES, *(width for _ in config.dilations[1:]))
        self.circles = nn.ModuleList(Circle(n_in, width) for n_in in inputs)
        self.times = nn.ModuleList(
            nn.Conv2d(width, width, (kernel, 1), padding=(reach * step, 0), dilation=(step, 1))
            for step in config.dilations
        )
        self.dropout = nn.Dropout(config.dropout)
        self.structure = nn.Conv2d(width, 3, 1)
        self.chord = nn.Conv2d(width + 3, len(QUALITIES), 1)
        self.none = nn.Linear(width, 3)

    def forward(self, notes: Tensor) -> dict[str, Tensor]:
        """Map normalised notes (batch, time, 84) to logits by name.

        ``chord`` (batch, time, 169), ``root`` and ``bass`` (batch, time, 13; N last), ``tones``
        (batch, time, 12).
        """
        octaves = notes.reshape(*notes.shape[:2], OCTAVES, 12)  # (batch, time, octave, 12)
        x = octaves.transpose(1, 2)  # (batch, octave, time, 12)
        for circle, time in zip(self.circles, self.times, strict=True):
            x = functional.relu(circle(x))
            x = self.dropout(x + functional.relu(time(x)))
        structure = self.structure(x)  # (batch, 3, time, 12)
        chord = self.chord(torch.cat([x, torch.sigmoid(structure)], dim=1))
        none = self.none(x.mean(dim=3).transpose(1, 2))  # (batch, time, 3)
        chords = chord.transpose(1, 2).flatten(2)  # (batch, time, quality * 12)
        tones, root, bass = structure.unbind(dim=1)  # (batch, time, 12) each
        return {
            "chord": torch.cat([none[..., :1], chords], dim=2),
            "root": torch.cat([root, none[..., 1:2]], dim=2),
            "bass": torch.cat([bass, none[..., 2:]], dim=2),
            "tones": tones,
        }


def probabilities(logits: Mapping[str, Tensor], silent: Tensor) -> dict[str, Tensor]:
    """Return what the extractor gives.

    In ``silent`` frames, bool (batch, time, 1), it is certain that there is no chord.
    """
    chord, root, bass = (
        torch.where(silent, torch.eye(n, device=silent.device)[none], logits[name].softmax(dim=-1))
        for name, none, n in (("chord", 0, N_CLASSES), ("root", 12, 13), ("bass", 12, 13))
    )
    tones = torch.where(silent, 0.0, torch.sigmoid(logits["tones"]))
    return {"posteriors": chord, "root": root, "bass": bass, "tones": tones}
