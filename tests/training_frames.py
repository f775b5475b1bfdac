"""A method with frame-wise targets, small enough for tests: beats by a convolution."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from training_method import SPEC

from featx import MethodSpec, param, params_class
from featx.frontend import preset
from featx.registry import Registered, Registry
from featx.training import CropSpec, FrameSampler, GradientMethod, PointTargets, Songs, frame_bce

#: 100 frames a second.
FRONT_END = preset("fe-artist").but(hop_length=220, n_fft=1024, n_bands=20, sr=22000, fmax=11000.0)


@params_class
class BeatParams:
    length: int = param(300, "Frames of a crop, > 0.", gt=0)


class BeatMethod(GradientMethod):
    needs = ("annotation",)

    def crops(self) -> CropSpec:
        return CropSpec(front_end=FRONT_END, length=self.params.length)

    def samplers(self, train: Songs, valid: Songs) -> tuple[Any, Any]:
        wanted = {"beats": PointTargets(kind="beat", neighbours=(0.5,))}
        drawn, held = (
            FrameSampler(songs, wanted, crops=self.crops()) if songs else None
            for songs in (train, valid)
        )
        return drawn, held

    def build(self, generator: torch.Generator) -> torch.nn.Module:
        model = torch.nn.Sequential(
            torch.nn.Conv1d(20, 8, 5, padding=2),
            torch.nn.ELU(),
            torch.nn.Conv1d(8, 1, 9, padding=4),
        )
        for value in model.parameters():
            with torch.no_grad():
                value.copy_((torch.rand(value.shape, generator=generator) - 0.5) / 4)
        return model

    def losses(self, model: Any, batch: Any) -> dict[str, torch.Tensor]:
        x = batch["inputs"].transpose(1, 2)  # (batch, band, time)
        rise = torch.nn.functional.pad(x.diff(dim=2).clamp(min=0), (1, 0))  # (batch, band, time)
        logits = model(rise).squeeze(1)  # (batch, time)
        return {"beats": frame_bce(logits, batch["beats"], batch["beats_known"])}

    def export(self, model: Any) -> Any:
        return {key: value.numpy() for key, value in model.state_dict().items()}, {}


def registry() -> Registry:
    """A registry whose only extractor has the method ``beats``."""
    spec = MethodSpec(
        name="beats",
        summary="Beats",
        factory="training_frames:BeatMethod",
        params=BeatParams,
        defaults={"batch_size": 4, "optimizer": "adam", "lr": 0.01, "valid_fraction": 0.0},
    )
    item = Registered(
        full_name="featx-tiny:tiny",
        distribution="featx-tiny",
        plugin="tiny",
        spec=dataclasses.replace(SPEC, methods=(spec,)),
    )
    return Registry([], extractors=[item])
