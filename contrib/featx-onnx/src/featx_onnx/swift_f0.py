"""Pitch by the package swift-f0, which brings its network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import swift_f0

from featx import Context, Extractor, Features, Track


class SwiftF0(Extractor):
    """``swift-f0``."""

    def open(self, context: Context) -> None:
        """Prepare the network."""
        super().open(context)
        self.detector = swift_f0.SwiftF0(threads=context.threads, spin=False)

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return pitch and confidence of every frame."""
        return [self._frames(track) for track in tracks]

    def _frames(self, track: Track) -> Features:
        params = self.context.params
        result = self.detector.detect(track.y, track.sr, fmin=params.fmin, fmax=params.fmax)
        f0 = np.where(result.confidence >= params.voicing, result.pitch_hz, 0.0)
        columns = {"f0": f0, "pitch": result.pitch_hz, "confidence": result.confidence}
        return Features(
            {name: column[:, None].astype(np.float32) for name, column in columns.items()}
        )
