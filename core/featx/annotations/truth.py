"""What is known about a piece of music, and its JAMS form on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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

    def to_jams(self) -> dict[str, Any]:
        """Return the truth as a JAMS document of plain values."""
        bar = np.searchsorted(self.downbeats, self.beats + 1e-9)
        place = np.arange(len(self.beats)) - np.searchsorted(self.beats, self.downbeats)[bar - 1]
        beats = [
            _observation(time, 0.0, int(position) + 1)
            for time, position in zip(self.beats, place, strict=True)
        ]
        spans: dict[str, list[tuple[float, float, Any]]] = {
            "chord": [(chord.start, chord.end, chord.label) for chord in self.chords],
            "segment_open": [(part.start, part.end, part.label) for part in self.sections],
            "key_mode": [(0.0, self.duration, self.key)],
            "tempo": [(0.0, self.duration, self.tempo)],
        }
        annotations = [
            _annotation("beat", beats),
            _annotation("onset", [_observation(time, 0.0, 1.0) for time in self.onsets]),
        ]
        for namespace, items in spans.items():
            data = [_observation(start, end - start, value) for start, end, value in items]
            annotations.append(_annotation(namespace, data))
        for instrument in sorted({note.instrument for note in self.notes}):
            data = [
                _observation(n.onset, n.offset - n.onset, n.pitch, n.velocity)
                for n in self.notes
                if n.instrument == instrument
            ]
            annotations.append(_annotation("note_midi", data, instrument=instrument))
        data = [_observation(hit.time, 0.0, hit.drum, hit.velocity) for hit in self.hits]
        annotations.append(_annotation("tag_open", data, instrument="drums"))
        return {
            "file_metadata": {
                "title": self.title,
                "artist": self.artist,
                "duration": self.duration,
                "release": "",
                "identifiers": {},
                "jams_version": "0.3.4",
            },
            "annotations": annotations,
            "sandbox": {},
        }

    def write(self, path: Path) -> None:
        """Write `to_jams` to ``path``."""
        text = json.dumps(self.to_jams(), indent=1, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")


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
            offset=item["time"] + item["duration"],
            pitch=item["value"],
            velocity=item["confidence"],
            instrument=annotation["sandbox"]["instrument"],
        )
        for annotation in found.get("note_midi", [])
        for item in annotation["data"]
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
            Chord(start=item["time"], end=item["time"] + item["duration"], label=item["value"])
            for item in found["chord"][0]["data"]
        ),
        notes=tuple(sorted(notes, key=lambda note: (note.onset, note.pitch))),
        hits=tuple(
            Hit(time=item["time"], drum=item["value"], velocity=item["confidence"])
            for item in found.get("tag_open", [{"data": []}])[0]["data"]
        ),
        sections=tuple(
            Section(start=item["time"], end=item["time"] + item["duration"], label=item["value"])
            for item in found["segment_open"][0]["data"]
        ),
    )


def _observation(time: float, duration: float, value: Any, confidence: float = 1.0) -> Any:
    return {
        "time": float(time),
        "duration": float(duration),
        "value": value,
        "confidence": confidence,
    }


def _annotation(namespace: str, data: list[Any], *, instrument: str = "") -> dict[str, Any]:
    return {
        "namespace": namespace,
        "data": data,
        "annotation_metadata": {
            "annotator": {},
            "curator": {"name": "featx.testing", "email": ""},
            "data_source": "synthesis",
            "annotation_tools": "featx.testing",
            "annotation_rules": "exact by construction",
            "corpus": "",
            "validation": "",
            "version": "1",
        },
        "sandbox": {"instrument": instrument} if instrument else {},
    }
