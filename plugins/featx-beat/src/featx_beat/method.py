"""Training the network of ``beats`` from recordings with annotated beats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featx.neural import seeded, state_tensors
from featx.training import CropSpec, FrameSampler, GradientMethod, PointTargets, Songs, frame_bce
from featx_beat.config import FPS, FRONT_ENDS, TCNConfig
from featx_beat.networks import TCN

if TYPE_CHECKING:
    import torch

    from featx.training import Batch, Sampler
    from featx.types import AnyArray

__all__ = ["BeatMethod"]

#: Targets of the frames beside that of a beat.
_NEIGHBOURS = (0.5, 0.25)


class BeatMethod(GradientMethod):
    """Binary cross-entropy of beats and of downbeats, frame by frame."""

    needs = ("annotation",)
    validates_by = "it needs songs with annotated beats"

    def crops(self) -> CropSpec:
        """Return some seconds of log-mel frames."""
        return CropSpec(front_end=FRONT_ENDS["tcn"], length=round(self.params.seconds * FPS))

    def samplers(self, train: Songs, valid: Songs) -> tuple[Sampler, Sampler | None]:
        """Return crops of both splits; an epoch has one of every song, a validation all."""
        targets = {
            "beats": PointTargets(kind="beat", neighbours=_NEIGHBOURS),
            "downbeats": PointTargets(kind="beat", labels=("1",), neighbours=_NEIGHBOURS),
        }
        drawn = FrameSampler(train, targets, crops=self.crops())
        held = FrameSampler(valid, targets, crops=self.crops(), every=True) if valid else None
        return drawn, held

    def build(self, generator: torch.Generator) -> TCN:
        """Return the network, drawn from ``generator``."""
        return seeded(lambda: TCN(TCNConfig()), generator).requires_grad_(True)

    def losses(self, model: TCN, batch: Batch) -> dict[str, torch.Tensor]:
        """Return both losses of a batch."""
        logits = model(batch["inputs"])  # (batch, time, 2)
        return {
            name: frame_bce(logits[..., column], batch[name], batch[f"{name}_known"])
            for column, name in enumerate(("beats", "downbeats"))
        }

    def export(self, model: TCN) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return the state dict, and the configuration with what the extractor needs to be set."""
        return state_tensors(model), {"model": model.config.to_json(), "params": {"model": "tcn"}}
