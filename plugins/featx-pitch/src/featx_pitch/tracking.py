"""Pitch of every frame by YIN and by pYIN, and paths through long recordings piece by piece."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from featx.analysis import Transitions, viterbi, yin_blocks, yin_periods
from featx_pitch import kernels
from featx_pitch.config import HOP, SR, WINDOW, PitchParams, PyinParams, YinParams, longest_lag

Array = npt.NDArray[Any]

#: Frames this much below the louder parts have no pitch, as a ratio of RMS: 60 dB.
_QUIETEST = 1e-3
#: Below this frequency in Hz there is hum rather than voice.
_HUM = 100.0
#: Frames that are looked at together, and those around them that the filter needs.
_BLOCK, _MARGIN = 8192, 25
#: Hops in the frame that a level is measured in.
_LEVEL_HOPS = 4

#: Of pYIN: bins in an octave, thresholds, the beta distribution of these, the ratio in which later
#: troughs are less likely, the share that the deepest gets, and octaves per second at most.
_PER_OCTAVE, _THRESHOLDS, _BETA, _RATIO, _LOWEST, _FASTEST = 60, 100, (2, 18), 2.0, 0.01, 35.92
#: Lag up to which several periods make one exact one.
_SEVERAL = 80.0
#: Probability of what was not observed.
_FLOOR = 1e-8
#: Frames that a path is decided by in advance, where it is computed in pieces.
_AHEAD = 200


@dataclass
class PitchTrack:
    """What is known of every frame, arrays of shape (n_frames,).

    Attributes
    ----------
    pitch : float64
        Likeliest frequency in Hz, of any frame.
    voiced : bool
        Whether a pitch is heard.
    confidence : float64
        0..1.
    """

    pitch: Array
    voiced: Array
    confidence: Array


def frame_levels(y: Array) -> Array:
    """Return the RMS of 40 ms around every frame, shape (1 + n_samples // 160,)."""
    n = 1 + len(y) // HOP
    whole = y[: (n - 1) * HOP].reshape(-1, HOP)
    energy = np.zeros(n + _LEVEL_HOPS)
    half = _LEVEL_HOPS // 2
    energy[half : half + len(whole)] = np.einsum("tj,tj->t", whole, whole, dtype=np.float64)
    rest = y[(n - 1) * HOP :].astype(np.float64)
    energy[half + len(whole)] = rest @ rest
    total = np.concatenate([[0.0], np.cumsum(energy)])
    sums = np.maximum(total[_LEVEL_HOPS : _LEVEL_HOPS + n] - total[:n], 0.0)
    return np.asarray(np.sqrt(sums / (_LEVEL_HOPS * HOP)))


def audible(levels: Array) -> Array:
    """Return which frames are not far below the louder parts of the recording."""
    return np.asarray(levels > max(_QUIETEST * float(np.percentile(levels, 95)), 1e-7))


def without_hum(y: Array) -> Array:
    """Return a copy without what lies below 100 Hz; partials of lower voices remain.

    A Butterworth high-pass of second order runs forth and back, so that nothing is delayed.
    """
    warped = math.tan(math.pi * _HUM / SR)
    scale = 1.0 + math.sqrt(2.0) * warped + warped**2
    gain, back1 = 1.0 / scale, 2.0 * (warped**2 - 1.0) / scale
    back2 = (1.0 - math.sqrt(2.0) * warped + warped**2) / scale
    out = np.empty(len(y), np.float32)
    kernels.highpass_kernel(y, gain, back1, back2, out)
    kernels.highpass_kernel(out[::-1], gain, back1, back2, out[::-1])
    return out


def voice_blocks(y: Array, fmin: float) -> Iterator[tuple[int, Array]]:
    """Yield the first frame of every block and difference functions without hum, as `yin_blocks`.

    Memory does not grow with the recording.
    """
    n = 1 + len(y) // HOP
    for first in range(0, n, _BLOCK):
        begin, stop = max(0, first - _MARGIN), min(first + _BLOCK, n)
        piece = without_hum(y[begin * HOP : (stop + _MARGIN) * HOP])
        blocks = yin_blocks(
            piece, max_lag=longest_lag(fmin) + 1, win_length=WINDOW, hop_length=HOP,
            block=_BLOCK + 2 * _MARGIN + 1,
        )  # fmt: skip
        for _, d in blocks:
            yield first, d[first - begin :][: stop - first]


def yin_track(y: Array, loud: Array, params: YinParams) -> PitchTrack:
    """Return the pitch of every frame by YIN.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        At 16000 Hz.
    loud : bool array, shape (1 + n_samples // 160,)
        Frames that may have a pitch.
    """
    pitch, aperiodicity = np.empty((2, len(loud)))
    for first, d in voice_blocks(y, params.fmin):
        rows = slice(first, first + len(d))
        lags, aperiodicity[rows] = yin_periods(
            d, min_lag=int(SR // params.fmax), trough_threshold=params.trough
        )
        pitch[rows] = _exact_frequencies(d, lags, params)
    confidence = np.clip(1.0 - aperiodicity, 0.0, 1.0) * loud
    return PitchTrack(pitch, loud & (confidence >= params.voicing), confidence)


class PiecewisePath:
    """The best path of a hidden Markov model through observations that come in pieces.

    The end of every piece is decided only with the next one; that begins in the state before.
    """

    def __init__(self, transitions: Transitions, *, columns: Array | None = None) -> None:
        self._transitions, self._columns = transitions, columns
        self._initial: Array | None = None

    def decide(self, observed: Array, *, final: bool) -> Array:
        """Return the states of all frames of ``observed``, or of all but the last 2 seconds.

        Frames that are not decided must be given again, before those that follow.
        """
        path, _ = viterbi(
            observed, transitions=self._transitions, log_initial=self._initial,
            columns=self._columns,
        )  # fmt: skip
        if final or len(path) <= _AHEAD:
            return path if final else path[:0]
        path = path[:-_AHEAD]
        leading = self._transitions.sources == path[-1]
        self._initial = np.full(self._transitions.n_states, -np.inf)
        self._initial[self._transitions.targets[leading]] = self._transitions.log_probabilities[
            leading
        ]
        return path


class Pyin:
    """pYIN: a hidden Markov model of pitch and voicing over the troughs of YIN.

    References
    ----------
    Mauch, Dixon. "pYIN: a fundamental frequency estimator using probabilistic threshold
    distributions". ICASSP, 2014.
    """

    def __init__(self, params: PyinParams) -> None:
        self._params = params
        self._n_bins = 1 + math.floor(_PER_OCTAVE * math.log2(params.fmax / params.fmin))
        steps = max(1, round(_FASTEST * _PER_OCTAVE * HOP / SR / 2))
        self._transitions = _voicing_transitions(self._n_bins, steps, params.switch)
        unvoiced = np.full(self._n_bins, self._n_bins)
        self._columns = np.concatenate([np.arange(self._n_bins), unvoiced])
        edges = np.linspace(0.0, 1.0, _THRESHOLDS + 1)
        self._masses = np.diff(_beta_distribution(edges, *_BETA))
        self._decay = np.exp(-_RATIO * np.arange(32))

    def track(self, y: Array, loud: Array) -> PitchTrack:
        """Return the pitch of every frame.

        Parameters
        ----------
        y : float32 array, shape (n_samples,)
            At 16000 Hz.
        loud : bool array, shape (1 + n_samples // 160,)
            Frames that may have a pitch.
        """
        longest, n = longest_lag(self._params.fmin), len(loud)
        pitch, confidence, voiced = np.empty(n), np.empty(n), np.empty(n, np.bool_)
        path = PiecewisePath(self._transitions, columns=self._columns)
        done, d = 0, np.empty((0, longest + 2), np.float32)
        for first, piece in voice_blocks(y, self._params.fmin):
            stop = first + len(piece)
            d = np.concatenate([d, piece])
            observed = self.observe(d, loud[done:stop])
            states = path.decide(observed, final=stop == n)
            rows = slice(done, done + len(states))
            bins = states % self._n_bins
            voiced[rows] = states < self._n_bins
            unlikely = np.exp(observed[: len(states), -1].astype(np.float64)) * self._n_bins
            confidence[rows] = np.clip(1.0 - unlikely, 0.0, 1.0)
            lags = SR / (self._params.fmin * 2.0 ** (bins / _PER_OCTAVE))
            pitch[rows] = _exact_frequencies(d[: len(states)], lags, self._params)
            done, d = rows.stop, d[len(states) :]
        return PitchTrack(pitch, voiced & loud, confidence)

    def observe(self, d: Array, loud: Array) -> Array:
        """Return log probabilities of the bins and of having no period, (n_frames, n_bins + 1)."""
        params = self._params
        d = np.where(loud[:, np.newaxis], d, np.float32(1.0))
        out = np.empty((len(d), self._n_bins + 1), np.float32)
        kernels.observe_kernel(
            d, int(SR // params.fmax), self._masses, self._decay, _LOWEST, SR / params.fmin,
            float(_PER_OCTAVE), _FLOOR, np.empty((d.shape[1], 3)), out,
        )  # fmt: skip
        return out


def _exact_frequencies(d: Array, lags: Array, params: PitchParams) -> Array:
    """Return the frequencies of frames whose periods are known roughly."""
    exact = np.empty(len(lags))
    kernels.refine_kernel(d, lags, 2.0 ** (1.5 / _PER_OCTAVE), _SEVERAL, exact)
    return np.asarray(np.clip(SR / exact, params.fmin, params.fmax))


def local_transitions(n_states: int, steps: int) -> Transitions:
    """Return transitions to near states, likelier the nearer, at most ``steps`` away."""
    distances = np.abs(np.arange(n_states)[:, np.newaxis] - np.arange(n_states))
    near = np.maximum(steps + 1.0 - distances, 0.0)
    with np.errstate(divide="ignore"):
        return Transitions.from_dense(np.log(near / near.sum(axis=1, keepdims=True)))


def _voicing_transitions(n_bins: int, steps: int, switch: float) -> Transitions:
    """Return transitions of voiced states, then as many unvoiced ones, which remember the pitch."""
    local = local_transitions(n_bins, steps)
    parts = [
        (local.sources + a * n_bins, local.targets + b * n_bins, np.log(p))
        for a, b, p in ((0, 0, 1 - switch), (0, 1, switch), (1, 0, switch), (1, 1, 1 - switch))
    ]
    return Transitions.from_edges(
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([local.log_probabilities + part[2] for part in parts]),
        n_states=2 * n_bins,
    )


def _beta_distribution(x: Array, a: int, b: int) -> Array:
    """Return the distribution function of the beta distribution of whole parameters."""
    n = a + b - 1
    return np.asarray(sum(math.comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1)))
