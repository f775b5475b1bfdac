"""What can be set about training SampleCNN: plain values, no torch."""

from __future__ import annotations

from typing import Any

from featx import LossRoles, MethodSpec, param, params_class
from featx.training import TeacherParams
from featx_samplecnn.catalogue import MODELS
from featx_samplecnn.params import ModelParams

_REFERENCE = (
    "Lee, Park, Kim, Nam. Sample-level deep convolutional neural networks for music auto-tagging "
    "using raw waveforms. SMC 2017, arXiv:1703.01789"
)


@params_class
class TagParams(ModelParams):
    """Parameters of the method ``tags``."""

    vocabulary: str = param(
        "manifest",
        "Tags that are trained: the most frequent ones of the training songs, or the 50 of "
        "MagnaTagATune.",
        choices=("manifest", "magnatagatune"),
    )
    max_tags: int = param(50, "Largest number of tags taken from a manifest, > 0.", gt=0)
    every_segment: bool = param(
        True, "An epoch contains every segment of every song; otherwise one crop of every song."
    )


@params_class
class ReSEParams(TagParams):
    """Parameters of the method ``rese``."""

    model: str = param("rese-2-multi", "Network, see the method tags.", choices=tuple(MODELS))


@params_class
class ArtistParams(ModelParams):
    """Parameters of the method ``artist``."""

    every_segment: bool = param(
        True, "An epoch contains every segment of every song; otherwise one crop of every song."
    )


@params_class
class DistilParams(ModelParams, TeacherParams):
    """Parameters of the method ``distil``."""

    level: float | None = param(-20.0, "See the method tags.", le=0)
    start: str = param(
        "",
        "Weights of the same model to begin with, a file or the folder of a training; the "
        "classifier is always new. Empty for random numbers.",
    )
    frozen: int = param(
        0,
        "Number of modules, from the input on, that keep the weights of start together with the "
        "first layer, >= 0; 0 to train all.",
        ge=0,
    )


#: Staged learning rates of the paper; a stage ends after more than three validations in vain.
_DEFAULTS: dict[str, Any] = {
    "batch_size": 23,
    "optimizer": "sgd",
    "lr": 0.01,
    "lr_decay": 1e-6,
    "schedule": "stages",
    "patience": 3,
    "factor": 0.2,
    "stages": 5,
}

TAG_LOSSES = LossRoles(inputs="labels", labels="tags", logits=True)

METHODS = (
    MethodSpec(
        name="tags",
        loss=TAG_LOSSES,
        summary="Multi-label tags of waveform segments, binary cross-entropy",
        factory="featx_samplecnn.methods:TagMethod",
        params=TagParams,
        defaults=_DEFAULTS,
        reference=_REFERENCE,
    ),
    MethodSpec(
        name="rese",
        loss=TAG_LOSSES,
        summary="Multi-label tags by the ReSE family, binary cross-entropy",
        factory="featx_samplecnn.methods:TagMethod",
        params=ReSEParams,
        defaults={**_DEFAULTS, "lr_decay": 0.0, "patience": 2},
        reference=(
            "Kim, Lee, Nam. Sample-level CNN architectures for music auto-tagging using raw "
            "waveforms. ICASSP 2018, arXiv:1710.10451"
        ),
    ),
    MethodSpec(
        name="artist",
        loss=LossRoles(inputs="labels", logits=True),
        summary="Artist of waveform segments, softmax over the artists of the training songs",
        factory="featx_samplecnn.methods:ArtistMethod",
        params=ArtistParams,
        defaults={**_DEFAULTS, "split_by": "song"},
        reference=_REFERENCE,
    ),
    MethodSpec(
        name="distil",
        summary="Predict what other networks, the teachers, gave for the same seconds",
        factory="featx_samplecnn.methods:DistilMethod",
        params=DistilParams,
        defaults={
            "batch_size": 32,
            "optimizer": "adamw",
            "lr": 0.001,
            "lr_decay": 0.002,
            "weight_decay": 1e-4,
            "schedule": "constant",
            "clip_norm": 5.0,
            "steps": 1500,
            "validate_every": 250,
            "split_by": "song",
            "augment_eq_db": 1.0,
            "augment_noise_db": (30.0, 70.0),
        },
        reference=(
            "Hinton, Vinyals, Dean. Distilling the knowledge in a neural network. 2015, "
            "arXiv:1503.02531"
        ),
    ),
)
