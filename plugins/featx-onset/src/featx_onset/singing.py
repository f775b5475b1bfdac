"""`singonset`: notes of a voice, decided by a small network or by pairs of onset and offset."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from featx import Context, Extractor, Features, Track
from featx_onset.config import HOP, SR, SingonsetParams
from featx_onset.correntropy import (
    adapted_width,
    compressed_bands,
    correntropy_change,
    gammatone_envelopes,
    hop_levels,
)
from featx_onset.decision import activations, decide
from featx_onset.pairing import best_pairs, local_maxima, pair_fitness
from featx_onset.pitch import HOP as PITCH_HOP
from featx_onset.pitch import VOICED, note_pitch, pitch_steps, pitch_track
from featx_onset.voice_features import frame_features

Array = npt.NDArray[Any]

#: Frames to either side that no candidate is exceeded in, and by which notes may overlap.
_REACH, _SLACK = 6, 4
#: Notes this much below the louder parts are dropped, as a ratio of RMS.
_QUIETEST = 0.01
#: Rise (fall) of a candidate.
_RISE = 0.15
#: Kernel width, threshold and strength of the steps of pitch with ``legato``.
_LEGATO_SIGMA, _LEGATO_THRESHOLD, _STEP = 0.1, 0.05, 0.3


class Voice:
    """What is computed of one recording, each part when it is first needed.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        At 16000 Hz.
    """

    def __init__(self, y: Array) -> None:
        self.y = y

    @cached_property
    def levels(self) -> Array:
        """RMS of every hop, (1 + n_samples // 80,)."""
        return hop_levels(self.y)

    @cached_property
    def loud(self) -> float:
        """RMS of the louder parts."""
        return float(np.percentile(self.levels, 95))

    @cached_property
    def bands(self) -> tuple[Array, Array]:
        """Compressed bands and their weights."""
        return compressed_bands(gammatone_envelopes(self.y), self.loud)

    @cached_property
    def pitch(self) -> tuple[Array, Array]:
        """Frequency and aperiodicity."""
        return pitch_track(self.y)

    def features(self) -> Array:
        """Return what the network looks at, (1 + n_samples // 160, n_features)."""
        return frame_features(self.y, *self.bands, self.levels, *self.pitch)


class SingonsetExtractor(Extractor):
    """Finds notes of a voice."""

    def open(self, context: Context) -> None:
        """Take the parameters and the weights."""
        super().open(context)
        params: SingonsetParams = context.params
        self._weights = context.weights or {}
        self._threshold = _RISE
        if params.method == "network":
            self._threshold = context.config["model"]["threshold"]
        if params.threshold is not None:
            self._threshold = params.threshold

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return onsets, notes, activations and the detection function, as far as wanted."""
        return [self._features(track) for track in tracks]

    def _features(self, track: Track) -> Features:
        params: SingonsetParams = self.context.params
        wanted, voice, made = self.context.features, Voice(np.asarray(track.y)), {}
        if "df" in wanted or params.method == "correntropy":
            made["df"] = detection_function(*voice.bands, params)
        if params.method == "network" and set(wanted) != {"df"}:
            x = voice.features()
            made["activation"] = activations(x, self._weights)
        if set(wanted) & {"onsets", "notes"}:
            made |= self._events(voice, made, track.duration)
        return Features({name: made[name] for name in wanted})

    def _events(self, voice: Voice, made: dict[str, Array], duration: float) -> dict[str, Array]:
        params: SingonsetParams = self.context.params
        f0, aperiodicity = voice.pitch
        voiced = aperiodicity < VOICED
        if params.method == "network":
            notes = decide(made["activation"], threshold=self._threshold)
            notes[:, :2] *= PITCH_HOP / SR
        else:
            steps = 2 * pitch_steps(f0, voiced) if params.legato else np.zeros(0, np.int64)
            notes = find_pairs(made["df"], steps, params, threshold=self._threshold)
            notes[:, :2] *= HOP / SR
        notes = _audible(notes, voice)
        pitch = note_pitch(f0, voiced, notes[:, :2] * (SR / PITCH_HOP))
        notes, pitch = notes[np.isfinite(pitch)], pitch[np.isfinite(pitch)]
        times = np.minimum(notes[:, :2], duration)
        times[:, 0] = np.clip(times[:, 0] + params.onset_shift, 0.0, times[:, 1])
        return {
            "onsets": np.stack([times[:, 0], notes[:, 2]], axis=1),
            "notes": np.stack([*times.T, pitch, notes[:, 2]], axis=1),
        }


def _audible(notes: Array, voice: Voice) -> Array:
    """Return the notes (n, 3), in seconds, that are not far below the louder parts."""
    energy = np.concatenate([[0.0], np.cumsum(voice.levels**2)])
    first, last = np.minimum((notes[:, :2] * (SR / HOP)).astype(np.int64), len(voice.levels)).T
    rms = np.sqrt((energy[last] - energy[first]) / np.maximum(last - first, 1))
    return np.asarray(notes[rms > _QUIETEST * voice.loud])


def detection_function(X: Array, weights: Array, params: SingonsetParams) -> Array:
    """Return change, rise and fall of bands, shape (n_frames, 3), with the kernel of ``params``."""
    lag = max(1, round(params.lag * SR / HOP))
    if params.kernel == "adapted":
        sigma = adapted_width(X, weights, lag=lag)
    else:
        sigma = min(params.sigma, _LEGATO_SIGMA) if params.legato else params.sigma
    return correntropy_change(X, weights, lag=lag, sigma=sigma)


def find_pairs(
    d: Array, steps: Array, params: SingonsetParams, *, threshold: float = _RISE
) -> Array:
    """Return the notes as frames of onset and offset and their fitness, shape (n_notes, 3).

    Parameters
    ----------
    d : float32 array, shape (n_frames, 3)
        Change, rise and fall.
    steps : int64 array
        Frames where the pitch moves to another note: candidates for both ends, which no note spans.
    params : SingonsetParams
    threshold : float
        Rise (fall) of a candidate; lower with ``params.legato``.
    """
    threshold = min(threshold, _LEGATO_THRESHOLD) if params.legato else threshold
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
    return best_pairs(pairs, threshold=params.fitness, slack=min(_SLACK, shortest - 1))
