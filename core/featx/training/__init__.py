"""Training: manifests and stores in, checkpoints out; the loop that all recipes share.

Names are resolved on first use: listing plugins and their options needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx.training.augmenting import Augmentation
    from featx.training.classes import ArtistClasses, Classes, ClassRecipe, TagClasses
    from featx.training.crops import AudioCrops, CropReader, CropSpec, StoreCrops
    from featx.training.losses import make_loss, take_roles
    from featx.training.metrics import macro_roc_auc, roc_auc
    from featx.training.options import TrainingParams
    from featx.training.progress import TrainingReporter, choose_progress
    from featx.training.recipe import Batch, Recipe
    from featx.training.running import train
    from featx.training.samplers import (
        Crop,
        Example,
        JointSampler,
        PositiveSampler,
        Sampler,
        SegmentSampler,
        TagTripletSampler,
        TrackSampler,
    )
    from featx.training.songs import Song, Songs, read_songs
    from featx.training.trainer import TrainingSummary

#: public name -> module that defines it
_HOMES = {
    "ArtistClasses": "classes",
    "AudioCrops": "crops",
    "Augmentation": "augmenting",
    "Batch": "recipe",
    "ClassRecipe": "classes",
    "Classes": "classes",
    "Crop": "samplers",
    "CropReader": "crops",
    "CropSpec": "crops",
    "Example": "samplers",
    "JointSampler": "samplers",
    "PositiveSampler": "samplers",
    "Recipe": "recipe",
    "TrainingReporter": "progress",
    "Sampler": "samplers",
    "SegmentSampler": "samplers",
    "Song": "songs",
    "Songs": "songs",
    "StoreCrops": "crops",
    "TagClasses": "classes",
    "TagTripletSampler": "samplers",
    "TrackSampler": "samplers",
    "TrainingParams": "options",
    "TrainingSummary": "trainer",
    "choose_progress": "progress",
    "macro_roc_auc": "metrics",
    "make_loss": "losses",
    "read_songs": "songs",
    "roc_auc": "metrics",
    "take_roles": "losses",
    "train": "running",
}

# spelled out, because type checkers do not follow computed names
__all__ = [
    "ArtistClasses",
    "AudioCrops",
    "Augmentation",
    "Batch",
    "ClassRecipe",
    "Classes",
    "Crop",
    "CropReader",
    "CropSpec",
    "Example",
    "JointSampler",
    "PositiveSampler",
    "Recipe",
    "Sampler",
    "SegmentSampler",
    "Song",
    "Songs",
    "StoreCrops",
    "TagClasses",
    "TagTripletSampler",
    "TrackSampler",
    "TrainingParams",
    "TrainingReporter",
    "TrainingSummary",
    "choose_progress",
    "macro_roc_auc",
    "make_loss",
    "read_songs",
    "roc_auc",
    "take_roles",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx.training' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"featx.training.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
