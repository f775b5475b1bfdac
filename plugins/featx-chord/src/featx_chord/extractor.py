"""The extractors without weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from featx import Context, Extractor, Features, Track
from featx_chord.config import CENS_STRIDE, HOP, KEYS
from featx_chord.decoding import lasting, softmax, spans, unit
from featx_chord.front_end import FRONT_END, SR, Semitones
from featx_chord.keys import KEY_DURATION, key_scores, windowed
from featx_chord.labels import NO_CHORD, ROOTS, class_labels, inverted
from featx_chord.notes import cens, fold, note_activations, pitch_classes
from featx_chord.templates import chord_scores
from featx_chord.tension import tension

#: How many times as strong as the root another tone must be in the bass to be named.
CLEARLY = 2.0
_STATES = (NO_CHORD, *KEYS)


class Chords(Extractor):
    """Notes, pitch classes, templates, best path."""

    def open(self, context: Context) -> None:
        """Take the parameters."""
        super().open(context)
        params = context.params
        self._classes = class_labels(params.vocabulary)
        self._transitions = lasting(len(self._classes), hop=HOP, mean_duration=params.mean_duration)

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return the wanted outputs of every track."""
        return [self._features(track) for track in tracks]

    def _features(self, track: Track) -> Features:
        notes = note_activations(track.spectra(FRONT_END))
        treble, bass = pitch_classes(notes)
        scores = chord_scores(treble, bass, self.context.params.vocabulary)
        makers: dict[str, Callable[[], Any]] = {
            "chords": lambda: self._events(track, scores, bass),
            "chroma": lambda: unit(fold(notes)),
            "bass": lambda: unit(bass),
            "cens": lambda: cens(fold(notes)),
            "posteriors": lambda: softmax(scores),
            "notes": lambda: notes,
        }
        return Features({name: makers[name]() for name in self.context.features})

    def _events(self, track: Track, scores: Any, bass: Any) -> dict[str, Any]:
        low = unit(bass)

        def label(state: int, frames: slice) -> str:
            name = self._classes[state]
            if not self.context.params.inversions or name == NO_CHORD:
                return name
            share = low[frames].mean(axis=0)
            share[ROOTS.index(name.partition(":")[0])] *= CLEARLY
            return inverted(name, int(np.argmax(share)))

        return spans(
            scores, track.times(FRONT_END), track.duration, transitions=self._transitions,
            column="chord", label=label,
        )  # fmt: skip


class Key(Extractor):
    """Pitch classes compared with the profiles of keys."""

    def open(self, context: Context) -> None:
        """Take the parameters."""
        super().open(context)
        self._transitions = lasting(
            len(KEYS) + 1, hop=CENS_STRIDE * HOP, mean_duration=KEY_DURATION
        )

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return the wanted outputs of every track."""
        return [self._features(track) for track in tracks]

    def _features(self, track: Track) -> Features:
        params, S = self.context.params, track.spectra(FRONT_END)
        chroma, times = fold(note_activations(S)), track.times(FRONT_END)[::CENS_STRIDE]
        scores = key_scores(chroma.sum(axis=0, keepdims=True), params.profile)
        local = key_scores(windowed(chroma, params.window / HOP, CENS_STRIDE), params.profile)

        def tensions() -> Any:
            events = self._events(track, local, times)
            rows = np.searchsorted(events["time"], times, "right") - 1
            keys = np.array([_STATES.index(label) - 1 for label in events["key"]])[rows]
            means = windowed(chroma, CENS_STRIDE, CENS_STRIDE)
            bins = Semitones().frequencies(sr=SR, n_fft=0)
            return tension(means, keys, S[::CENS_STRIDE], bins)

        makers: dict[str, Callable[[], Any]] = {
            "scores": lambda: softmax(scores)[0, 1:],
            "key": lambda: self._events(track, scores, np.array([track.duration / 2])),
            "keys": lambda: self._events(track, local, times),
            "tension": tensions,
        }
        return Features({name: makers[name]() for name in self.context.features})

    def _events(self, track: Track, scores: Any, times: Any) -> dict[str, Any]:
        def label(state: int, frames: slice) -> str:  # noqa: ARG001
            return _STATES[state]

        return spans(
            scores, times, track.duration, transitions=self._transitions, column="key", label=label
        )
