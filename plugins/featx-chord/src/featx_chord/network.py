"""The extractor with a network: notes of the whole recording through it, then the best path."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import Context, Features, Track
from featx.neural import NetworkExtractor, Segments
from featx_chord.config import CONTEXT, HOP, NET
from featx_chord.decoding import lasting, spans, unit
from featx_chord.front_end import FRONT_END
from featx_chord.labels import class_labels, inverted
from featx_chord.model import ChordNet, probabilities
from featx_chord.notes import note_activations

if TYPE_CHECKING:
    from torch import Tensor

    from featx.types import FloatArray

#: Chords that the network gives no chance at all keep this probability.
_FLOOR = 1e-6


class ChordNetExtractor(NetworkExtractor):
    """Chords, with inversions."""

    segments = Segments(length=512, ratio=1, context=CONTEXT)

    def network(self) -> ChordNet:
        """Return the network."""
        return ChordNet(NET)

    def config(self) -> Mapping[str, Any]:
        """Return its configuration."""
        return NET.to_json()

    def open(self, context: Context) -> None:
        """Build the network and the transitions."""
        self._wanted = context.features
        needed = {*context.features, *(("posteriors", "bass") if "chords" in self._wanted else ())}
        super().open(dataclasses.replace(context, features=tuple(sorted(needed - {"chords"}))))
        self._classes = class_labels("full")
        self._transitions = lasting(
            len(self._classes), hop=HOP, mean_duration=context.params.mean_duration
        )

    def inputs(self, track: Track) -> FloatArray:
        """Return the notes of a track, frames of length 1."""
        return unit(note_activations(track.spectra(FRONT_END)))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return probabilities by name, frames over time; silence is N."""
        silent = ~x.any(dim=2, keepdim=True)
        return probabilities(self.model(x), silent)

    def extract_track(self, track: Track) -> Features:
        """Return the wanted outputs of one track."""
        frames: dict[str, Any] = self.run(self.forward, self.inputs(track), self.segments)
        if "chords" in self._wanted:
            frames["chords"] = self._events(track, frames["posteriors"], frames["bass"])
        return Features({name: frames[name] for name in self._wanted})

    def _events(self, track: Track, posteriors: FloatArray, bass: FloatArray) -> dict[str, Any]:
        low = np.log(np.maximum(bass[:, :12], _FLOOR))

        def label(state: int, frames: slice) -> str:
            return inverted(self._classes[state], int(np.argmax(low[frames].mean(axis=0))))

        return spans(
            np.log(np.maximum(posteriors, _FLOOR)).astype(np.float32), track.times(FRONT_END),
            track.duration, transitions=self._transitions, column="chord", label=label,
        )  # fmt: skip
