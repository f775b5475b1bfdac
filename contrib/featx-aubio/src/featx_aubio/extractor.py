"""What aubio finds, in the shape of featx; imported when an extractor is opened.

aubio works on blocks as they come. Each track gets a detector of its own, with the sizes of the
commands ``aubioonset`` and ``aubiotrack``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import aubio
import numpy as np

from featx import Extractor, Features, Track
from featx_aubio.config import SR

if TYPE_CHECKING:
    from featx.types import DoubleArray


def _detected(detector: Any, track: Track, hop_length: int) -> DoubleArray:
    """Return the times at which a detector answers; the last block is filled up with zeros."""
    y = np.pad(track.y, (0, -len(track.y) % hop_length))
    times = [detector.get_last_s() for block in y.reshape(-1, hop_length) if detector(block)[0]]
    return np.clip(np.array(times, dtype=np.float64), 0.0, track.duration)


class Onsets(Extractor):
    """``aubio-onset``."""

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return the onsets of each track."""
        return [
            Features(onsets=_detected(aubio.onset("default", 512, 256, SR), track, 256)[:, None])
            for track in tracks
        ]


class Beats(Extractor):
    """``aubio-beat``."""

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return beats and tempo of each track."""
        return [self._beats(track) for track in tracks]

    def _beats(self, track: Track) -> Features:
        detector = aubio.tempo("default", 1024, 512, SR)
        beats = _detected(detector, track, 512)
        confidence = min(max(float(detector.get_confidence()), 0.0), 1.0)
        tempo = [(beats[0], beats[-1], detector.get_bpm(), confidence)] if len(beats) else []
        return Features(beats=beats[:, None], tempo=np.array(tempo, np.float64).reshape(-1, 4))
