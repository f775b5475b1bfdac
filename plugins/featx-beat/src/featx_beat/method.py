"""Training the network of ``beats`` from recordings with annotated beats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from featx.neural import seeded, state_tensors
from featx.training import CropSpec, FrameSampler, GradientMethod, PointTargets, Songs, frame_bce
from featx_beat.config import FPS, FRONT_ENDS, TCNConfig
from featx_beat.networks import TCN

if TYPE_CHECKING:
    from featx.annotations import Events
    from featx.training import Batch, FrameGrid, Sampler
    from featx.types import AnyArray

__all__ = ["BeatMethod", "DownbeatTargets", "stretched"]

#: Targets of the frames beside that of a beat.
_NEIGHBOURS = (0.5, 0.25)


@dataclass(frozen=True, kw_only=True)
class DownbeatTargets(PointTargets):
    """Beats at position 1; a file without any says nothing about downbeats."""

    labels: tuple[str, ...] = ("1",)

    def targets(self, events: Events, grid: FrameGrid, start: int) -> tuple[AnyArray, AnyArray]:
        """Return the targets of a crop, and which of them are known."""
        values, known = super().targets(events, grid, start)
        return values, known & any(label in self.labels for label in events.labels)


class BeatMethod(GradientMethod):
    """Binary cross-entropy of beats and of downbeats, frame by frame."""

    needs = ("annotation",)
    validates_by = "it needs songs with annotated beats"

    def crops(self) -> CropSpec:
        """Return some seconds of log-mel frames; levels are augmented instead of equalised."""
        front_end = FRONT_ENDS["tcn"].but(level=None)
        return CropSpec(front_end=front_end, length=round(self.params.seconds * FPS))

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return crops of both splits; an epoch has one of every song, a validation all."""
        targets = {
            "beats": PointTargets(kind="beat", neighbours=_NEIGHBOURS),
            "downbeats": DownbeatTargets(kind="beat", neighbours=_NEIGHBOURS),
        }
        drawn = FrameSampler(train, targets, crops=self.crops())
        held = FrameSampler(valid, targets, crops=self.crops(), every=True) if valid else None
        return drawn, held

    def build(self, generator: torch.Generator) -> TCN:
        """Return the network, drawn from ``generator``."""
        return seeded(lambda: TCN(TCNConfig()), generator).requires_grad_(True)

    def losses(self, model: TCN, batch: Batch) -> dict[str, Tensor]:
        """Return both losses of a batch."""
        inputs, weights = batch["inputs"], {"beats": 1.0, "downbeats": self.params.downbeat_weight}
        truth = {name: (batch[name], batch[f"{name}_known"]) for name in weights}
        if model.training and self.params.stretch > 1:
            factor = self.params.stretch ** (2.0 * float(torch.rand(())) - 1.0)
            n = round(inputs.shape[1] * factor)
            inputs = functional.interpolate(inputs.transpose(1, 2), n, mode="linear")
            inputs = inputs.transpose(1, 2)  # (batch, n, bands)
            truth = {name: stretched(*pair, n) for name, pair in truth.items()}
        logits = model(inputs)  # (batch, time, 2)
        return {
            name: weights[name] * frame_bce(logits[..., column], *truth[name])
            for column, name in enumerate(weights)
        }

    def export(self, model: TCN) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return the state dict, and the configuration with what the extractor needs to be set."""
        return state_tensors(model), {"model": model.config.to_json(), "params": {"model": "tcn"}}


def stretched(values: Tensor, known: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return targets ``(batch, time)`` and what is known of them, moved to ``n`` frames.

    Events stay points: 1 in one frame, and the same values beside it.
    """
    scale = n / values.shape[1]
    rows, frames = torch.nonzero(values == 1.0, as_tuple=True)
    moved = torch.zeros(len(values), n, device=values.device)
    # the centre of frame k lies at k + 1/2
    places = ((frames + 0.5) * scale).long()
    for distance, value in reversed(list(enumerate((1.0, *_NEIGHBOURS)))):
        for side in (-distance, distance):
            beside = places + side
            inside = (beside >= 0) & (beside < n)
            moved[rows[inside], beside[inside]] = value
    sources = ((torch.arange(n, device=values.device) + 0.5) / scale).long()
    return moved, known[:, sources.clamp(max=values.shape[1] - 1)]
