"""Notes by the network of Basic Pitch; imported when the extractor is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from featx import Context, Extractor, Features, ParameterError, Track
from featx_onnx.decoding import HOP, SR, WINDOW, find_notes, frame_times

if TYPE_CHECKING:
    from featx.types import FloatArray

#: Frames that two windows share.
OVERLAP = 30
#: Frames in a second by which its authors cut the output; really there are 86.6.
FPS = SR // HOP
#: MIDI number of the lowest of its 88 pitches.
LOWEST = 21

_INPUT = "serving_default_input_2:0"
_NOTES, _ONSETS = "StatefulPartitionedCall:1", "StatefulPartitionedCall:2"


class BasicPitch(Extractor):
    """``basic-pitch``."""

    def open(self, context: Context) -> None:
        """Prepare the network."""
        super().open(context)
        if context.weights is None:
            raise ParameterError(
                "basic-pitch must have weights: without the published file it has no network."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = context.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = np.asarray(context.weights["model"], dtype=np.uint8).tobytes()
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return the notes of each track."""
        return [self._notes(track) for track in tracks]

    def _notes(self, track: Track) -> Features:
        params = self.context.params
        notes = find_notes(
            *self.activations(track.y),
            onset_threshold=params.onset_threshold,
            frame_threshold=params.frame_threshold,
            min_frames=round(params.shortest * SR / HOP),
        )
        times = np.array([[note.start, note.end] for note in notes]).reshape(-1, 2)
        seconds = np.clip(frame_times(times), 0.0, track.duration)
        frequency = 440.0 * 2.0 ** ((LOWEST - 69 + np.array([note.pitch for note in notes])) / 12)
        activation = [note.activation for note in notes]
        return Features(notes=np.column_stack([seconds, frequency, activation]))

    def activations(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the activations of notes and onsets, each ``(n_frames, 88)``."""
        padded = np.concatenate([np.zeros(OVERLAP // 2 * HOP, np.float32), y])
        notes, onsets = [], []
        for start in range(0, len(padded), WINDOW - OVERLAP * HOP):
            window = padded[start : start + WINDOW]
            window = np.pad(window, (0, WINDOW - len(window)))[None, :, None]
            of_notes, of_onsets = self.session.run([_NOTES, _ONSETS], {_INPUT: window})
            notes.append(of_notes[0, OVERLAP // 2 : -OVERLAP // 2])  # (142, 88)
            onsets.append(of_onsets[0, OVERLAP // 2 : -OVERLAP // 2])
        n_frames = len(y) * FPS // SR
        return np.concatenate(notes)[:n_frames], np.concatenate(onsets)[:n_frames]
