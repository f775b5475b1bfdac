"""From activations to beats: the bar pointer model, and beats linked by their distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx import ParameterError
from featx.analysis import Transitions, link_beats, viterbi

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray, FloatArray

__all__ = ["BarPointer", "Beats", "chain_beats", "refine"]

#: Share of a beat, from its start, where the activation of a beat is expected.
_BEAT_SHARE = 1 / 16
#: Activations are kept away from 0 and 1.
_FLOOR = 1e-5
#: Frames decoded at a time, and how many of them are decoded again with what follows.
_CHUNK, _OVERLAP = 30_000, 3_000
#: What a state sees.
_NONE, _BEAT, _DOWNBEAT = 0, 1, 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Beats:
    """Frames of beats, with fractions, and their places in the bar (1 first; 0 unknown)."""

    frames: DoubleArray
    positions: AnyArray

    def __len__(self) -> int:
        return len(self.frames)


class BarPointer:
    """A pointer that moves through bars: one state for every frame of a beat of every length.

    All bar lengths are in one state space. The tempo changes at beats only, and the bar length at
    the ends of bars.

    Parameters
    ----------
    fps : float > 0
        Frames per second.
    min_bpm, max_bpm : float > 0
        Limits of the tempo.
    bar_lengths : sequence of int > 0
        Beats of a bar; 1 where bars are not to be found.
    tightness : float > 0
        Going from a beat of i frames to one of k has the probability exp(-tightness |k / i - 1|),
        up to a factor.
    change : float, 0..1
        Probability of another bar length after a bar.
    evidence : float, 0..1
        Activation from which a frame is more likely a beat than none. The papers have 1 / 16, the
        share of a beat where it is expected; peaks of activation between beats then often look like
        beats of twice the tempo.

    Raises
    ------
    ParameterError
        If no beat has a length within the limits.

    References
    ----------
    Krebs, Böck, Widmer. "An efficient state-space model for joint tempo and meter tracking".
    ISMIR, 2015. Böck, Krebs, Widmer. "Joint beat and downbeat tracking with recurrent neural
    networks". ISMIR, 2016.
    """

    def __init__(
        self,
        *,
        fps: float,
        min_bpm: float,
        max_bpm: float,
        bar_lengths: Sequence[int],
        tightness: float = 100.0,
        change: float = 1e-4,
        evidence: float = _BEAT_SHARE,
    ) -> None:
        shortest, longest = round(60.0 * fps / max_bpm), round(60.0 * fps / min_bpm)
        if not 2 <= shortest <= longest:
            raise ParameterError(
                f"min_bpm and max_bpm must leave beats of at least 2 frames at {fps:g} per second, "
                f"got {min_bpm:g} and {max_bpm:g}."
            )
        self.intervals = np.arange(shortest, longest + 1)
        self.fps = fps
        self.evidence = evidence
        size = int(self.intervals.sum())
        n_beats = sum(bar_lengths)
        #: of every state
        self.positions = np.repeat([k + 1 for n in bar_lengths for k in range(n)], size)
        share = np.concatenate([np.arange(i) / i for i in self.intervals])
        seen = np.where(np.tile(share, n_beats) < _BEAT_SHARE, _BEAT, _NONE)
        bars_known = max(bar_lengths) > 1
        if bars_known:
            seen[(seen == _BEAT) & (self.positions == 1)] = _DOWNBEAT
        self.columns = seen
        self.bars_known = bars_known
        self.transitions = _transitions(self.intervals, bar_lengths, tightness, change)

    def decode(self, activation: FloatArray) -> Beats:
        """Return the beats of the most probable path.

        Parameters
        ----------
        activation : float32 array, shape (n_frames, 2)
            Probability of a beat that is not a downbeat, and of a downbeat.
        """
        path = self._path(_log_observed(activation, self.evidence))
        if len(path) == 0:
            return Beats(frames=np.empty(0), positions=np.empty(0, np.int64))
        inside = self.columns[path] != _NONE
        edges = np.diff(inside.astype(np.int8), prepend=0, append=0)
        begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        strength = activation.sum(axis=1)
        frames = [int(a + strength[a:b].argmax()) for a, b in zip(begins, ends, strict=True)]
        positions = self.positions[path[begins]] if self.bars_known else np.zeros(len(begins), int)
        return Beats(frames=refine(strength, np.array(frames, np.int64)), positions=positions)

    def _path(self, observed: FloatArray) -> AnyArray:
        """Decode in pieces; each begins in the state that the one before has there."""
        parts: list[AnyArray] = []
        begin, initial = 0, None
        while True:
            piece = observed[begin : begin + _CHUNK]
            path, _ = viterbi(
                piece, transitions=self.transitions, log_initial=initial, columns=self.columns
            )
            if begin + _CHUNK >= len(observed):
                return np.concatenate([*parts, path])
            keep = _CHUNK - _OVERLAP
            parts.append(path[:keep])
            begin += keep
            initial = np.full(len(self.columns), -math.inf, np.float32)
            initial[path[keep]] = 0.0


def _log_observed(activation: FloatArray, evidence: float) -> FloatArray:
    """Return log probabilities of the three things that a state can see, ``(n_frames, 3)``."""
    beat, downbeat = np.clip(activation.T, _FLOOR, 1 - _FLOOR)
    nothing = np.maximum(1.0 - beat - downbeat, _FLOOR) / (1 / evidence - 1)
    logs: FloatArray = np.log(np.stack([nothing, beat, downbeat], axis=1)).astype(np.float32)
    return logs


def _transitions(
    intervals: AnyArray, bar_lengths: Sequence[int], tightness: float, change: float
) -> Transitions:
    size = int(intervals.sum())
    firsts = np.cumsum(intervals) - intervals
    lasts = firsts + intervals - 1
    ratio = intervals[np.newaxis, :] / intervals[:, np.newaxis]
    weights = np.exp(-tightness * np.abs(ratio - 1.0))
    weights[weights < np.finfo(np.float64).eps] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    rows, cols = np.nonzero(weights)
    tempo = np.log(weights[rows, cols])
    within = np.setdiff1d(np.arange(size), lasts)
    sources, targets, logs = [], [], []

    def connect(source: int, target: int, log: float) -> None:
        sources.append(source * size + lasts[rows])
        targets.append(target * size + firsts[cols])
        logs.append(tempo + log)

    bars = np.cumsum([0, *bar_lengths])
    for number, (begin, length) in enumerate(zip(bars, bar_lengths, strict=False)):
        for beat in range(begin, begin + length):
            sources.append(beat * size + within)
            targets.append(beat * size + within + 1)
            logs.append(np.zeros(len(within)))
            if beat < begin + length - 1:
                connect(beat, beat + 1, 0.0)
        others = len(bar_lengths) - 1
        connect(begin + length - 1, begin, math.log1p(-change) if others else 0.0)
        for other in range(len(bar_lengths)):
            if other != number and change > 0:
                connect(begin + length - 1, int(bars[other]), math.log(change / others))
    return Transitions.from_edges(
        np.concatenate(sources),
        np.concatenate(targets),
        np.concatenate(logs),
        n_states=size * sum(bar_lengths),
    )


def chain_beats(strength: FloatArray, *, period: float, tightness: float = 100.0) -> DoubleArray:
    """Return the frames of beats about a period apart, with fractions, where strength is large.

    Parameters
    ----------
    strength : float32 array, shape (n_frames,), >= 0
        Onset strength, or an activation.
    period : float >= 2
        Frames between two beats.
    tightness : float > 0
        As in `link_beats`.

    Notes
    -----
    Beats before the first and after the last one that is half as strong as most are dropped.

    References
    ----------
    Ellis. "Beat tracking by dynamic programming". Journal of New Music Research, 2007.
    """
    deviation = float(strength.std(ddof=1)) if len(strength) > 1 else 0.0
    if deviation == 0.0:
        return np.empty(0)
    reach = np.arange(-round(period), round(period) + 1)
    local = np.convolve(strength / deviation, np.exp(-0.5 * (32.0 * reach / period) ** 2), "same")
    local = local[: len(strength)].astype(np.float32)
    scores, links = link_beats(local, period=period, tightness=tightness)
    higher = (scores[1:-1] > scores[:-2]) & (scores[1:-1] >= scores[2:])
    peaks = np.flatnonzero(higher) + 1
    if len(peaks) == 0:
        return np.empty(0)
    high = peaks[scores[peaks] >= 0.5 * np.median(scores[peaks])]
    chain = [int(high[-1])]
    while links[chain[-1]] >= 0:
        chain.append(int(links[chain[-1]]))
    frames = np.array(chain[::-1], np.int64)
    smooth = np.convolve(local[frames], np.hanning(5), "same")[: len(frames)]
    strong = np.flatnonzero(local[frames] > 0.5 * math.sqrt(float(np.mean(smooth**2))))
    frames = frames[strong[0] : strong[-1] + 1] if len(strong) else frames[:0]
    return refine(strength, frames)


def refine(strength: FloatArray, frames: AnyArray) -> DoubleArray:
    """Return frames moved to the vertex of the parabola through them and their neighbours."""
    if len(frames) == 0:
        return np.empty(0)
    padded = np.pad(strength.astype(np.float64), 1, mode="edge")
    before, here, after = (padded[frames + shift] for shift in (0, 1, 2))
    curve = before - 2.0 * here + after
    peak = (curve < 0) & (here >= before) & (here >= after)
    moves = np.where(peak, 0.5 * (before - after) / np.where(peak, curve, 1.0), 0.0)
    refined: DoubleArray = frames + moves
    return refined
