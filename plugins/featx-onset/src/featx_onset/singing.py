"""`singonset`: pairs of onset and offset where the voice changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from featx import Extractor, Features, Track
from featx_onset.config import HOP, SR, SingonsetParams
from featx_onset.correntropy import (
    adapted_width,
    compressed_bands,
    correntropy_change,
    gammatone_envelopes,
    hop_levels,
)
from featx_onset.pairing import best_pairs, local_maxima, pair_fitness
from featx_onset.pitch import HOP as PITCH_HOP
from featx_onset.pitch import VOICED, note_pitch, pitch_steps, pitch_track

Array = npt.NDArray[Any]

#: Frames to either side that no candidate is exceeded in, and by which notes may overlap.
_REACH, _SLACK = 6, 4
#: Notes this much below the louder parts are dropped, as a ratio of RMS.
_QUIETEST = 0.01
#: Kernel width, threshold and strength of the steps of pitch with ``legato``.
_LEGATO_SIGMA, _LEGATO_THRESHOLD, _STEP = 0.1, 0.05, 0.3


class SingonsetExtractor(Extractor):
    """Finds notes of a voice."""

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return onsets, notes and the detection function, as far as they are wanted."""
        return [self._features(track) for track in tracks]

    def _features(self, track: Track) -> Features:
        y = np.asarray(track.y)
        levels = hop_levels(y)
        X, weights = compressed_bands(gammatone_envelopes(y), float(np.percentile(levels, 95)))
        d = detection_function(X, weights, self.context.params)
        made: dict[str, Array] = {"df": d}
        if set(self.context.features) - {"df"}:
            made |= self._events(y, d, levels, track.duration)
        return Features({name: made[name] for name in self.context.features})

    def _events(self, y: Array, d: Array, levels: Array, duration: float) -> dict[str, Array]:
        params: SingonsetParams = self.context.params
        f0, aperiodicity = pitch_track(y)
        voiced = aperiodicity < VOICED
        steps = 2 * pitch_steps(f0, voiced) if params.legato else np.zeros(0, np.int64)
        pairs = find_pairs(d, levels, steps, params)
        pitch = note_pitch(f0, voiced, pairs[:, :2].astype(np.int64) * HOP // PITCH_HOP)
        pairs, pitch = pairs[np.isfinite(pitch)], pitch[np.isfinite(pitch)]
        times = np.minimum(pairs[:, :2] * (HOP / SR), duration)
        times[:, 0] = np.clip(times[:, 0] + params.onset_shift, 0.0, times[:, 1])
        rises = d[pairs[:, 0].astype(np.int64), 1]
        return {
            "onsets": np.stack([times[:, 0], rises], axis=1),
            "notes": np.concatenate([times, pitch[:, np.newaxis], pairs[:, 2:]], axis=1),
        }


def detection_function(X: Array, weights: Array, params: SingonsetParams) -> Array:
    """Return change, rise and fall of bands, shape (n_frames, 3), with the kernel of ``params``."""
    lag = max(1, round(params.lag * SR / HOP))
    if params.kernel == "adapted":
        sigma = adapted_width(X, weights, lag=lag)
    else:
        sigma = min(params.sigma, _LEGATO_SIGMA) if params.legato else params.sigma
    return correntropy_change(X, weights, lag=lag, sigma=sigma)


def find_pairs(d: Array, levels: Array, steps: Array, params: SingonsetParams) -> Array:
    """Return the notes as frames of onset and offset and their fitness, shape (n_notes, 3).

    Parameters
    ----------
    d : float32 array, shape (n_frames, 3)
        Change, rise and fall.
    levels : float64 array, shape (n_frames,)
        RMS of every hop.
    steps : int64 array
        Frames where the pitch moves to another note: candidates for both ends, which no note spans.
    params : SingonsetParams
    """
    threshold = min(params.threshold, _LEGATO_THRESHOLD) if params.legato else params.threshold
    d = d.copy()
    d[steps] = np.maximum(d[steps], _STEP)
    onsets, offsets = (
        np.union1d(local_maxima(d[:, k], reach=_REACH, threshold=threshold), steps) for k in (1, 2)
    )
    rate = SR / HOP
    shortest, longest = round(params.shortest * rate), round(params.longest * rate)
    pairs = pair_fitness(
        d, onsets, offsets, shortest=shortest, longest=longest, penalty=params.penalty
    )
    inside = np.searchsorted(steps, pairs[:, 1]) - np.searchsorted(steps, pairs[:, 0], "right")
    pairs = pairs[inside == 0]
    pairs = best_pairs(pairs, threshold=params.fitness, slack=min(_SLACK, shortest - 1))
    energy = np.concatenate([[0.0], np.cumsum(levels**2)])
    first, last = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    rms = np.sqrt((energy[last] - energy[first]) / np.maximum(last - first, 1))
    return np.asarray(pairs[rms > _QUIETEST * np.percentile(levels, 95)])
