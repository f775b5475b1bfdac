"""What can be set about training the artist models: plain values, no torch."""

from __future__ import annotations

import dataclasses
from typing import Any

from featx import LossRoles, MethodSpec, ParameterError, param, params_class
from featx.training import TeacherParams
from featx_artist.config import FRONT_END, LEVELLED, ArtistConfig
from featx_artist.config import JOINT as JOINT_TRUNK
from featx_artist.config import SIAMESE as SIAMESE_TRUNK

#: What two segments may have in common, with the margins of the joint model.
MARGINS = {"artist": 0.40, "album": 0.25, "track": 0.10}

_PARK = (
    "Park, Lee, Park, Ha, Nam. Representation learning of music using artist labels. "
    "ISMIR 2018, arXiv:1710.06648"
)


@params_class
class TrunkParams:
    """Parameters of every method here."""

    dropout: float = param(
        0.5,
        "Dropout on the embedding during training, 0..1; the released code has none.",
        ge=0,
        lt=1,
    )
    l2: float = param(1e-5, "Weight of the L2 penalty on kernels in the loss, >= 0.", ge=0)

    def config(self) -> ArtistConfig:
        """Return the trunk that is trained."""
        return dataclasses.replace(SIAMESE_TRUNK, dropout=self.dropout)


@params_class
class TagParams(TrunkParams):
    """Parameters of the method ``tags``."""

    max_tags: int = param(50, "Largest number of tags taken from a manifest, > 0.", gt=0)


@params_class
class PairParams(TrunkParams):
    """Parameters of the methods that compare segments."""

    shared_negatives: bool = param(
        False,
        "Use every negative of a batch for all anchors for which it is valid, not only its own "
        "as in the papers.",
    )


@params_class
class SiameseParams(PairParams):
    """Parameters of the method ``siamese``."""

    n_negatives: int = param(4, "Number of segments of other artists per positive, > 0.", gt=0)
    margin: float = param(0.4, "Margin of the cosine, > 0.", gt=0)


@params_class
class JointTrunkParams(PairParams):
    """Parameters of the methods of ``artist-joint``."""

    front_end: str = param(
        FRONT_END,
        "Input: with the level of the recording, or of the recording at -20 dBFS, which needs a "
        "store.",
        choices=(FRONT_END, LEVELLED),
    )
    notions: tuple[str, ...] = param(
        tuple(MARGINS), "Concepts that are trained: artist, album, track, separated by commas."
    )
    n_negatives: int = param(4, "Number of negatives per positive, > 0.", gt=0)
    artist_margin: float = param(
        MARGINS["artist"], "Margin of the cosine for songs of an artist, > 0.", gt=0
    )
    album_margin: float = param(
        MARGINS["album"], "Margin of the cosine for songs of an album, > 0.", gt=0
    )
    track_margin: float = param(
        MARGINS["track"], "Margin of the cosine for parts of a track, > 0.", gt=0
    )

    def __post_init__(self) -> None:
        unknown = [notion for notion in self.notions if notion not in MARGINS]
        if unknown or not self.notions or len(set(self.notions)) < len(self.notions):
            raise ParameterError(
                f"notions must be some of {', '.join(MARGINS)}, each once, got "
                f"{', '.join(self.notions) or 'none'}."
            )

    def config(self) -> ArtistConfig:
        """Return the trunk that is trained."""
        return dataclasses.replace(JOINT_TRUNK, dropout=self.dropout)

    def margin(self, notion: str) -> float:
        """Return the margin of a notion."""
        return float(getattr(self, f"{notion}_margin"))


@params_class
class JointParams(JointTrunkParams):
    """Parameters of the method ``joint``."""


@params_class
class DistilParams(TeacherParams, JointTrunkParams):
    """Parameters of the method ``distil``."""

    front_end: str = param(
        LEVELLED,
        "Input: with the level of the recording, or of the recording at -20 dBFS, which needs a "
        "store.",
        choices=(FRONT_END, LEVELLED),
    )
    hinge_weight: float = param(
        0.0, "Weight of the loss of artist, album and track beside the teachers, >= 0.", ge=0
    )
    dropout: float = param(0.0, "Dropout on the embedding during training, 0..1.", ge=0, lt=1)


#: Plateau as in the released script: 0.2 times the rate after six validations in vain.
_DEFAULTS: dict[str, Any] = {
    "batch_size": 15,
    "optimizer": "sgd",
    "lr_decay": 1e-6,
    "schedule": "plateau",
    "factor": 0.2,
    "patience": 6,
    "min_lr": 1.6e-5,
    "early_stop": 20,
}
#: Songs validate; artists are the same on both sides.
_BY_SONG = {"split_by": "song"}

TRIPLETS = LossRoles(inputs="triplet", many_negatives=True)

BASIC = MethodSpec(
    name="softmax",
    loss=LossRoles(inputs="labels", logits=True),
    summary="Artist of a segment, softmax over the artists of the training songs",
    factory="featx_artist.methods:BasicMethod",
    params=TrunkParams,
    defaults={**_DEFAULTS, **_BY_SONG, "lr": 0.015},
    reference=_PARK,
)
TAGS = MethodSpec(
    name="tags",
    loss=LossRoles(inputs="labels", labels="tags", logits=True),
    summary="Tags of a segment, binary cross-entropy",
    factory="featx_artist.methods:TagMethod",
    params=TagParams,
    defaults={**_DEFAULTS, "lr": 0.015},
    reference=_PARK,
)
SIAMESE = MethodSpec(
    name="siamese",
    loss=TRIPLETS,
    summary="Segments of one artist are nearer by cosine than segments of others",
    factory="featx_artist.methods:SiameseMethod",
    params=SiameseParams,
    defaults={**_DEFAULTS, **_BY_SONG, "lr": 0.1},
    reference=_PARK,
)
JOINT = MethodSpec(
    name="joint",
    loss=TRIPLETS,
    summary="The same for artist, album and track together",
    factory="featx_artist.methods:JointMethod",
    params=JointParams,
    defaults={**_DEFAULTS, **_BY_SONG, "lr": 0.1},
    reference="Lee, Park, Nam. Representation learning of music using artist, album, and track "
    "information. 2019",
)
DISTIL = MethodSpec(
    name="distil",
    summary="Predict what other networks, the teachers, gave for the same seconds",
    factory="featx_artist.methods:DistilMethod",
    params=DistilParams,
    defaults={
        "batch_size": 64,
        "optimizer": "adamw",
        "lr": 0.002,
        "lr_decay": 0.001,
        "weight_decay": 1e-4,
        "clip_norm": 5.0,
        "steps": 3000,
        "validate_every": 500,
        "augment_eq_db": 1.0,
        "augment_noise_db": (30.0, 70.0),
        **_BY_SONG,
    },
    reference="Hinton, Vinyals, Dean. Distilling the knowledge in a neural network. 2015, "
    "arXiv:1503.02531",
)
