"""The extractor ``music-tagger``: windows of 29.12 s through the network, mean over windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from featx import Context, Extractor, Features, Track, WeightsError
from featx.neural import build, inference, load_tensors, map_segments, split_segments
from featx_music_tagger.config import (
    FLOOR_DB,
    FRONT_END,
    INPUT_MEAN,
    INPUT_STD,
    N_FRAMES,
    TOP_DB,
)
from featx_music_tagger.model import MusicTagger

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]

BATCH_SIZE_CPU = 1
BATCH_SIZE_ACCELERATOR = 16


class MusicTaggerExtractor(Extractor):
    """Tags and an embedding per track."""

    def open(self, context: Context) -> None:
        """Build the network from the weights."""
        super().open(context)
        config = context.params.config()
        if context.weights is None:
            raise WeightsError(
                "weights 'music-tagger' must be given, got none. "
                "Run: featx weights import music-tagger <music_tagger_cnn_weights_tensorflow.h5>"
            )
        stored = context.config.get("model", config.to_json())
        if stored != config.to_json():
            raise WeightsError(
                f"weights 'music-tagger' must be made for {config.to_json()}, got {stored}."
            )
        self.model = load_tensors(
            build(lambda: MusicTagger(config)),
            context.weights,
            name="music-tagger",
            device=context.device,
        )
        self.batch_size = BATCH_SIZE_CPU if context.device == "cpu" else BATCH_SIZE_ACCELERATOR

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``tags`` (50,) and ``embedding`` for every track."""
        with inference(threads=self.context.threads):
            return [self._extract(track) for track in tracks]

    def close(self) -> None:
        """Drop the network."""
        del self.model

    def _extract(self, track: Track) -> Features:
        windows = windows_of(track.spectra(FRONT_END), every=self.context.params.windows == "all")
        found = map_segments(
            self._forward, windows, batch_size=self.batch_size, device=self.context.device
        )
        means = (values.mean(axis=0, dtype=np.float64).astype(np.float32) for values in found)
        values = dict(zip(("tags", "embedding"), means, strict=True))
        return Features({name: values[name] for name in self.context.features})

    def _forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embedding = self.model.embed(x)
        return torch.sigmoid(self.model.classify(embedding)), embedding


def windows_of(S: FloatArray, *, every: bool) -> FloatArray:
    """Return standardised windows ``(n, 1366, 96)`` of mel powers in decibels.

    Parameters
    ----------
    S : float32 array, shape (n_frames, 96)
        Of `FRONT_END`; fewer than 1366 frames are followed by silence.
    every : bool
        All complete windows side by side; otherwise the one in the middle.
    """
    doubled = 2 * S
    if len(S) < N_FRAMES:
        silence = np.full((N_FRAMES - len(S), S.shape[1]), FLOOR_DB, np.float32)
        windows = np.concatenate([doubled, silence])[None]
    elif every:
        windows = split_segments(doubled, length=N_FRAMES)
    else:
        start = (len(S) - N_FRAMES) // 2
        windows = doubled[None, start : start + N_FRAMES]
    loudest = windows.max(axis=(1, 2), keepdims=True)
    kept = np.maximum(windows, loudest - np.float32(TOP_DB))
    standard: FloatArray = (kept - np.float32(INPUT_MEAN)) / np.float32(INPUT_STD)
    return standard
