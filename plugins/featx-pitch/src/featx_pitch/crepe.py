"""`crepe`: pitch by a published convolutional network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from featx import Context, Features, Track
from featx.neural import NetworkExtractor, Segments
from featx_pitch.config import (
    CAPACITIES,
    CREPE_BINS,
    CREPE_CENTS,
    CREPE_FIRST,
    CREPE_FRAME,
    HOP,
    CrepeConfig,
)
from featx_pitch.extractor import features_of
from featx_pitch.network import Crepe
from featx_pitch.tracking import (
    PiecewisePath,
    PitchTrack,
    audible,
    frame_levels,
    local_transitions,
)

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]

#: Frames that the network sees at a time, and those that are looked at together.
_SEGMENT, _BLOCK = 64, 8192
#: Bins that a path moves by in a frame at most, and bins that a frequency is the mean of.
_STEPS, _NEAR = 11, 4


class CrepeExtractor(NetworkExtractor):
    """``crepe``."""

    segments = Segments(length=_SEGMENT, ratio=1)

    def open(self, context: Context) -> None:
        """Build network and model of paths."""
        params = context.params
        self._own = CrepeConfig(filters=CAPACITIES[params.model])
        super().open(context)
        # bins within the range
        first, last = (
            1200.0 / CREPE_CENTS * math.log2(hertz / CREPE_FIRST)
            for hertz in (params.fmin, params.fmax)
        )
        self._range = slice(max(0, math.floor(first)), min(CREPE_BINS, math.ceil(last) + 1))
        n_bins = self._range.stop - self._range.start
        self._transitions = local_transitions(n_bins, _STEPS)

    def network(self) -> torch.nn.Module:
        """Return the network of the parameter ``model``."""
        return Crepe(self._own)

    def config(self) -> Mapping[str, Any]:
        """Return what weights must have been made for."""
        return self._own.to_json()

    def forward(self, x: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return logits and embeddings of frames ``(1, n_frames, 1024)``."""
        shape = x.shape[:2]
        logits, embeddings = self.model(x.flatten(0, 1))
        return {
            "logits": logits.unflatten(0, shape),
            "embedding": embeddings.unflatten(0, shape),
        }

    def inputs(self, track: Track) -> Array:
        """Return the frames of a track, shape (1 + n_samples // 160, 1024), a view."""
        y = np.asarray(track.y)
        n_frames = 1 + len(y) // HOP
        padded = np.zeros((n_frames - 1) * HOP + CREPE_FRAME, np.float32)
        inner = padded[CREPE_FRAME // 2 :][: len(y)]
        inner[:] = y[: len(inner)]
        return np.lib.stride_tricks.sliding_window_view(padded, CREPE_FRAME)[::HOP]

    def extract_track(self, track: Track) -> Features:
        """Return pitch, confidence and notes of one track, as far as wanted."""
        frames, wanted = self.inputs(track), self.context.features
        levels = frame_levels(np.asarray(track.y))
        loud, n = audible(levels), len(frames)
        pitch, confidence = np.empty((2, n))
        voiced = np.empty(n, np.bool_)
        others: dict[str, list[Array]] = {name: [] for name in ("activation", "embedding")}
        path = PiecewisePath(self._transitions)
        done, logits = 0, np.empty((0, CREPE_BINS), np.float32)
        for first in range(0, n, _BLOCK):
            last = min(first + _BLOCK, n)
            outputs = self.over_time(
                frames[first:last], "logits", *(("embedding",) if "embedding" in wanted else ())
            )
            logits = np.concatenate([logits, outputs["logits"]])
            bins = self._bins(logits, path, final=last == n)
            activation = 1.0 / (1.0 + np.exp(-logits[: len(bins)]))
            rows = slice(done, done + len(bins))
            on_path, strength = frequencies(activation, bins)
            # the path through frames without a pitch depends on what is far away
            own = activation[:, self._range].argmax(axis=1) + self._range.start
            local, confidence[rows] = frequencies(activation, own)
            voiced[rows] = strength >= self.context.params.voicing
            pitch[rows] = np.where(voiced[rows], on_path, local)
            done, logits = rows.stop, logits[len(bins) :]
            if "activation" in wanted:
                others["activation"].append(activation)
            if "embedding" in wanted:
                others["embedding"].append(outputs["embedding"])
        params = self.context.params
        confidence *= loud
        found = PitchTrack(np.clip(pitch, params.fmin, params.fmax), voiced & loud, confidence)
        joined = {name: np.concatenate(parts) for name, parts in others.items() if parts}
        return features_of(found, levels, track.duration, wanted, params.shortest, joined)

    def _bins(self, logits: Array, path: PiecewisePath, *, final: bool) -> Array:
        """Return the bins of the frames that are decided."""
        inside = logits[:, self._range]
        if self.context.params.decoder == "argmax":
            return np.asarray(inside.argmax(axis=1) + self._range.start)
        largest = inside.max(axis=1, keepdims=True)
        observed = inside - largest
        observed -= np.log(np.exp(observed).sum(axis=1, keepdims=True))
        return path.decide(observed, final=final) + self._range.start


def frequencies(activation: Array, bins: Array) -> tuple[Array, Array]:
    """Return frequencies in Hz, means over the bins around, and the highest activation there.

    Parameters
    ----------
    activation : float32 array, shape (n_frames, 360)
        0..1.
    bins : int64 array, shape (n_frames,)
    """
    padded = np.pad(activation.astype(np.float64), ((0, 0), (_NEAR, _NEAR)))
    columns = bins[:, np.newaxis] + np.arange(2 * _NEAR + 1)
    near = np.take_along_axis(padded, columns, axis=1)
    centres = columns - _NEAR
    mean = (near * centres).sum(axis=1) / np.maximum(near.sum(axis=1), 1e-12)
    mean = np.where(near.sum(axis=1) > 1e-9, mean, bins)
    return CREPE_FIRST * 2.0 ** (mean * CREPE_CENTS / 1200), near.max(axis=1)
