"""What can be set about training the network: plain values, no torch."""

from __future__ import annotations

from typing import Any

from featx import MethodSpec, param, params_class
from featx.training import TeacherParams

_SIMCLR = (
    "Chen, Kornblith, Norouzi, Hinton. A simple framework for contrastive learning of visual "
    "representations. ICML 2020, arXiv:2002.05709"
)
_DISTILLATION = (
    "Hinton, Vinyals, Dean. Distilling the knowledge in a neural network. 2015, arXiv:1503.02531"
)


@params_class
class ContrastParams:
    """Parameters of the method ``contrast``."""

    temperature: float = param(0.1, "Cosines of views are divided by it, > 0.", gt=0)
    projection: int = param(
        128, "Dimension of the projection that views are compared in, > 0.", gt=0
    )


@params_class
class DistilParams(ContrastParams, TeacherParams):
    """Parameters of the method ``distil``."""

    contrast_weight: float = param(
        0.0, "Weight of the contrast between two views of a crop, >= 0; 0 for none.", ge=0
    )


#: AdamW with large batches; crops keep the equaliser of a room, noise and other music far below.
_DEFAULTS: dict[str, Any] = {
    "batch_size": 64,
    "optimizer": "adamw",
    "lr": 0.002,
    "lr_decay": 0.001,
    "weight_decay": 1e-4,
    "schedule": "constant",
    "clip_norm": 5.0,
    "steps": 2000,
    "validate_every": 500,
    "split_by": "song",
}

DISTIL = MethodSpec(
    name="distil",
    summary="Predict what other networks, the teachers, gave for the same seconds",
    factory="featx_contrastive.methods:DistilMethod",
    params=DistilParams,
    defaults={**_DEFAULTS, "augment_eq_db": 1.0, "augment_noise_db": (30.0, 70.0)},
    reference=_DISTILLATION,
)
CONTRAST = MethodSpec(
    name="contrast",
    summary="Two changed views of a crop are nearer than views of other recordings",
    factory="featx_contrastive.methods:ContrastMethod",
    params=ContrastParams,
    defaults={
        **_DEFAULTS,
        "augment_eq_db": 3.0,
        "augment_noise_db": (15.0, 60.0),
        "augment_mix_db": (8.0, 35.0),
        "augment_time_masks": 1,
        "augment_band_masks": 1,
        "augment_band_limit": 0.3,
        "augment_band_shift": 2,
        "augment_share": 0.7,
    },
    reference=_SIMCLR,
)
