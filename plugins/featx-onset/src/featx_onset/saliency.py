"""`salonset`: onsets that stand out to a listener, by a map of auditory saliency.

No paper gives the details; see docs/extractors/singonset.md for what is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from featx import Blocks, Context, Extractor, Features, Track
from featx_onset.config import SALIENCE_FRONT_END, SalonsetParams
from featx_onset.pairing import local_maxima

Array = npt.NDArray[Any]

#: Frames a second.
_RATE = 100.0
#: Energy below which nothing is heard, in dB under the louder parts, and what counts as silence.
_THRESHOLD_DB, _FLOOR = -60.0, 1e-9
#: Scales of contrast: seconds, the same in frames, and bands.
_TIMES, _BANDS = (0.02, 0.05, 0.12), (1, 3)
_WIDTHS = tuple(max(1, round(seconds * _RATE)) for seconds in _TIMES)
#: Of the maps of one scale in time, contrasts with neighbouring bands behind the one without.
_WEIGHTS = np.tile([len(_BANDS), *[1] * len(_BANDS)], len(_TIMES)) / (2 * len(_TIMES) * len(_BANDS))
#: Frames before and behind a frame that contrasts depend on, and frames computed at a time.
_BEFORE, _BEHIND = 2 * max(_WIDTHS), max(_WIDTHS) - 2
_AT_ONCE = 2048
#: Contrast that is taken for a rounding error: loudness is 24 at the level of the louder parts.
_LEAST = 1e-9
#: Memory of loudness per band: seconds and weight.
_MEMORY, _MASKING = 0.15, 0.5
#: An onset exceeds the median by this factor: steady noise has no onsets, or hardly any.
_ABOVE_MEDIAN = 8.0
#: How fast the last onset is forgotten, in seconds, and how much of it the next one must exceed.
_FORGET, _SHARE = 0.3, 0.5


class SalonsetExtractor(Extractor):
    """Onsets where saliency peaks above a threshold that the last onset raises."""

    streaming = True

    def open(self, context: Context) -> None:
        """Take the parameters."""
        super().open(context)
        params: SalonsetParams = context.params
        self._threshold, self._merge = params.threshold, params.merge

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``onsets`` (time, strength) and ``df`` (T, 1), as far as they are wanted."""
        return [self.stream(track) for track in tracks]

    def stream(self, track: Track) -> Features:
        """Return what `extract` returns for one track, of any length."""
        saliency = saliency_map(track.spectra_blocks(SALIENCE_FRONT_END))
        frames = adaptive_peaks(saliency, threshold=self._threshold, merge=self._merge)
        times = np.minimum(track.times(SALIENCE_FRONT_END)[frames], track.duration)
        onsets = np.stack([times, saliency[frames]], axis=1)
        made = {"onsets": onsets, "df": saliency[:, np.newaxis].astype(np.float32)}
        return Features({name: made[name] for name in self.context.features})


def saliency_map(power: Blocks) -> Array:
    """Return the saliency of every frame, of bands of power.

    Loudness rises with power ** 0.23 above the threshold. Contrasts between a frame and the ones
    before it, and between a band and its neighbours, are taken at several scales. Each map is
    brought to 0..1 and multiplied by the square of its distance from its mean, so that maps with
    few peaks count more than even ones.

    Parameters
    ----------
    power : Blocks of float32 arrays, shape (n_frames, n_bands)
        Iterated over twice. The result is the same for blocks of any lengths.

    Returns
    -------
    float64 array, shape (n_frames,), >= 0
        Mean over bands and maps; 0 for silence.
    """
    total = np.concatenate([block.sum(axis=1, dtype=np.float64) for block in power])
    loud = float(np.percentile(total, 95)) if len(total) else 0.0
    if loud < _FLOOR:
        return np.zeros(len(total))
    moments = np.empty((len(total), len(_WEIGHTS), 3))
    tops, done = np.zeros(len(_WEIGHTS)), 0
    for rows in _surrounded(_masked(power, loud * 10 ** (_THRESHOLD_DB / 10))):
        n = len(rows) - _BEFORE - _BEHIND
        for number, contrast in enumerate(_contrasts(rows)):
            tops[number] = max(tops[number], contrast.max())
            power_of = np.ones_like(contrast)
            for k in range(3):
                power_of *= contrast
                moments[done : done + n, number, k] = power_of.mean(axis=1)
        done += n
    # the mean over bands of u (u - m)^2, where u is a contrast over its top and m the mean of u
    tops[tops < _LEAST] = np.inf
    mean = moments[..., 0].mean(axis=0) / tops
    shares = np.stack([mean**2 / tops, -2 * mean / tops**2, 1 / tops**3], axis=1)
    promoted = moments.reshape(len(total), -1) @ (_WEIGHTS[:, np.newaxis] * shares).ravel()
    return np.asarray(np.maximum(promoted, 0.0))


def _masked(power: Blocks, lowest: float) -> Iterator[Array]:
    """Yield what is left of the loudness above ``lowest`` where it was loud just before."""
    keep = np.exp(-1 / (_MEMORY * _RATE))
    state: Array | None = None
    for block in power:
        for rows in np.array_split(block, max(1, -(-len(block) // _AT_ONCE))):
            loudness = np.maximum((rows.astype(np.float64) / lowest) ** 0.23 - 1, 0)
            memory = np.empty_like(loudness)
            state = np.zeros(loudness.shape[1]) if state is None else state
            for t, row in enumerate(loudness):
                memory[t] = state
                state = keep * state + (1 - keep) * row
            yield np.maximum(loudness - _MASKING * memory, 0)


def _surrounded(blocks: Iterable[Array]) -> Iterator[Array]:
    """Yield rows with those before and behind them, which at the ends are the last one again."""
    held: Array | None = None
    for block in blocks:
        if len(block) == 0:
            continue
        held = np.repeat(block[:1], _BEFORE, axis=0) if held is None else held
        held = np.concatenate([held, block])
        if len(held) > _BEFORE + _BEHIND:
            yield held
            held = held[-_BEFORE - _BEHIND :]
    if held is not None:
        yield np.concatenate([held, np.repeat(held[-1:], _BEHIND, axis=0)])


def _contrasts(rows: Array) -> Iterator[Array]:
    """Yield all maps of contrast of surrounded rows, each (n_frames, n_bands), >= 0."""
    n = len(rows) - _BEFORE - _BEHIND

    def mean(first: int, stop: int) -> Array:
        shifted = (rows[_BEFORE + k : _BEFORE + k + n] for k in range(first, stop))
        return np.asarray(sum(shifted) / (stop - first))

    for width in _WIDTHS:
        # one frame back: an analysis window holds a sound before its centre does
        rise = np.maximum(mean(-1, width - 1) - mean(-2 * width, 0), 0)
        yield rise
        for bands in _BANDS:
            yield np.maximum(rise - _over_bands(rise, 2 * bands), 0)


def _over_bands(x: Array, reach: int) -> Array:
    """Return the mean over bands within ``reach``, those beyond the ends being the last."""
    padded = np.pad(x, ((0, 0), (reach + 1, reach)), mode="edge")
    total = np.cumsum(padded, axis=1)
    width = 2 * reach + 1
    return np.asarray((total[:, width:] - total[:, :-width]) / width)


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
