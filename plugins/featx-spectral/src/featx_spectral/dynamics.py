"""How spectra change over time: derivatives, modulation and shape of cepstral coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from featx import Context, Extractor, Features, Track
from featx_spectral.config import MODULATION_BANDS, SHAPE_ORDERS, dynamics_front_end

Array = npt.NDArray[Any]


def modulation(frames: Array, *, rate: float) -> Array:
    """Return how strongly every column is modulated: root mean square by band.

    Parameters
    ----------
    frames : array, shape (T, D), T > 0
    rate : float > 0
        Frames per second.

    Returns
    -------
    float64 array, shape (len(MODULATION_BANDS) - 1, D)
        Bands that a short recording does not resolve are 0. The squares of all bands, had they no
        limits, would add up to the variance.
    """
    n = len(frames)
    spectrum = np.abs(np.fft.rfft(frames.astype(np.float64), axis=0) / n) ** 2
    both = np.full(len(spectrum), 2.0)  # negative frequencies, too
    if n % 2 == 0:
        both[-1] = 1.0
    frequencies = np.arange(len(spectrum)) * (rate / n)
    rows = []
    for low, high in pairwise(MODULATION_BANDS):
        inside = (frequencies >= low) & (frequencies < high)
        rows.append(np.sqrt((spectrum[inside] * both[inside, np.newaxis]).sum(axis=0)))
    return np.stack(rows)


def shape(frames: Array) -> Array:
    """Return the amplitudes of `SHAPE_ORDERS` half periods of a cosine over the recording.

    Order 1 is positive where a column falls, order 2 where its ends are above its middle.
    ``frames`` is ``(T, D)``, the result float64 ``(len(SHAPE_ORDERS), D)``.
    """
    n = len(frames)
    positions = (np.arange(n) + 0.5) / n
    cosines = np.cos(np.pi * np.array(SHAPE_ORDERS)[:, np.newaxis] * positions) * (2.0 / n)
    amplitudes: Array = cosines @ frames.astype(np.float64)
    return amplitudes


class DynamicsExtractor(Extractor):
    """Statistics of change, one vector per track."""

    def open(self, context: Context) -> None:
        """Take the parameters."""
        super().open(context)
        self._front_end = dynamics_front_end(context.params)
        self._n_mfcc = context.params.n_mfcc

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``summary`` of every track."""
        return [Features(summary=self._summary(track)) for track in tracks]

    def _summary(self, track: Track) -> Array:
        frames = track.spectra(self._front_end)
        static, derivatives = frames[:, : self._n_mfcc], frames[:, self._n_mfcc :]
        parts = (
            derivatives.std(axis=0, dtype=np.float64),
            modulation(static, rate=track.sr / float(self._front_end.hop)).ravel(),
            shape(static).ravel(),
        )
        return np.concatenate(parts).astype(np.float32)
