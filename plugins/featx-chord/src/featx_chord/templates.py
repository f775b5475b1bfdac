"""How well every chord explains a frame: pitch classes above, and the root below."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from featx_chord.decoding import unit
from featx_chord.labels import QUALITIES, ROOTS, class_labels

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

#: Weight of the likeness of treble and bass to a chord, against transitions.
TREBLE, BASS = 30.0, 8.0
#: Share of a tone of the chord in the bass, where the root is 1.
_BASS_TONE = 0.4
#: How likely qualities are, in pop: about as often as they are played.
_PRIOR = {"maj": 0.5, "min": 0.3, "min7": 0.08, "7": 0.06, "maj7": 0.06, "sus2": 0.03, "sus4": 0.03}
_RARE, _NONE = 0.01, 0.005
#: Frames that the chroma is averaged over on both sides, weights.
_SMOOTHING = (0.06, 0.12, 0.20, 0.24, 0.20, 0.12, 0.06)


def class_tones(vocabulary: str) -> FloatArray:
    """Return the pitch classes of every class as ones, float32 (n_classes, 12); none for N."""
    rows = np.zeros((len(class_labels(vocabulary)), 12), np.float32)
    for row, label in zip(rows[1:], class_labels(vocabulary)[1:], strict=True):
        root, _, quality = label.partition(":")
        row[(np.array(QUALITIES[quality]) + ROOTS.index(root)) % 12] = 1.0
    return rows


@functools.cache
def _templates(vocabulary: str) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Return treble and bass of all classes, shape (n_classes, 12), and their log priors."""
    labels, treble = class_labels(vocabulary), class_tones(vocabulary).astype(np.float64)
    roots = np.array([root == label.partition(":")[0] for label in labels for root in ROOTS])
    bass = _BASS_TONE * treble + (1 - _BASS_TONE) * roots.reshape(-1, 12)
    treble[0] = bass[0] = 1.0
    prior = [_NONE] + [_PRIOR.get(label.partition(":")[2], _RARE) for label in labels[1:]]
    rows = (item / np.linalg.norm(item, axis=1, keepdims=True) for item in (treble, bass))
    return (*rows, np.log(prior))


def smoothed(chroma: FloatArray) -> FloatArray:
    """Return the running mean over 0.65 s."""
    half = len(_SMOOTHING) // 2
    padded = np.pad(chroma, ((half, half), (0, 0)), mode="edge")
    n = len(chroma)
    return np.asarray(sum(w * padded[i : i + n] for i, w in enumerate(_SMOOTHING)), np.float32)


def chord_scores(treble: FloatArray, bass: FloatArray, vocabulary: str) -> FloatArray:
    """Return unnormalised log probabilities of the classes in every frame.

    Parameters
    ----------
    treble, bass : float32 array, shape (n_frames, 12), >= 0
    vocabulary : str

    Returns
    -------
    float32 array, shape (n_frames, n_classes)
        Silent frames are N.
    """
    high, low, prior = _templates(vocabulary)
    t, b = unit(smoothed(treble)), unit(smoothed(bass))
    scores = TREBLE * t @ high.T + BASS * b @ low.T + prior
    silent = ~treble.any(axis=1) & ~bass.any(axis=1)
    scores[silent, 1:] = scores[silent, :1] - 20.0
    return scores.astype(np.float32)
