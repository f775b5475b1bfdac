"""How far a recording is from A4 = 440 Hz."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError
from featx.frontend.analysis import check_waveform, power_blocks
from featx.frontend.lanes import check_finite
from featx.frontend.layout import validate

if TYPE_CHECKING:
    from featx.types import FloatArray, FrontEnd

__all__ = ["estimate_tuning"]

#: Partials outside this range in Hz do not vote.
_LOW, _HIGH = 150.0, 4000.0
#: Partials this much below the loudest of their frame do not vote.
_THRESHOLD = 0.1
#: Width of a histogram bin, in bands.
_RESOLUTION = 0.01


def estimate_tuning(
    y: FloatArray,
    front_end: FrontEnd | str = "librosa-chroma",
    *,
    sr: int,
    bins_per_octave: int = 12,
) -> float:
    """Return the deviation from A4 = 440 Hz as most partials of a recording have it.

    Spectral peaks at least as loud as the median peak vote in a histogram of their distance to the
    nearest band.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform.
    front_end : FrontEnd or str
        Whose framing, window and power the spectra have.
    sr : int > 0
        Rate of ``y`` in Hz.
    bins_per_octave : int > 0
        Bands in an octave.

    Returns
    -------
    float in [-0.5, 0.5)
        In bands (semitones for 12); 0.0 when nothing votes, as in silence.

    Raises
    ------
    ParameterError
        If ``y`` is not a finite float32 waveform, or ``bins_per_octave`` is not positive.
    """
    if bins_per_octave < 1:
        raise ParameterError(f"bins_per_octave must be an integer > 0, got {bins_per_octave}.")
    fe = validate(front_end)
    y = check_waveform(y)
    check_finite(y)
    blocks = (S for _, S in power_blocks(y, fe))
    return tuning_of_blocks(blocks, fe=fe, sr=sr, bins_per_octave=bins_per_octave)


def tuning_of_blocks(
    blocks: Iterable[FloatArray], *, fe: FrontEnd, sr: int, bins_per_octave: int
) -> float:
    """Return the tuning of a recording whose spectra come in ``blocks``."""
    from featx.kernels.spectrum import peaks_kernel

    high = min(_HIGH, sr / 2)
    first, last = math.ceil(_LOW * fe.n_fft / sr), math.ceil(high * fe.n_fft / sr)
    found_places, found_heights = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    # of two neighbouring bins, one is a maximum at most
    most = max(0, last - first) // 2 + 1
    for S in blocks:
        places, heights = (np.empty(len(S) * most + 1, np.float32) for _ in range(2))
        count = np.zeros(1, np.int64)
        floors = np.float32(_THRESHOLD) * S.max(axis=1)
        peaks_kernel(S, first, last, floors, places, heights, count)
        found_places.append(places[: count[0]].copy())
        found_heights.append(heights[: count[0]].copy())
    places, heights = np.concatenate(found_places), np.concatenate(found_heights)
    if len(places) == 0:
        return 0.0
    frequencies = places[heights >= np.median(heights)].astype(np.float64) * (sr / fe.n_fft)
    deviation = bins_per_octave * np.log2(frequencies / (440.0 / 16.0))
    deviation -= np.floor(deviation)
    deviation[deviation >= 0.5] -= 1.0
    # a number of bins and a range: numpy then need not search the edges for every value
    counts, edges = np.histogram(deviation, round(1.0 / _RESOLUTION), (-0.5, 0.5))
    return float(edges[int(np.argmax(counts))])
