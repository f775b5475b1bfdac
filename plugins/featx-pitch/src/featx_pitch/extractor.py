"""`yin`, `pyin` and `crepe`: pitch of every frame, and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from featx import Context, Extractor, Features, Track
from featx_pitch.config import HOP, SR
from featx_pitch.notes import find_notes
from featx_pitch.tracking import PitchTrack, Pyin, audible, frame_levels, yin_track

if TYPE_CHECKING:
    from collections.abc import Collection

Array = npt.NDArray[Any]


class YinExtractor(Extractor):
    """``yin``."""

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return pitch, confidence and notes of every track, as far as wanted."""
        return [self._features(track) for track in tracks]

    def _features(self, track: Track) -> Features:
        y = np.asarray(track.y)
        levels = frame_levels(y)
        found = self._track(y, audible(levels))
        return features_of(
            found, levels, track.duration, self.context.features, self.context.params.shortest
        )

    def _track(self, y: Array, loud: Array) -> PitchTrack:
        return yin_track(y, loud, self.context.params)


class PyinExtractor(YinExtractor):
    """``pyin``."""

    def open(self, context: Context) -> None:
        """Build the hidden Markov model."""
        super().open(context)
        self._model = Pyin(context.params)

    def _track(self, y: Array, loud: Array) -> PitchTrack:
        return self._model.track(y, loud)


def features_of(
    found: PitchTrack,
    levels: Array,
    duration: float,
    wanted: Collection[str],
    shortest: float,
    others: Mapping[str, Array] | None = None,
) -> Features:
    """Return the wanted features of a recording whose pitch is known."""
    made: dict[str, Array] = dict(others or {})
    made["f0"] = np.where(found.voiced, found.pitch, 0.0)
    made["pitch"], made["confidence"] = found.pitch, found.confidence
    made = {
        name: values.reshape(len(levels), -1).astype(np.float32) for name, values in made.items()
    }
    if "notes" in wanted:
        notes = find_notes(found.pitch, found.voiced, levels, shortest=shortest)
        spans = notes[:, :2].astype(np.int64)
        sums = np.concatenate([[0.0], np.cumsum(found.confidence)])
        means = (sums[spans[:, 1]] - sums[spans[:, 0]]) / np.maximum(spans[:, 1] - spans[:, 0], 1)
        # a note begins and ends between two frames
        times = np.clip((notes[:, :2] - 0.5) * HOP / SR, 0.0, duration)
        made["notes"] = np.column_stack([times, notes[:, 2], means])
    return Features({name: made[name] for name in wanted})
