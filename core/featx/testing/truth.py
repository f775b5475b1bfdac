"""What is known about a piece of music, and its JAMS form on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.annotations.events import Events, midi_to_hz
from featx.annotations.writing import jams_annotation, jams_document, jams_text
from featx.errors import ParameterError, listed

if TYPE_CHECKING:
    from featx.types import DoubleArray

#: Pitch classes by name; sharps only, as the chord labels use them.
PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

#: Semitones above the root, by Harte quality.
QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
}


@dataclass(frozen=True, kw_only=True)
class Note:
    """One note: onset and offset in seconds, MIDI ``pitch``, ``velocity`` in 0..1."""

    onset: float
    offset: float
    pitch: int
    velocity: float
    instrument: str


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One stroke of a drum (``kick``, ``snare``, ``hat``, ``shaker``) at ``time`` in seconds."""

    time: float
    drum: str
    velocity: float


@dataclass(frozen=True, kw_only=True)
class Chord:
    """A chord in Harte notation (``C:maj``, ``F#:min7``) from ``start`` to ``end`` in seconds."""

    start: float
    end: float
    label: str

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes 0..11 (C = 0), the root first."""
        root, _, quality = self.label.partition(":")
        base = PITCH_NAMES.index(root)
        return tuple((base + step) % 12 for step in QUALITIES[quality])


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the form, such as ``verse``, from ``start`` to ``end`` in seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """Everything that is known about a piece, exactly and by construction.

    Parameters
    ----------
    title, artist : str
        Names.
    duration : float
        In seconds.
    tempo : float
        Beats per minute, constant over the piece.
    key : str
        Such as ``C:major`` or ``F#:minor``.
    beats, downbeats, onsets : float64 arrays, ascending
        In seconds, each an exact number of samples. ``onsets`` are those of all notes and hits,
        each time once; ``downbeats`` are some of ``beats``.
    chords : tuple of Chord
        In order and without gaps, from the first to the last bar line.
    notes : tuple of Note
        Sorted by onset.
    hits : tuple of Hit
        Sorted by time.
    sections : tuple of Section
        In order and without gaps.
    """

    title: str
    artist: str
    duration: float
    tempo: float
    key: str
    beats: DoubleArray
    downbeats: DoubleArray
    onsets: DoubleArray
    chords: tuple[Chord, ...]
    notes: tuple[Note, ...]
    hits: tuple[Hit, ...]
    sections: tuple[Section, ...]

    def events(self) -> list[Events]:
        """Return beats, onsets, chords, sections, key, tempo, notes by instrument, and drums.

        They are named as the namespaces of JAMS; loudness (0..1) is the confidence.
        """
        bar = np.searchsorted(self.downbeats, self.beats + 1e-9)
        place = np.arange(len(self.beats)) - np.searchsorted(self.beats, self.downbeats)[bar - 1]
        whole: dict[str, Any] = {"starts": [0.0], "ends": [self.duration]}
        groups = [
            _group("beat", starts=self.beats, labels=[str(number + 1) for number in place]),
            _group("onset", starts=self.onsets),
            _spans("chord", self.chords),
            _spans("segment_open", self.sections),
            _group("key_mode", **whole, labels=[self.key]),
            _group("tempo", **whole, columns={"tempo": [self.tempo]}),
        ]
        for instrument in sorted({note.instrument for note in self.notes}):
            notes = [note for note in self.notes if note.instrument == instrument]
            groups.append(
                _group(
                    "note_midi",
                    name=f"note_midi {instrument}",
                    starts=[note.onset for note in notes],
                    ends=[note.offset for note in notes],
                    frequencies=midi_to_hz(np.array([note.pitch for note in notes], np.float64)),
                    confidences=[note.velocity for note in notes],
                )
            )
        drums = {
            "starts": [hit.time for hit in self.hits],
            "labels": [hit.drum for hit in self.hits],
            "confidences": [hit.velocity for hit in self.hits],
        }
        return [*groups, _group("tag_open", name="tag_open drums", **drums)]

    def to_jams(self) -> dict[str, Any]:
        """Return the truth as a JAMS document of plain values."""
        metadata = {
            "curator": {"name": "featx.testing", "email": ""},
            "data_source": "synthesis",
            "annotation_tools": "featx.testing",
            "annotation_rules": "exact by construction",
        }
        made = []
        for group in self.events():
            instrument = group.name.partition(" ")[2]
            sandbox = {"instrument": instrument} if instrument else {}
            made.append(jams_annotation(group, metadata=metadata, sandbox=sandbox))
        names = {"title": self.title, "artist": self.artist}
        return jams_document(made, duration=self.duration, metadata=names)

    def write(self, path: Path) -> None:
        """Write `to_jams` to ``path``."""
        path.write_text(jams_text(self.to_jams()), encoding="utf-8")


def read_truth(path: Path) -> Truth:
    """Read what `Truth.write` wrote.

    Raises
    ------
    ParameterError
        If an annotation that `Truth.write` writes is missing.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, list[dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        found.setdefault(annotation["namespace"], []).append(annotation)
    missing = {"beat", "onset", "chord", "segment_open", "key_mode", "tempo"} - set(found)
    if missing:
        raise ParameterError(
            f"{path} must hold annotations of {listed(sorted(missing))}, got none."
        )
    beats = found["beat"][0]["data"]
    notes = [
        Note(
            onset=item["time"],
            offset=end,
            pitch=item["value"],
            velocity=item["confidence"],
            instrument=annotation["sandbox"]["instrument"],
        )
        for annotation in found.get("note_midi", [])
        for item, end in _with_ends(annotation)
    ]
    meta = document["file_metadata"]
    return Truth(
        title=meta["title"],
        artist=meta["artist"],
        duration=meta["duration"],
        tempo=found["tempo"][0]["data"][0]["value"],
        key=found["key_mode"][0]["data"][0]["value"],
        beats=np.array([item["time"] for item in beats]),
        downbeats=np.array([item["time"] for item in beats if item["value"] == 1]),
        onsets=np.array([item["time"] for item in found["onset"][0]["data"]]),
        chords=tuple(
            Chord(start=item["time"], end=end, label=item["value"])
            for item, end in _with_ends(found["chord"][0])
        ),
        notes=tuple(sorted(notes, key=lambda note: (note.onset, note.pitch))),
        hits=tuple(
            Hit(time=item["time"], drum=item["value"], velocity=item["confidence"])
            for item in found.get("tag_open", [{"data": []}])[0]["data"]
        ),
        sections=tuple(
            Section(start=item["time"], end=end, label=item["value"])
            for item, end in _with_ends(found["segment_open"][0])
        ),
    )


def _with_ends(annotation: dict[str, Any]) -> Iterable[tuple[dict[str, Any], float]]:
    """Return the items with their ends, exact also where no duration gives an end back."""
    items = annotation["data"]
    written = annotation["sandbox"].get("featx", {}).get("ends")
    return zip(items, written or [item["time"] + item["duration"] for item in items], strict=True)


def _group(namespace: str, *, name: str = "", **fields: Any) -> Events:
    return Events(name=name or namespace, namespace=namespace, **fields)


def _spans(namespace: str, items: Sequence[Chord | Section]) -> Events:
    return _group(
        namespace,
        starts=[item.start for item in items],
        ends=[item.end for item in items],
        labels=[item.label for item in items],
    )
