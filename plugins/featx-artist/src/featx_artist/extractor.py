"""The extractors: log-mel segments through the trunk, mean over segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from featx import Context, Extractor, Features, Track, WeightsError
from featx.neural import build, inference, load_tensors, map_segments, split_segments
from featx_artist.config import (
    FRONT_END,
    INPUT_MEAN,
    INPUT_STD,
    JOINT,
    SIAMESE,
    ArtistConfig,
)
from featx_artist.model import ArtistTrunk, initial_tensors

if TYPE_CHECKING:
    from featx.types import FloatArray

#: Segments per call of the network: a 30 s preview has ten.
BATCH_SIZE = 10

#: What the trunk is called in messages about its tensors.
NAME = "artist trunk"


class ArtistExtractor(Extractor):
    """One embedding per track."""

    config: ArtistConfig = SIAMESE

    def open(self, context: Context) -> None:
        """Build the trunk from weights, or from ``context.seed`` where there are none."""
        super().open(context)
        model = build(lambda: ArtistTrunk(self.config))
        if context.weights is None:
            generator = torch.Generator().manual_seed(context.seed)
            drawn = initial_tensors(model, generator)
            tensors = {key: value.numpy() for key, value in drawn.items()}
        else:
            self._check_config(context.config.get("model", {}))
            tensors = dict(context.weights)
        self.model = load_tensors(model, tensors, name=NAME, device=context.device)

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``embedding`` (filters[-1],) for every track."""
        with inference(threads=self.context.threads):
            return [self._extract(track) for track in tracks]

    def close(self) -> None:
        """Drop the network."""
        del self.model

    def _check_config(self, stored: Mapping[str, Any]) -> None:
        """Refuse weights of another trunk; dropout is a matter of training alone."""
        wanted = self.config.to_json()
        found = {**wanted, **stored, "dropout": wanted["dropout"]}
        if found != wanted:
            raise WeightsError(f"weights must be made for {wanted}, got {found}.")

    def _extract(self, track: Track) -> Features:
        segments = split_segments(track.spectra(FRONT_END), length=self.config.n_frames)
        (embeddings,) = map_segments(
            lambda x: (self.model(x),),
            normalised(segments),
            batch_size=BATCH_SIZE,
            device=self.context.device,
        )
        return Features(embedding=embeddings.mean(axis=0, dtype=np.float64).astype(np.float32))


class SiameseExtractor(ArtistExtractor):
    """The published model: it does not run without its weights."""

    def open(self, context: Context) -> None:
        """Build the trunk from the weights."""
        if context.weights is None:
            raise WeightsError(
                "weights 'artist-siamese' must be given, got none. "
                "Run: featx weights import artist-siamese <model_siamese_10000.h5>"
            )
        super().open(context)


class JointExtractor(ArtistExtractor):
    """The trunk with twice the filters."""

    config = JOINT


def normalised(segments: FloatArray) -> FloatArray:
    """Return ``fe-artist`` minus the mean of its training set, over its deviation."""
    return (segments - np.float32(INPUT_MEAN)) / np.float32(INPUT_STD)
