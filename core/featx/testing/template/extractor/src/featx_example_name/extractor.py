"""The computation: waveform in, features out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from featx import Extractor, Features, Track

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray


class ExampleName(Extractor):
    """RMS level per frame, and statistics of it per track."""

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``frames`` (T, 1) and ``summary`` (4,), both in dB, for every track."""
        return [self._extract(track.y) for track in tracks]

    def _extract(self, y: FloatArray) -> Features:
        params = self.context.params
        power = mean_square(y, frame_length=params.frame_length, hop_length=params.hop_length)
        lowest = 10.0 ** (params.floor_db / 10.0)
        levels = 10.0 * np.log10(np.maximum(power, lowest))
        square = np.square(y, dtype=np.float64)
        peak = 10.0 * np.log10(max(float(square.max()), lowest))
        mean = 10.0 * np.log10(max(float(square.mean()), lowest))
        summary = np.array([levels.mean(), levels.std(), peak, peak - mean])
        values = {
            "summary": summary.astype(np.float32),
            "frames": levels[:, np.newaxis].astype(np.float32),
        }
        return Features({name: values[name] for name in self.context.features})


def mean_square(y: FloatArray, *, frame_length: int, hop_length: int) -> DoubleArray:
    """Return the mean square of frames centred on multiples of ``hop_length``.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Waveform; zeros are assumed before and after it.
    frame_length, hop_length : int
        In samples.

    Returns
    -------
    float64 array, shape (1 + n_samples // hop_length,)
    """
    padded = np.pad(np.square(y, dtype=np.float64), frame_length // 2)
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    starts = hop_length * np.arange(1 + len(y) // hop_length)
    # sums of silence after sound may be a rounding error below zero
    total: DoubleArray = np.maximum(sums[starts + frame_length] - sums[starts], 0.0)
    return total / frame_length
