"""What Essentia finds, in the shape of featx; imported when an extractor is opened."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import essentia
import numpy as np

from featx import Context, Extractor, Features, Track
from featx_essentia.config import KEYS, SR

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

#: Highest confidence that RhythmExtractor2013 gives.
_MAX_CONFIDENCE = 5.32
#: How Essentia spells some roots, and how featx does.
_SPELLINGS = {"Ab": "G#", "Bb": "A#", "Db": "C#", "Eb": "D#", "Gb": "F#"}


class _Peer(Extractor):
    """One track after the other, by algorithms that are reset between them."""

    algorithms: ClassVar[dict[str, dict[str, Any]]]

    def open(self, context: Context) -> None:
        """Make the algorithms, which otherwise write to stderr what they assume."""
        super().open(context)
        essentia.log.infoActive = False
        essentia.log.warningActive = False
        standard = importlib.import_module("essentia.standard")  # which also writes to stderr
        self.made = {
            name: getattr(standard, name)(**params) for name, params in self.algorithms.items()
        }

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return what `analyse` finds in each track."""
        return [self.analyse(track) for track in tracks]

    def call(self, name: str, y: FloatArray) -> Any:
        """Return what an algorithm gives for a whole track, independent of earlier ones."""
        self.made[name].reset()
        return self.made[name](y)

    @abstractmethod
    def analyse(self, track: Track) -> Features:
        """Return the features of one track."""


class Onsets(_Peer):
    """``essentia-onset``."""

    algorithms: ClassVar = {"OnsetRate": {}}

    def analyse(self, track: Track) -> Features:
        """Return the onsets."""
        onsets, _ = self.call("OnsetRate", track.y)
        return Features(onsets=_seconds(onsets, track)[:, None])


class Beats(_Peer):
    """``essentia-beat``."""

    algorithms: ClassVar = {"RhythmExtractor2013": {"method": "multifeature"}}

    def analyse(self, track: Track) -> Features:
        """Return beats and tempo; silence, in which Essentia hears 738 beats a minute, has none."""
        beats, rows = np.empty(0), []
        if track.y.any():
            tempo, ticks, confidence, _, _ = self.call("RhythmExtractor2013", track.y)
            beats = _seconds(ticks, track)
            if len(beats):
                rows = [(beats[0], beats[-1], tempo, confidence / _MAX_CONFIDENCE)]
        return Features(beats=beats[:, None], tempo=np.array(rows, np.float64).reshape(-1, 4))


class Key(_Peer):
    """``essentia-key``."""

    algorithms: ClassVar = {"KeyExtractor": {}}

    def analyse(self, track: Track) -> Features:
        """Return the key; N where Essentia gives one of no strength."""
        root, mode, strength = self.call("KeyExtractor", track.y)
        label = f"{_SPELLINGS.get(root, root)}:{mode}" if strength > 0 else KEYS[0]
        confidence = min(max(float(strength), 0.0), 1.0)
        row = {"time": 0.0, "end": track.duration, "key": label, "confidence": confidence}
        return Features(key={name: [value] for name, value in row.items()})


class Melodia(_Peer):
    """``essentia-melodia``."""

    algorithms: ClassVar = {
        "EqualLoudness": {"sampleRate": SR},
        "PredominantPitchMelodia": {"sampleRate": SR},
    }

    def analyse(self, track: Track) -> Features:
        """Return the melody after a filter of equal loudness, as its authors advise."""
        f0, confidence = self.call("PredominantPitchMelodia", self.call("EqualLoudness", track.y))
        return Features(f0=f0[:, None], confidence=confidence[:, None])


def _seconds(times: FloatArray, track: Track) -> DoubleArray:
    """Return times as float64 within the track."""
    return np.clip(np.asarray(times, dtype=np.float64), 0.0, track.duration)
