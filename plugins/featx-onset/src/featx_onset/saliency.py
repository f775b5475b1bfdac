"""`salonset`: onsets that stand out to a listener, by a map of auditory saliency.

No paper gives the details; see docs/extractors/singonset.md for what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from featx import Context, Extractor, Features, Track
from featx_onset.config import SALIENCE_FRONT_END, SalonsetParams
from featx_onset.pairing import local_maxima

Array = npt.NDArray[Any]

#: Frames a second.
_RATE = 100.0
#: Energy below which nothing is heard, in dB under the louder parts, and what counts as silence.
_THRESHOLD_DB, _FLOOR = -60.0, 1e-9
#: Scales of contrast: seconds, and bands.
_TIMES, _BANDS = (0.02, 0.05, 0.12), (1, 3)
#: Memory of loudness per band: seconds and weight.
_MEMORY, _MASKING = 0.15, 0.5
#: An onset exceeds the median by this factor: steady noise has no onsets, or hardly any.
_ABOVE_MEDIAN = 8.0
#: How fast the last onset is forgotten, in seconds, and how much of it the next one must exceed.
_FORGET, _SHARE = 0.3, 0.5


class SalonsetExtractor(Extractor):
    """Onsets where saliency peaks above a threshold that the last onset raises."""

    def open(self, context: Context) -> None:
        """Take the parameters."""
        super().open(context)
        params: SalonsetParams = context.params
        self._threshold, self._merge = params.threshold, params.merge

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``onsets`` (time, strength) and ``df`` (T, 1), as far as they are wanted."""
        return [self._features(track) for track in tracks]

    def _features(self, track: Track) -> Features:
        saliency = saliency_map(track.spectra(SALIENCE_FRONT_END))
        frames = adaptive_peaks(saliency, threshold=self._threshold, merge=self._merge)
        times = np.minimum(track.times(SALIENCE_FRONT_END)[frames], track.duration)
        onsets = np.stack([times, saliency[frames]], axis=1)
        made = {"onsets": onsets, "df": saliency[:, np.newaxis].astype(np.float32)}
        return Features({name: made[name] for name in self.context.features})


def saliency_map(power: Array) -> Array:
    """Return the saliency of every frame, of bands of power.

    Loudness rises with power ** 0.23 above the threshold. Contrasts between a frame and the ones
    before it, and between a band and its neighbours, are taken at several scales. Each map is
    brought to 0..1 and multiplied by the square of its distance from its mean, so that maps with
    few peaks count more than even ones.

    Parameters
    ----------
    power : float32 array, shape (n_frames, n_bands)

    Returns
    -------
    float64 array, shape (n_frames,), >= 0
        Mean over bands and maps; 0 for silence.
    """
    loud = float(np.percentile(power.sum(axis=1), 95)) if len(power) else 0.0
    if loud < _FLOOR:
        return np.zeros(len(power))
    audible = power.astype(np.float64) / (loud * 10 ** (_THRESHOLD_DB / 10))
    loudness = np.maximum(audible**0.23 - 1, 0)
    masked = np.maximum(loudness - _MASKING * _memory(loudness), 0)
    out = np.zeros(len(power))
    for seconds in _TIMES:
        width = max(1, round(seconds * _RATE))
        # one frame back: an analysis window holds a sound before its centre does
        later, earlier = _running_mean(masked, -1, width - 1), _running_mean(masked, -2 * width, 0)
        rise = np.maximum(later - earlier, 0)
        for bands in _BANDS:
            sides = _running_mean(rise.T, -2 * bands, 2 * bands + 1).T
            out += _promoted(rise) + _promoted(np.maximum(rise - sides, 0))
    return out / (2 * len(_TIMES) * len(_BANDS))


def _promoted(contrast: Array) -> Array:
    """Return the mean over bands of a map in 0..1, times its squared distance from its mean."""
    top = contrast.max()
    if top <= 0:
        return np.zeros(len(contrast))
    unit = contrast / top
    return np.asarray((unit * (unit - unit.mean()) ** 2).mean(axis=1))


def _memory(loudness: Array) -> Array:
    """Return the exponential mean of the frames before every frame."""
    keep = np.exp(-1 / (_MEMORY * _RATE))
    out, state = np.empty_like(loudness), np.zeros(loudness.shape[1])
    for t, row in enumerate(loudness):
        out[t] = state
        state = keep * state + (1 - keep) * row
    return out


def _running_mean(x: Array, first: int, stop: int) -> Array:
    """Return the mean over rows t + first .. t + stop - 1, those beyond the ends being the last."""
    padded = np.pad(x, ((max(0, -first) + 1, max(0, stop - 1)), (0, 0)), mode="edge")
    total = np.cumsum(padded, axis=0)
    total -= total[0]
    return np.asarray(
        (total[stop - first :][: len(x)] - total[: -(stop - first)][: len(x)]) / (stop - first)
    )


def adaptive_peaks(saliency: Array, *, threshold: float, merge: float) -> Array:
    """Return the frames of peaks above a threshold that the last peak raises for a while.

    Parameters
    ----------
    saliency : float64 array, shape (n_frames,)
    threshold : float
        Lowest saliency, relative to the highest of the recording.
    merge : float
        Seconds within which a second onset is none.

    Returns
    -------
    int64 array, shape (n_onsets,)
        Rising.
    """
    if len(saliency) == 0:
        return np.zeros(0, np.int64)
    lowest = max(threshold * float(saliency.max()), _ABOVE_MEDIAN * float(np.median(saliency)))
    chosen: list[int] = []
    for frame in local_maxima(saliency, reach=3, threshold=lowest):
        if chosen:
            passed = (frame - chosen[-1]) / _RATE
            raised = _SHARE * saliency[chosen[-1]] * np.exp(-passed / _FORGET)
            if passed < merge or saliency[frame] <= raised:
                continue
        chosen.append(int(frame))
    return np.array(chosen, dtype=np.int64)
