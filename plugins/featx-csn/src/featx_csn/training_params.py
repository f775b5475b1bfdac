"""What can be set about the training: plain values, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featx import LossRoles, MethodSpec, param, params_class
from featx_csn.config import BackboneParams

_ICASSP = (
    "Lee, Bryan, Salamon, Jin, Nam. Disentangled multidimensional metric learning for music "
    "similarity. ICASSP 2020, arXiv:2008.03720"
)
_ISMIR = (
    "Lee, Bryan, Salamon, Jin, Nam. Metric learning vs classification for disentangled music "
    "representation learning. ISMIR 2020"
)


@dataclass(frozen=True, kw_only=True)
class Triplets:
    """What a triplet objective compares: under which notions, tracks as well, masked or not."""

    notions: bool = True
    tracks: bool = False
    masks: bool = False


#: Objectives of the method ``triplets``, by name.
TRIPLETS = {
    "track": Triplets(notions=False, tracks=True),
    "triplet": Triplets(),
    "triplet+track": Triplets(tracks=True),
    "triplet+csn": Triplets(masks=True),
    "triplet+csn+track": Triplets(masks=True, tracks=True),
    "specialised": Triplets(),
}


@dataclass(frozen=True, kw_only=True)
class Tags:
    """How an objective of tags scores them: by a proxy or a layer; of unit length; masked."""

    proxies: bool = False
    norm: bool = True
    masks: bool = False


#: Objectives of the method ``tags``, by name.
TAGS = {
    "proxy": Tags(proxies=True),
    "proxy+csn": Tags(proxies=True, masks=True),
    "class": Tags(norm=False),
    "class+norm": Tags(),
    "class+norm+csn": Tags(masks=True),
}


@params_class
class LearningParams(BackboneParams):
    """Parameters of both methods."""

    categories: str = param(
        "rendered",
        "JSON file of the notions, or one that comes with the package: rendered, rendered-tags, "
        "msd, msd-tempo.",
    )
    start: str = param(
        "",
        "Weights to begin with, a file or the folder of a training; backbone, level and notions "
        "must be theirs. By default they are random.",
    )


@params_class
class TripletParams(LearningParams):
    """Parameters of the method ``triplets``."""

    objective: str = param(
        "triplet+csn",
        "What is compared: the notions (triplet), each by its own dimensions (+csn), tracks as "
        "well (+track), tracks alone, or one notion alone (specialised).",
        choices=tuple(TRIPLETS),
    )
    distance: str = param(
        "cosine",
        "euclidean normalises, then masks (ICASSP 2020); cosine masks, then normalises (ISMIR "
        "2020).",
        choices=("cosine", "euclidean"),
    )
    margin: float = param(0.1, "By how much the positive must be nearer, > 0.", gt=0)
    negatives: str = param(
        "disjoint",
        "A negative shares no tag of the notion with the anchor (disjoint; ICASSP 2020), or it "
        "lacks the tag that anchor and positive share, whatever else it has (lacking; ISMIR 2020).",
        choices=("disjoint", "lacking"),
    )
    track_weight: float = param(0.5, "Weight of the loss of tracks in +track, > 0.", gt=0)
    notion: str = param("", "The only notion of the objective specialised.")


@params_class
class TagParams(LearningParams):
    """Parameters of the method ``tags``."""

    categories: str = param(
        "rendered-tags",
        "JSON file of notions that have tags, or one that comes with the package: rendered-tags, "
        "msd.",
    )
    objective: str = param(
        "class+norm+csn",
        "Classes or proxies of tags; of embeddings at unit length (class+norm; proxies always "
        "are); each tag by the dimensions of its notion (+csn).",
        choices=tuple(TAGS),
    )


def _defaults(lr: float, patience: int) -> dict[str, Any]:
    """Return the schedule of the papers: a fifth of the rate, at most five times."""
    return {
        "batch_size": 64,
        "optimizer": "adam",
        "lr": lr,
        "schedule": "plateau",
        "factor": 0.2,
        "patience": patience,
        "min_lr": lr * 0.2**5,
        "early_stop": 6 * (patience + 1),
        "validate_every": 1000,
    }


METHODS = (
    MethodSpec(
        name="triplets",
        loss=LossRoles(inputs="triplet", many_negatives=True),
        summary="Songs that share something are nearer than songs that do not, notion by notion",
        factory="featx_csn.methods:TripletMethod",
        params=TripletParams,
        defaults=_defaults(0.005, 4),
        reference=_ICASSP,
    ),
    MethodSpec(
        name="tags",
        loss=LossRoles(inputs="labels", labels="tags", logits=True),
        summary="Tags of all notions, by proxies or by classification",
        factory="featx_csn.methods:TagMethod",
        params=TagParams,
        defaults=_defaults(0.005, 10),
        reference=_ISMIR,
    ),
)
