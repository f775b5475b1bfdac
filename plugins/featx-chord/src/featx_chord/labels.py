"""Chord labels in Harte notation: qualities, vocabularies, inversions. Plain values.

Harte, Sandler, Abdallah, Gómez. "Symbolic representation of musical chords". ISMIR, 2005.
"""

from __future__ import annotations

import functools

NO_CHORD = "N"
ROOTS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

#: Semitones above the root.
QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "minmaj7": (0, 3, 7, 11),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
}

#: Qualities that can be told apart; all vocabularies have N besides.
VOCABULARIES: dict[str, tuple[str, ...]] = {
    "majmin": ("maj", "min"),
    "sevenths": ("maj", "min", "7", "maj7", "min7"),
    "full": tuple(QUALITIES),
}

#: Degree of the bass by semitones above the root; of fifths and sevenths as the chord has them.
_DEGREES = {2: "2", 3: "b3", 4: "3", 5: "4", 6: "b5", 7: "5", 8: "#5", 9: "6", 10: "b7", 11: "7"}


@functools.cache
def class_labels(vocabulary: str) -> tuple[str, ...]:
    """Return N and the chords of a vocabulary, quality by quality, without inversions."""
    qualities = VOCABULARIES[vocabulary]
    return (NO_CHORD, *(f"{root}:{quality}" for quality in qualities for root in ROOTS))


@functools.cache
def chord_labels(vocabulary: str) -> tuple[str, ...]:
    """Return `class_labels` and all their inversions."""
    turned = (
        f"{root}:{quality}/{_DEGREES[step]}"
        for quality in VOCABULARIES[vocabulary]
        for step in QUALITIES[quality][1:]
        for root in ROOTS
    )
    return (*class_labels(vocabulary), *turned)


def inverted(label: str, bass: int) -> str:
    """Return a chord over one of its own tones, a pitch class; as it is over any other.

    Examples
    --------
    >>> inverted("C:maj", 4), inverted("C:maj", 0), inverted("C:maj", 1)
    ('C:maj/3', 'C:maj', 'C:maj')
    """
    if label == NO_CHORD:
        return label
    root, _, quality = label.partition(":")
    step = (bass - ROOTS.index(root)) % 12
    return f"{label}/{_DEGREES[step]}" if step and step in QUALITIES[quality] else label
