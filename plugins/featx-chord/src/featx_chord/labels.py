"""Chord labels in the notation of Harte: qualities, vocabularies, inversions. Plain values.

Harte, Sandler, Abdallah, Gómez. "Symbolic representation of musical chords". ISMIR, 2005.
"""

from __future__ import annotations

import functools
import re

from featx import ParameterError

__all__ = [
    "NO_CHORD",
    "QUALITIES",
    "ROOTS",
    "VOCABULARIES",
    "chord_labels",
    "class_labels",
    "inverted",
    "parse_chord",
    "quality_of",
]

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

#: Other names of annotations, by the quality that is left when ninths and higher are dropped.
_SHORTHANDS = {"": "maj", "1": "maj", "5": "maj"} | {
    f"{kind}{number}": f"{kind}7" for kind in ("", "maj", "min") for number in (9, 11, 13)
}
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SCALE = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 11}
_CHORD = re.compile(
    r"(?P<root>[A-G][b#]*)(?::(?P<quality>[a-z0-9]*)(?:\((?P<degrees>[^)]*)\))?)?(?:/(?P<bass>[b#]*\d+))?"
)


def _accidentals(text: str) -> int:
    return text.count("#") - text.count("b")


def _semitones(degree: str) -> int:
    number = int(degree.lstrip("b#"))
    return (_SCALE[(number - 1) % 7 + 1] + _accidentals(degree)) % 12


@functools.lru_cache(maxsize=4096)
def parse_chord(label: str) -> tuple[int, int, frozenset[int]] | None:
    """Return root, bass (pitch classes, C = 0) and all pitch classes of a chord; None for ``N``.

    Raises
    ------
    ParameterError
        If it is not a chord in Harte notation, or is ``X`` (unknown).

    Examples
    --------
    >>> parse_chord("D:min7/b7")
    (2, 0, frozenset({0, 9, 2, 5}))
    """
    if label == NO_CHORD:
        return None
    match, quality = _CHORD.fullmatch(label), quality_of(label)
    if match is None or not quality:
        raise ParameterError(f"label must be a chord such as C:min7/b3, or N, got {label!r}.")
    root = (_NATURALS[match["root"][0]] + _accidentals(match["root"])) % 12
    steps = set(QUALITIES[quality])
    for degree in filter(None, (match["degrees"] or "").replace(" ", "").split(",")):
        if degree.startswith("*"):
            steps.discard(_semitones(degree[1:]))
        else:
            steps.add(_semitones(degree))
    bass = _semitones(match["bass"]) if match["bass"] else 0
    steps.add(bass)
    return root, (root + bass) % 12, frozenset((root + step) % 12 for step in steps)


@functools.lru_cache(maxsize=4096)
def quality_of(label: str) -> str:
    """Return the quality in `QUALITIES` that a chord has, by sixth, seventh and triad; else ``''``.

    Examples
    --------
    >>> quality_of("C:maj9"), quality_of("C:sus4(b7)"), quality_of("C:maj/2"), quality_of("N")
    ('maj7', 'sus4', 'maj', '')
    """
    match = _CHORD.fullmatch(label)
    name = (match["quality"] or "") if match else NO_CHORD
    quality = _SHORTHANDS.get(name, name)
    return quality if quality in QUALITIES else ""


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
