"""Beats without weights: onset strength, its periodicity, and one of two decoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from featx import Context, Extractor, Features, Track
from featx.analysis import onset_strength
from featx_beat.config import FPS, HOP, ONSET_FRONT_END
from featx_beat.decoding import BarPointer, chain_beats
from featx_beat.tempo import periodicity, tempo_candidates, tempo_of_beats

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

#: An envelope that is less like itself at every lag than this has no beats; noise has 0.05.
_LEAST_PERIODICITY = 0.1
#: How late the frame of an onset is: half a frame between two spectra, and the shift by whole
#: frames that makes up for half a window.
_LATE = 0.5


class OnsetBeats(Extractor):
    """``onset-beats``."""

    def open(self, context: Context) -> None:
        """Build the state space, if there is one."""
        super().open(context)
        params = context.params
        self.pointer = (
            BarPointer(
                fps=FPS,
                min_bpm=params.min_bpm,
                max_bpm=params.max_bpm,
                bar_lengths=(1,),
                tightness=params.tightness,
            )
            if params.decoder == "bar-pointer"
            else None
        )

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return the features of every track."""
        return [self.extract_track(track) for track in tracks]

    def extract_track(self, track: Track) -> Features:
        """Return beats, tempo and activation."""
        strength = onset_strength(
            S=track.spectra(ONSET_FRONT_END), n_fft=2048, hop_length=HOP, aggregate="median"
        )
        top = float(np.percentile(strength, 99)) if len(strength) else 0.0
        activation = np.minimum(strength / top, 1.0) if top > 0 else np.zeros_like(strength)
        similar = periodicity(strength, fps=FPS)
        frames = self._beats(activation, similar)
        seconds = np.clip((frames - _LATE) / FPS, 0.0, track.duration)
        whole = np.clip(np.rint(frames).astype(np.int64), 0, max(len(activation) - 1, 0))
        tempi, confidences = tempo_of_beats(seconds, similar, fps=FPS)
        span = np.tile(seconds[[0, -1]], (len(tempi), 1)) if len(tempi) else np.empty((0, 2))
        return Features(
            beats=np.column_stack([seconds, activation[whole]]).astype(np.float64),
            tempo=np.column_stack([span, tempi, confidences]),
            activation=activation[:, np.newaxis],
        )

    def _beats(self, activation: FloatArray, similar: DoubleArray) -> DoubleArray:
        params = self.context.params
        tempi = tempo_candidates(similar, fps=FPS, min_bpm=params.min_bpm, max_bpm=params.max_bpm)
        if len(tempi) == 0 or similar[round(60.0 * FPS / tempi[0])] < _LEAST_PERIODICITY:
            return np.empty(0)
        if self.pointer is None:
            frames = chain_beats(
                activation, period=60.0 * FPS / tempi[0], tightness=params.tightness
            )
        else:
            both = np.column_stack([activation, np.zeros_like(activation)])
            frames = self.pointer.decode(both).frames
        return frames if len(frames) > 1 else np.empty(0)
