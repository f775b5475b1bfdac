"""Loudness as broadcasters measure it: EBU R 128, that is ITU-R BS.1770 with gates and a range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from featx import Extractor, Features, Track
from featx_spectral.config import (
    LOUDNESS_SR,
    MOMENTARY_STEPS,
    SHORT_TERM_STEPS,
    SILENCE_LUFS,
    STEP,
)
from featx_spectral.kernels import weighted_energies

Array = npt.NDArray[Any]

#: The two second-order sections of K weighting at 48 kHz, b0 b1 b2 a1 a2 (BS.1770-5, annex 1).
_SECTIONS = np.array(
    [
        [
            1.53512485958697,
            -2.69169618940638,
            1.19839281085285,
            -1.69065929318241,
            0.73248077421585,
        ],
        [1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)
#: Added to ten times the logarithm of a mean square: 997 Hz at full scale reads -3.01 LUFS.
_OFFSET = -0.691
#: Gates below the mean of what is above `SILENCE_LUFS`, LU.
_GATE, _RANGE_GATE = 10.0, 20.0
#: Percentiles whose distance is the loudness range.
_RANGE = (10.0, 95.0)
_OVERSAMPLING = 4
#: Samples that are oversampled at once, 10 s.
_BLOCK = 10 * LOUDNESS_SR


def decibels(energies: Array, *, offset: float = _OFFSET) -> Array:
    """Return mean squares as LUFS, `SILENCE_LUFS` at least."""
    return np.maximum(offset + 10.0 * np.log10(np.maximum(energies, 1e-30)), SILENCE_LUFS)


def windows(steps: Array, length: int) -> Array:
    """Return the means of every ``length`` steps in a row; missing steps are silent."""
    steps = np.concatenate([steps, np.zeros(max(length - len(steps), 0))])
    means: Array = np.lib.stride_tricks.sliding_window_view(steps, length).mean(axis=1)
    return means


def gated(energies: Array, *, below: float) -> Array:
    """Return the mean squares louder than `SILENCE_LUFS` and not ``below`` LU below their mean."""
    loud = energies[decibels(energies) > SILENCE_LUFS]
    return loud[decibels(loud) > decibels(loud.mean()) - below] if len(loud) else loud


def integrated(momentary: Array) -> float:
    """Return the integrated loudness in LUFS of mean squares over 400 ms (BS.1770)."""
    heard = gated(momentary, below=_GATE)
    return float(decibels(heard.mean())) if len(heard) else SILENCE_LUFS


def loudness_range(short_term: Array) -> float:
    """Return the range in LU of mean squares over 3 s (EBU Tech 3342)."""
    heard = gated(short_term, below=_RANGE_GATE)
    if not len(heard):
        return 0.0
    low, high = np.percentile(decibels(heard), _RANGE)
    return float(high - low)


def true_peak(y: Array) -> float:
    """Return the highest absolute value between the samples, in dB of full scale."""
    stream = soxr.ResampleStream(LOUDNESS_SR, _OVERSAMPLING * LOUDNESS_SR, 1, dtype="float32")
    highest = float(np.abs(y).max(initial=0.0))  # what lies on a sample is not interpolated away
    for start in range(0, len(y), _BLOCK):
        block = np.ascontiguousarray(y[start : start + _BLOCK], dtype=np.float32)
        between = stream.resample_chunk(block, last=start + _BLOCK >= len(y))
        highest = max(highest, float(np.abs(between).max(initial=0.0)))
    return float(decibels(np.array(highest**2), offset=0.0))


class LoudnessExtractor(Extractor):
    """Loudness over time and of the whole."""

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``summary``, ``momentary`` and ``short_term`` as far as they are wanted."""
        return [self._features(track) for track in tracks]

    def _features(self, track: Track) -> Features:
        y = np.asarray(track.y)
        # an incomplete step at the end counts only if there is no other
        steps = np.zeros(max(len(y) // STEP, 1))
        weighted_energies(y, _SECTIONS, STEP, steps)
        momentary, short_term = windows(steps, MOMENTARY_STEPS), windows(steps, SHORT_TERM_STEPS)
        makers = {
            "summary": lambda: np.array(
                [
                    integrated(momentary),
                    loudness_range(short_term),
                    decibels(momentary.max()),
                    decibels(short_term.max()),
                    true_peak(y),
                ]
            ),
            "momentary": lambda: decibels(momentary)[:, np.newaxis],
            "short_term": lambda: decibels(short_term)[:, np.newaxis],
        }
        return Features({name: makers[name]().astype(np.float32) for name in self.context.features})
