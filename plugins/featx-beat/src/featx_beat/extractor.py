"""Beats, downbeats and tempo from a network's activation, by a bar pointer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import Context, Features, Track
from featx.neural import NetworkExtractor, Segments
from featx_beat.config import FPS, MODELS, TCNConfig
from featx_beat.decoding import BarPointer
from featx_beat.networks import make_network
from featx_beat.tempo import periodicity, tempo_of_beats

if TYPE_CHECKING:
    import torch

    from featx.types import AnyArray, FloatArray

#: Below this activation there is no beat: the ends of a recording are cut so, as in madmom.
_THRESHOLD = 0.05
#: What is 60 dB below the loudest sample at either end of a recording is silence.
_SILENCE = 1e-3
#: Beats must be more active than all frames by this on average; music has 0.3 to 0.9, noise 0.05.
_LEAST_CONTRAST = 0.15
#: Seconds after which a recurrent network has forgotten how it began.
_MEMORY = 10.0


class BeatsExtractor(NetworkExtractor):
    """``beats``."""

    def open(self, context: Context) -> None:
        """Build network and state space."""
        params = context.params
        self.own = MODELS[params.model]
        reaches = {"tcn": TCNConfig().reach, "beatnet": round(_MEMORY * FPS)}
        reach = reaches.get(self.own.kind, max(reaches.values()))
        self.segments = Segments(length=8 * reach, ratio=1, context=reach)
        super().open(context)
        self.pointer = BarPointer(
            fps=FPS,
            min_bpm=params.min_bpm,
            max_bpm=params.max_bpm,
            bar_lengths=params.bar_lengths,
            tightness=params.tightness,
            evidence=params.evidence,
        )

    def network(self) -> torch.nn.Module:
        """Return the network of the parameter ``model``."""
        return make_network(self.own)

    def config(self) -> Mapping[str, Any]:
        """Return what weights must have been made for."""
        return self.own.to_json()

    def inputs(self, track: Track) -> FloatArray:
        """Return the bands of all front ends side by side, as many frames as all have."""
        spectra = [track.spectra(front_end) for front_end in self.context.resolved.front_ends]
        n = min(map(len, spectra))
        return np.concatenate([frames[:n] for frames in spectra], axis=1)

    def forward(self, x: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the activation of a batch of segments."""
        return {"activation": self.model.activation(x)}

    def extract_track(self, track: Track) -> Features:
        """Return beats, downbeats, tempo and activation."""
        activation = self.over_time(self.inputs(track), "activation")["activation"]
        strength = activation[:, 0]
        begin, end = _sounding(strength, *_audible(track.y, track.sr))
        apart = np.stack([np.maximum(strength - activation[:, 1], 0.0), activation[:, 1]], axis=1)
        beats = self.pointer.decode(apart[begin:end])
        frames, positions = beats.frames + begin, beats.positions
        near = activation[np.clip(np.rint(frames).astype(np.int64), 0, len(activation) - 1)]
        if len(frames) < 2 or near[:, 0].mean() < strength.mean() + _LEAST_CONTRAST:
            frames, positions, near = frames[:0], positions[:0], near[:0]
        seconds = np.clip(frames / FPS, 0.0, track.duration)  # frames are centred
        down = positions == 1
        similar = periodicity(strength, fps=FPS)
        tempi, confidences = tempo_of_beats(seconds, similar, fps=FPS)
        span = np.tile(seconds[[0, -1]], (len(tempi), 1)) if len(tempi) else np.empty((0, 2))
        return Features(
            beats=np.column_stack([seconds, positions, near[:, 0]]).astype(np.float64),
            downbeats=np.column_stack([seconds[down], near[down, 1]]).astype(np.float64),
            tempo=np.column_stack([span, tempi, confidences]),
            activation=activation,
        )


def _audible(y: FloatArray, sr: int) -> tuple[int, int]:
    """Return the first frame near sound and the one behind the last: not silence at the ends."""
    loudest = max(float(y.max(initial=0.0)), -float(y.min(initial=0.0)))
    heard = (y > _SILENCE * loudest) | (y < -_SILENCE * loudest)
    if not heard.any():
        return 0, 0
    first, last = int(heard.argmax()), len(y) - 1 - int(heard[::-1].argmax())
    return int(np.floor(first / sr * FPS)), int(np.ceil(last / sr * FPS)) + 1


def _sounding(strength: FloatArray, begin: int, end: int) -> tuple[int, int]:
    """Return the first frame from ``begin`` to ``end`` with a beat and the one behind the last."""
    above: AnyArray = begin + np.flatnonzero(strength[begin:end] >= _THRESHOLD)
    return (int(above[0]), int(above[-1]) + 1) if len(above) else (0, 0)
