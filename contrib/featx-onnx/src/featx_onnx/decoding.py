"""How the activations of Basic Pitch become notes.

Bittner et al. "A lightweight instrument-agnostic model for polyphonic note transcription and
multipitch estimation". ICASSP, 2022, section 2.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray, FloatArray

__all__ = ["HOP", "SR", "WINDOW", "Note", "find_notes", "frame_times"]

#: Rate in Hz, samples of a frame and of a window, and frames of a window.
SR, HOP, WINDOW, N_FRAMES = 22050, 256, 43844, 172
#: Frames that may be quiet within a note.
PATIENCE = 11
#: What a window is shorter than its frames, in seconds, with the correction of its authors.
_DRIFT = HOP / SR * (N_FRAMES - WINDOW / HOP) + 0.0018


class Note(NamedTuple):
    """Frames and pitch (0..87) of a note, and its mean activation."""

    start: int
    end: int
    pitch: int
    activation: float


def frame_times(frames: AnyArray) -> DoubleArray:
    """Return the times of frames in seconds, with the correction of the authors."""
    seconds: DoubleArray = frames * (HOP / SR) - _DRIFT * (frames // N_FRAMES)
    return seconds


def find_notes(
    notes: FloatArray,
    onsets: FloatArray,
    *,
    onset_threshold: float,
    frame_threshold: float,
    min_frames: int,
) -> list[Note]:
    """Return the notes in activations ``(n_frames, 88)``, by start and pitch.

    Onsets come first, the last one first: each begins a note that lasts until the activation stays
    low. What is left above the threshold then makes notes without an onset, the loudest first.
    """
    found: list[Note] = []
    left = notes.astype(np.float64)
    n_frames = len(left)

    def add(start: int, end: int, pitch: int) -> None:
        found.append(Note(start, end, pitch, float(notes[start:end, pitch].mean())))

    for frame, pitch in np.argwhere(_peaks(_with_rises(onsets, notes), onset_threshold))[::-1]:
        visited, quiet = _walk(left[frame + 1 : n_frames - 1, pitch], frame_threshold)
        end = frame + 1 + visited - quiet
        if end - frame > min_frames:
            left[frame:end, max(pitch - 1, 0) : pitch + 2] = 0.0
            add(int(frame), int(end), int(pitch))
    loud = np.argwhere(left > frame_threshold)
    order = np.argsort(-left[tuple(loud.T)], kind="stable")
    for frame, pitch in loud[order]:
        if not left[frame, pitch]:
            continue  # within a note that was louder
        left[frame, pitch] = 0.0
        forward, after = _walk(left[frame + 1 : n_frames - 1, pitch], frame_threshold)
        backward, before = _walk(left[1 : max(frame, 1), pitch][::-1], frame_threshold)
        near = slice(max(pitch - 1, 0), pitch + 2)
        left[frame + 1 : frame + 1 + forward, near] = 0.0
        left[frame - backward : frame, near] = 0.0
        start, end = frame - backward + before, frame + forward - after
        if end - start > min_frames:
            add(int(start), int(end), int(pitch))
    return sorted(found)


def _with_rises(onsets: FloatArray, notes: FloatArray) -> DoubleArray:
    """Return onsets, or where it is larger the rise of notes over two frames, equally scaled."""
    rises = np.zeros(notes.shape)
    exact = notes.astype(np.float64)
    rises[2:] = np.maximum(np.minimum(exact[2:] - exact[1:-1], exact[2:] - exact[:-2]), 0.0)
    highest = rises.max(initial=0.0)
    if highest > 0:
        rises *= onsets.max() / highest
    return np.maximum(onsets, rises)


def _peaks(values: DoubleArray, threshold: float) -> AnyArray:
    """Return where values are above their neighbours in time, and not below the threshold."""
    peaks = np.zeros(values.shape, dtype=bool)
    inner = values[1:-1]
    peaks[1:-1] = (inner > values[:-2]) & (inner > values[2:]) & (inner >= threshold)
    return peaks


def _walk(energy: DoubleArray, threshold: float) -> tuple[int, int]:
    """Return how many frames precede the end of a note, and how many of the last are quiet."""
    quiet = visited = 0
    for value in energy:
        visited += 1
        quiet = quiet + 1 if value < threshold else 0
        if quiet == PATIENCE:
            break
    return visited, quiet
