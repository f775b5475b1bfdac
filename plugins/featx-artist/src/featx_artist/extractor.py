"""The extractor ``artist-siamese``: log-mel segments through the trunk, mean over segments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx import Context, Extractor, Features, Track, WeightsError
from featx.neural import build, inference, load_tensors, map_segments, split_segments
from featx_artist.config import FRONT_END, INPUT_MEAN, INPUT_STD, SIAMESE
from featx_artist.model import ArtistTrunk

#: Segments per call of the network: a 30 s preview has ten.
BATCH_SIZE = 10


class ArtistExtractor(Extractor):
    """One embedding per track."""

    def open(self, context: Context) -> None:
        """Build the network from the weights."""
        super().open(context)
        if context.weights is None:
            raise WeightsError(
                "weights 'artist-siamese' must be given, got none. "
                "Run: featx weights import artist-siamese <model_siamese_10000.h5>"
            )
        stored = {**SIAMESE.to_json(), **context.config.get("model", {}), "dropout": 0.0}
        if stored != SIAMESE.to_json():
            raise WeightsError(
                f"weights 'artist-siamese' must be made for {SIAMESE.to_json()}, got {stored}."
            )
        self.model = load_tensors(
            build(lambda: ArtistTrunk(SIAMESE)),
            context.weights,
            name="artist-siamese",
            device=context.device,
        )

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``embedding`` (256,) for every track."""
        with inference(threads=self.context.threads):
            return [self._extract(track) for track in tracks]

    def close(self) -> None:
        """Drop the network."""
        del self.model

    def _extract(self, track: Track) -> Features:
        segments = split_segments(track.spectra(FRONT_END), length=SIAMESE.n_frames)
        normalised = (segments - np.float32(INPUT_MEAN)) / np.float32(INPUT_STD)
        (embeddings,) = map_segments(
            lambda x: (self.model(x),),
            normalised,
            batch_size=BATCH_SIZE,
            device=self.context.device,
        )
        return Features(embedding=embeddings.mean(axis=0, dtype=np.float64).astype(np.float32))
