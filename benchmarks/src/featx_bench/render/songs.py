"""Songs as POP909 stores them: notes by role, chords and keys, brought onto an axis of beats."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.annotations.midi import TempoMap, import_mido
from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.types import DoubleArray

__all__ = [
    "METER",
    "ROLES",
    "Grid",
    "Song",
    "SongChord",
    "list_songs",
    "pitch_class",
    "read_grid",
    "read_song",
]

#: Tracks of the MIDI files that are read.
ROLES = ("melody", "bridge", "piano")

#: Beats in a bar; bars of another length are never part of an excerpt.
METER = 4

#: Scale degrees in semitones; minor with its leading note.
_SCALES = {"maj": (0, 2, 4, 5, 7, 9, 11), "min": (0, 2, 3, 5, 7, 8, 10, 11)}
#: Share of the notes of an excerpt that must belong to the annotated key.
_IN_KEY = 0.85

#: Two neighbouring beats may differ in length by this share of the song's median.
_EVEN = 0.25

_PEDAL = 64
_NAMES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_FILES = ("beat_midi.txt", "chord_midi.txt", "key_audio.txt")


@dataclass(frozen=True, kw_only=True)
class SongChord:
    """A chord label in Harte notation, from ``start`` to ``end`` in beats."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Beats and bars of a song; cheap to read, enough to plan with.

    Parameters
    ----------
    name : str
        Name of the song's folder.
    beats : float64 array, ascending
        Times of the beats in seconds, in the MIDI file.
    downbeats : int64 array
        Numbers of the beats that begin a bar.
    """

    name: str
    beats: DoubleArray
    downbeats: Any

    @property
    def tempo(self) -> float:
        """Beats per minute, from the median distance."""
        return 60.0 / float(np.median(np.diff(self.beats)))

    def starts(self, n_bars: int) -> list[int]:
        """Return the downbeats from which ``n_bars`` bars of four even beats follow."""
        lengths = np.diff(self.beats)
        even = np.abs(lengths * self.tempo / 60.0 - 1.0) <= _EVEN
        whole = [
            int(b - a) == METER and bool(even[a:b].all())
            for a, b in zip(self.downbeats[:-1], self.downbeats[1:], strict=True)
        ]
        return [
            int(self.downbeats[i])
            for i in range(len(whole) - n_bars + 1)
            if all(whole[i : i + n_bars])
        ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Song(Grid):
    """A song: what its `Grid` knows, and notes, chords and keys on an axis of beats.

    Parameters
    ----------
    notes : dict of role to float64 array, shape (n, 4)
        Start and end in beats, MIDI pitch, velocity 1..127; sorted by start. Notes that the pedal
        holds end with it, or with the chord.
    chords : tuple of SongChord
        In order, without overlaps.
    keys : tuple of (start, end, label)
        In beats; labels such as ``Gb:maj``.
    """

    notes: dict[str, DoubleArray]
    chords: tuple[SongChord, ...]
    keys: tuple[tuple[float, float, str], ...]

    def excerpts(self, n_bars: int) -> list[int]:
        """Return the `starts` where the melody plays and one annotated key fits the notes."""
        return [
            start
            for start in self.starts(n_bars)
            if self.activity(start, n_bars) and self._in_key(start, n_bars)
        ]

    def activity(self, start: int, n_bars: int) -> int:
        """Return the number of notes of the melody in an excerpt."""
        onsets = self.notes["melody"][:, 0]
        first, last = np.searchsorted(onsets, [start, start + METER * n_bars])
        return int(last - first)

    def key(self, start: int, n_bars: int) -> str:
        """Return the label of the key that covers most of an excerpt, ``''`` for none."""
        last = start + METER * n_bars
        covered: dict[str, float] = {}
        for begin, end, label in self.keys:
            shared = min(end, last) - max(begin, start)
            covered[label] = covered.get(label, 0.0) + max(0.0, shared)
        best = max(covered, key=lambda label: covered[label], default="")
        return best if covered.get(best, 0.0) > 0.75 * (last - start) else ""

    def without_last_beats(self, start: int, n_bars: int) -> Song:
        """Return an excerpt whose bars of four beats have lost the last one: a song in 3/4.

        The excerpt still begins at beat ``start``. Notes that begin in a beat that is dropped are
        dropped, too; what sounds into one ends with the beat before.
        """
        keep = METER - 1

        def moved(beats: Any) -> Any:
            bar, place = np.divmod(np.asarray(beats, np.float64) - start, METER)
            return start + keep * bar + np.minimum(place, keep)

        inside = np.arange(start, start + METER * n_bars + 1)
        lengths = np.diff(self.beats[inside])[np.arange(METER * n_bars) % METER < keep]
        beats = self.beats[start] + np.array([0.0, *np.cumsum(lengths)])
        notes = {}
        for role, rows in self.notes.items():
            stays = (rows[:, 0] - start) % METER < keep
            ends = moved(rows[stays, 1])
            notes[role] = np.column_stack([moved(rows[stays, 0]), ends, rows[stays, 2:]])
        chords = [(float(moved(c.start)), float(moved(c.end)), c.label) for c in self.chords]
        return Song(
            name=self.name,
            # beats before the excerpt only keep the numbers of those inside
            beats=np.concatenate([self.beats[:start], beats]),
            downbeats=np.arange(start, start + keep * n_bars + 1, keep),
            notes=notes,
            chords=tuple(SongChord(start=a, end=b, label=c) for a, b, c in chords if b > a),
            keys=self.keys,
        )

    @functools.cached_property
    def _all_notes(self) -> DoubleArray:
        rows = np.concatenate([self.notes[role] for role in ROLES])
        return rows[np.argsort(rows[:, 0], kind="stable")]

    def _in_key(self, start: int, n_bars: int) -> bool:
        tonic, _, mode = self.key(start, n_bars).partition(":")
        if not tonic:
            return False
        rows = self._all_notes
        first, last = np.searchsorted(rows[:, 0], [start, start + METER * n_bars])
        degrees = (rows[first:last, 2] - pitch_class(tonic)) % 12
        return bool(np.isin(degrees, _SCALES[mode]).mean() >= _IN_KEY)


def pitch_class(name: str) -> int:
    """Return the pitch class 0..11 (C = 0) of a note name such as ``Bb`` or ``F#``.

    Raises
    ------
    ParameterError
        If it is none.
    """
    if name[:1] not in _NAMES or set(name[1:]) - {"#", "b"}:
        raise ParameterError(f"note name must be a letter A..G with # or b, got {name!r}.")
    return (_NAMES[name[0]] + name.count("#") - name[1:].count("b")) % 12


def list_songs(folder: Path) -> list[str]:
    """Return the names of the songs in ``folder``, sorted.

    Raises
    ------
    ParameterError
        If there is none.
    """
    names = sorted(
        path.parent.name for path in folder.glob("*/*.mid") if path.stem == path.parent.name
    )
    if not names:
        raise ParameterError(
            f"midi must be a folder of songs as in POP909, got {folder}, which holds no file "
            "NAME/NAME.mid."
        )
    for name in names:
        for file in _FILES:
            if not (folder / name / file).is_file():
                raise ParameterError(f"song {folder / name} must hold {file}, but does not.")
    return names


@functools.lru_cache(maxsize=2048)
def read_grid(folder: Path, name: str) -> Grid:
    """Read beats and bars of one song."""
    rows = _rows(folder / name / "beat_midi.txt", 3)
    times = np.array([float(row[0]) for row in rows])
    if len(times) < 2 or not (np.diff(times) > 0).all():
        raise ParameterError(f"{folder / name / 'beat_midi.txt'} must hold ascending times.")
    downbeats = np.flatnonzero([float(row[2]) == 1.0 for row in rows])
    return Grid(name=name, beats=times, downbeats=downbeats)


@functools.lru_cache(maxsize=2048)
def read_song(folder: Path, name: str) -> Song:
    """Read one song.

    Raises
    ------
    ParameterError
        If a file of it is missing or malformed.
    """
    mido = import_mido()
    grid = read_grid(folder, name)
    spans = [
        (float(a), float(b), label) for a, b, label in _rows(folder / name / "chord_midi.txt", 3)
    ]
    chords = tuple(
        SongChord(start=_snap(start), end=_snap(end), label=label)
        for (_, _, label), (start, end) in zip(
            spans, _to_beats(grid, [span[:2] for span in spans]), strict=True
        )
    )
    keys = [
        (float(a), float(b), label) for a, b, label in _rows(folder / name / "key_audio.txt", 3)
    ]
    path = folder / name / f"{name}.mid"
    try:
        file = mido.MidiFile(path)
    except (OSError, EOFError, ValueError) as error:
        raise ParameterError(f"{path} must be a MIDI file: {error}.") from error
    clock = TempoMap(file)
    bounds = np.array([chord.end for chord in chords])
    return Song(
        name=name,
        beats=grid.beats,
        downbeats=grid.downbeats,
        notes={role: _notes(file, role, grid, clock, bounds) for role in ROLES},
        chords=chords,
        keys=tuple(
            (float(start), float(end), label)
            for (_, _, label), (start, end) in zip(
                keys, _to_beats(grid, [key[:2] for key in keys]), strict=True
            )
        ),
    )


def _rows(path: Path, width: int) -> list[list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ParameterError(f"{path} must be readable: {error.strerror}.") from error
    rows = [line.split() for line in lines if line.strip()]
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise ParameterError(f"{path}, line {number} must have {width} fields, got {len(row)}.")
    return rows


def _to_beats(grid: Grid, seconds: Any) -> DoubleArray:
    """Map seconds to positions in beats; beyond the ends with the nearest beat's length."""
    times = np.asarray(seconds, np.float64)
    beats = grid.beats
    places = np.interp(times, beats, np.arange(len(beats)))
    first, last = beats[1] - beats[0], beats[-1] - beats[-2]
    places = np.where(times < beats[0], (times - beats[0]) / first, places)
    late = len(beats) - 1 + (times - beats[-1]) / last
    return np.where(times > beats[-1], late, places)


def _snap(position: float) -> float:
    """Return the whole beat next to ``position`` where they differ by the rounding of a file."""
    near = round(position)
    return float(near) if abs(position - near) < 0.01 else float(position)


def _notes(file: Any, role: str, grid: Grid, clock: TempoMap, bounds: DoubleArray) -> DoubleArray:
    track = next((track for track in file.tracks if track.name.lower() == role), None)
    if track is None:
        raise ParameterError(f"{file.filename} must have a track {role.upper()}, but has none.")
    played = list(_played(track))
    if not played:
        return np.zeros((0, 4))
    times = [
        [clock.seconds(on), clock.seconds(off), clock.seconds(held)]
        for on, off, held, _, _ in played
    ]
    on, off, held = _to_beats(grid, times).T
    # A pedal held over a change of harmony would sound two chords at once.
    after = np.searchsorted(bounds, off, "right")
    change = np.where(after < len(bounds), bounds[np.minimum(after, len(bounds) - 1)], np.inf)
    ends = np.maximum(off, np.minimum(held, change))
    notes = np.stack([on, ends, [row[3] for row in played], [row[4] for row in played]], axis=1)
    return notes[np.lexsort((notes[:, 2], notes[:, 0]))]


def _played(track: Sequence[Any]) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (on, off, end of the pedal that holds it, pitch, velocity); times in ticks."""
    now, sounding = 0, dict[int, tuple[int, int]]()
    lifts: list[int] = []
    down: int | None = None
    spans: list[tuple[int, int]] = []
    strokes: list[tuple[int, int, int, int]] = []
    for message in track:
        now += message.time
        if message.type == "note_on" and message.velocity > 0:
            if message.note in sounding:
                on, velocity = sounding.pop(message.note)
                strokes.append((on, now, message.note, velocity))
            sounding[message.note] = (now, message.velocity)
        elif message.type in {"note_on", "note_off"} and message.note in sounding:
            on, velocity = sounding.pop(message.note)
            strokes.append((on, now, message.note, velocity))
        elif message.type == "control_change" and message.control == _PEDAL:
            if message.value >= 64 and down is None:
                down = now
            elif message.value < 64 and down is not None:
                spans.append((down, now))
                down = None
    for pitch, (on, velocity) in sounding.items():
        strokes.append((on, now, pitch, velocity))
    lifts = [end for _, end in spans]
    for on, off, pitch, velocity in strokes:
        i = int(np.searchsorted(lifts, off, "right"))
        held = spans[i][1] if i < len(spans) and spans[i][0] <= off else off
        if off > on:
            yield on, off, held, pitch, velocity
