"""Arrangements: what an artist makes of an excerpt of a song, and the labels that follow from it.

Everything happens on a grid of half milliseconds, the tick of the MIDI files written later. The
labels are read off the arrangement, so they are exact.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.testing.truth import PITCH_NAMES, Chord, Hit, Note, Truth
from featx_bench.render.songs import METER, Song, pitch_class
from featx_bench.render.tastes import GROOVES, PARTS, Album, Artist, decays, family

if TYPE_CHECKING:
    from featx.types import DoubleArray

__all__ = [
    "DRUMS",
    "TAG_CATEGORIES",
    "TICKS_PER_SECOND",
    "Arrangement",
    "Channel",
    "arrange",
    "transpose_label",
]

#: Resolution of all times.
TICKS_PER_SECOND = 2000

#: General MIDI key of each drum.
DRUMS = {
    "kick": 36,
    "stick": 37,
    "snare": 38,
    "clap": 39,
    "hat": 42,
    "open-hat": 46,
    "ride": 51,
    "tambourine": 54,
    "conga": 63,
    "shaker": 70,
}

#: Tags by what they speak of; at most one of a category, but any number of instruments.
TAG_CATEGORIES = {
    "instrument": (
        *("piano", "mallets", "organ", "guitar", "bass", "strings", "choir", "brass", "reed"),
        *("flute", "synth"),
    ),
    "drums": ("drums", "no-drums"),
    "tempo": ("slow", "medium", "fast"),
    "mode": ("major", "minor"),
    "density": ("sparse", "dense"),
    "register": ("low", "high"),
}

#: Limits of the tempo classes, in beats per minute.
SLOW, FAST = 80.0, 110.0
#: Limits in notes per second (without drums); between them lies no tag.
SPARSE, DENSE = 7.0, 9.5
#: Limits of the lead's median pitch; between them lies no tag.
LOW, HIGH = 66.0, 74.0

#: A tempo may be changed by this factor at most.
STRETCH = 1.6

_COMP_CENTRE = 60
_BASS_LOWEST = 28
#: Where a bass plays, the song's own notes below this pitch are left to it.
_BASS_TOP = 45
_MODES = {"maj": "major", "min": "minor"}
#: Roles and their MIDI channels.
_CHANNELS = {"lead": 0, "second": 1, "comp": 2, "bass": 3, "drums": 9}


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One MIDI channel: its role, program and controllers."""

    role: str
    number: int
    program: int
    volume: int
    pan: int
    reverb: int
    chorus: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrangement:
    """An excerpt as an artist plays it.

    Parameters
    ----------
    truth : Truth
        Title, artist, tempo, key, beats, chords, notes and drum strokes; times in seconds from
        the start of the clip, whole ticks.
    channels : tuple of Channel
        Those that play.
    album : Album
        Room, tilt and level come from it.
    tags : tuple of str
        In the order of `TAG_CATEGORIES`.
    columns : dict of str to str
        Further columns of the manifest.
    """

    truth: Truth
    channels: tuple[Channel, ...]
    album: Album
    tags: tuple[str, ...]
    columns: dict[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Clock:
    """Seconds of beats: ``times[i]`` is beat ``first + i``."""

    first: int
    times: DoubleArray

    def __call__(self, beats: Any) -> Any:
        places = np.arange(self.first, self.first + len(self.times))
        seconds = np.interp(beats, places, self.times)
        pace = self.times[-1] - self.times[-2]
        beyond = np.maximum(np.asarray(beats) - places[-1], 0.0)
        return np.round((seconds + beyond * pace) * TICKS_PER_SECOND) / TICKS_PER_SECOND


def arrange(
    song: Song,
    artist: Artist,
    album: Album,
    *,
    duration: float,
    seed: Sequence[int],
    title: str,
    parts: Sequence[str] = PARTS,
) -> Arrangement:
    """Arrange an excerpt of ``song`` as ``artist`` plays on ``album``; the same for equal input.

    Parameters
    ----------
    duration : float > 0
        Length of the clip in seconds; music runs to its end.
    seed : sequence of int
        Chooses excerpt, tempo within the album's range and transposition.
    parts : sequence of str
        Those of `featx_bench.render.tastes.PARTS` that play; labels speak of them alone, but
        chords, beats and key are those of the whole.

    Raises
    ------
    ParameterError
        If the song has no stretch of even bars that is long enough.
    """
    rng = np.random.default_rng([0xA44A, *seed])
    tempo = float(np.clip(rng.uniform(*album.tempo), song.tempo / STRETCH, song.tempo * STRETCH))
    lead_in = round(float(rng.uniform(0.1, 0.5)), 3)
    shift = int(rng.integers(artist.transposition[0], artist.transposition[1] + 1))
    n_bars = bars_needed(duration, tempo)
    first = _excerpt(song, n_bars, rng)
    clock = _clock(song, first, n_bars, tempo=tempo, lead_in=lead_in, steady=artist.steady)
    channels = _channels(artist, album)
    notes = [*_lines(song, artist, album, clock, shift, duration)]
    chords = _chords(song, clock, shift, lead_in, duration)
    for role, line in (
        ("comp", _comping(album, chords, clock)),
        ("bass", _bass(album, chords, clock)),
    ):
        notes += [_note(role, *stroke, duration) for stroke in line]
    tones = _monophonic_keys(note for note in notes if note and note.instrument in parts)
    hits = _drums(album, clock, n_bars, duration) if "drums" in parts else ()
    playing = {note.instrument for note in tones} | ({"drums"} if hits else set())
    channels = tuple(channel for channel in channels if channel.role in playing)
    beats = np.array([t for t in clock.times if t < duration])
    truth = Truth(
        title=title,
        artist=artist.name,
        duration=duration,
        tempo=round(60.0 / float(np.median(np.diff(beats))), 2),
        key=_key(song.key(first, n_bars), shift),
        beats=beats,
        downbeats=beats[::METER],
        onsets=np.unique([*(note.onset for note in tones), *(hit.time for hit in hits)]),
        chords=chords,
        notes=tones,
        hits=hits,
        sections=(),
    )
    tags, columns = _describe(truth, channels)
    columns |= {"song": song.name, "transposition": str(shift), "first_beat": str(first)}
    return Arrangement(truth=truth, channels=channels, album=album, tags=tags, columns=columns)


def bars_needed(duration: float, tempo: float) -> int:
    """Return the bars that fill a clip at a tempo, and one more for uneven playing."""
    return int(np.ceil(duration * tempo / 60.0 / METER)) + 1


def transpose_label(label: str, shift: int) -> str:
    """Move a chord or key label by semitones; roots are spelled with sharps.

    Examples
    --------
    >>> transpose_label("Bb:min7/b7", 2), transpose_label("N", 2)
    ('C:min7/b7', 'N')
    """
    if label == "N":
        return label
    root, colon, rest = label.partition(":")
    root, slash, bass = root.partition("/")
    return PITCH_NAMES[(pitch_class(root) + shift) % 12] + slash + bass + colon + rest


def _excerpt(song: Song, n_bars: int, rng: np.random.Generator) -> int:
    """Return the first beat of one of the excerpts with most notes of the melody."""
    starts = song.excerpts(n_bars)
    if not starts:
        raise ParameterError(
            f"song {song.name!r} must have {n_bars} even bars of {METER} beats in one key, but has "
            "not. Render shorter clips."
        )
    active = np.array([song.activity(start, n_bars) for start in starts])
    best = np.flatnonzero(active >= 0.85 * active.max())
    return starts[int(rng.choice(best))]


def _clock(
    song: Song, first: int, n_bars: int, *, tempo: float, lead_in: float, steady: bool
) -> _Clock:
    n_beats = METER * n_bars
    if steady:
        times = lead_in + np.arange(n_beats + 1) * (60.0 / tempo)
    else:
        played = song.beats[first : first + n_beats + 1] - song.beats[first]
        times = lead_in + played * (60.0 / tempo) * n_beats / played[-1]
    return _Clock(first=first, times=np.round(times * TICKS_PER_SECOND) / TICKS_PER_SECOND)


def _channels(artist: Artist, album: Album) -> tuple[Channel, ...]:
    programs = {
        "lead": album.lead,
        "second": album.second,
        "comp": album.comp,
        "bass": album.bass,
        "drums": album.kit,
    }
    return tuple(
        Channel(
            role=role,
            number=_CHANNELS[role],
            program=program,
            volume=artist.volume[role],
            pan=artist.pan[role],
            reverb=artist.reverb[role],
            chorus=artist.chorus[role],
        )
        for role, program in programs.items()
        if program is not None
    )


def _lines(
    song: Song, artist: Artist, album: Album, clock: _Clock, shift: int, duration: float
) -> Iterator[Note | None]:
    """Yield the lines that come from the song itself."""
    lines = {"lead": "melody", "second": "bridge" if album.second is not None else ""}
    if album.comping == "song":
        lines["comp"] = "piano"
    for role, source in lines.items():
        rows = song.notes[source] if source else np.zeros((0, 4))
        inside = (rows[:, 0] >= clock.first) & (clock(rows[:, 0]) < duration)
        rows = rows[inside]
        octaves = 0
        if len(rows) and role != "comp":
            octaves = 12 * round((artist.register - shift - float(np.median(rows[:, 2]))) / 12)
        for start, end, pitch, velocity in rows:
            if role == "comp" and album.bass is not None and pitch < _BASS_TOP:
                continue
            times = float(clock(start)), float(clock(end))
            yield _note(role, *times, int(pitch) + shift + octaves, velocity / 127, duration)


def _note(
    role: str, start: float, end: float, pitch: int, velocity: float, duration: float
) -> Note | None:
    """Return a note, cut at the end of the clip; None if nothing of it is left."""
    start, end = _snap(start), _snap(min(end, duration))
    if end - start < 2 / TICKS_PER_SECOND or not 0 <= pitch <= 127:
        return None
    return Note(
        onset=start,
        offset=end,
        pitch=pitch,
        velocity=max(1, round(127 * velocity)) / 127,
        instrument=role,
    )


def _snap(seconds: float) -> float:
    return round(seconds * TICKS_PER_SECOND) / TICKS_PER_SECOND


def _monophonic_keys(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Return the notes with none sounding twice on one key: an earlier one ends before the next."""
    chosen: dict[tuple[str, int], list[Note]] = {}
    for note in sorted(notes, key=lambda n: (n.onset, n.pitch, -n.velocity, -n.offset)):
        line = chosen.setdefault((note.instrument, note.pitch), [])
        if line and line[-1].onset == note.onset:
            continue
        if line and line[-1].offset >= note.onset:
            last = line.pop()
            end = note.onset - 1 / TICKS_PER_SECOND
            if end - last.onset >= 2 / TICKS_PER_SECOND:
                line.append(_ending(last, end))
        line.append(note)
    sequence = itertools.chain.from_iterable(chosen.values())
    return tuple(sorted(sequence, key=lambda n: (n.onset, n.pitch, n.instrument)))


def _ending(note: Note, offset: float) -> Note:
    return Note(
        onset=note.onset,
        offset=_snap(offset),
        pitch=note.pitch,
        velocity=note.velocity,
        instrument=note.instrument,
    )


def _chords(
    song: Song, clock: _Clock, shift: int, lead_in: float, duration: float
) -> tuple[Chord, ...]:
    """Return the labels of the whole clip: no chord before the music, equal neighbours merged."""
    spans: list[tuple[float, float, str]] = [(0.0, lead_in, "N")]
    for chord in song.chords:
        if chord.end <= clock.first:
            continue
        start = max(float(clock(max(chord.start, clock.first))), spans[-1][1])
        end = min(float(clock(chord.end)), duration)
        if start >= duration or end <= start:
            continue
        label = transpose_label(chord.label, shift)
        if start > spans[-1][1]:
            spans.append((spans[-1][1], start, "N"))
        if spans[-1][2] == label:
            spans[-1] = (spans[-1][0], end, label)
        else:
            spans.append((start, end, label))
    if spans[-1][1] < duration:
        spans.append((spans[-1][1], duration, "N"))
    return tuple(Chord(start=a, end=b, label=label) for a, b, label in spans)


@functools.lru_cache(maxsize=4096)
def _harmony(label: str) -> tuple[int, tuple[int, ...]] | None:
    """Return the pitch class of the bass and those of the chord, or None without a chord."""
    import mir_eval

    root, bitmap, bass = mir_eval.chord.encode(label)
    if root < 0:
        return None
    classes = tuple(int((root + step) % 12) for step in np.flatnonzero(bitmap))
    return int((root + bass) % 12), classes


def _steps(chord: Chord, clock: _Clock, per_beat: int) -> Iterator[tuple[int, float, float]]:
    """Yield (number in the clip, start, end) of the beats, or parts of them, in a chord."""
    grid = np.arange(0, per_beat * (len(clock.times) - 1) + 1) / per_beat + clock.first
    times = clock(grid)
    for number, (start, end) in enumerate(itertools.pairwise(times)):
        if chord.start - 1e-6 <= start < chord.end - 1e-6:
            yield number, float(start), float(min(end, chord.end))


_Stroke = tuple[float, float, int, float]


def _comping(album: Album, chords: Sequence[Chord], clock: _Clock) -> Iterator[_Stroke]:
    """Yield (start, end, pitch, velocity) of chords played by rule."""
    if album.comping == "song":
        return
    previous = float(_COMP_CENTRE)
    for chord in chords:
        harmony = _harmony(chord.label)
        if harmony is None:
            continue
        pitches = _voice(harmony[1], previous)
        previous = float(np.mean(pitches))
        if album.comping == "pad" and not decays(album.comp):
            yield from ((chord.start, chord.end, pitch, 0.6) for pitch in pitches)
            continue
        if album.comping == "arpeggio":
            order = [*pitches, *pitches[-2:0:-1]]
            for place, (number, start, end) in enumerate(_steps(chord, clock, 2)):
                accent = 0.75 if number % 2 == 0 else 0.6
                yield start, end, order[place % len(order)], accent
            continue
        per_beat = 2 if album.comping == "offbeat" else 1
        # A sound that dies away holds a chord by being struck at every half bar.
        every = 2 if album.comping == "pad" else 1
        for number, start, end in _steps(chord, clock, per_beat):
            if per_beat == 2 and number % 2 == 0:
                continue
            if number % every and start > chord.start + 1e-6:
                continue
            stop = min(start + every * (end - start), chord.end)
            accent = 0.72 if number % METER == 0 else 0.6
            yield from ((start, stop, pitch, accent) for pitch in pitches)


def _voice(classes: Sequence[int], goal: float) -> list[int]:
    """Return the close position nearest to ``goal``, drawn to the middle of the keyboard."""
    goal = 0.7 * goal + 0.3 * _COMP_CENTRE
    options = []
    for turn in range(len(classes)):
        pitches = [classes[turn] + 48]
        for value in [*classes[turn + 1 :], *classes[:turn]]:
            pitches.append(pitches[-1] + ((value - pitches[-1]) % 12 or 12))
        move = 12 * round((goal - float(np.mean(pitches))) / 12)
        options.append([pitch + move for pitch in pitches])
    return min(options, key=lambda pitches: abs(float(np.mean(pitches)) - goal))


def _bass(album: Album, chords: Sequence[Chord], clock: _Clock) -> Iterator[_Stroke]:
    """Yield (start, end, pitch, velocity) of the bass line, by the album's rule."""
    if album.bass is None:
        return
    for chord in chords:
        harmony = _harmony(chord.label)
        if harmony is None:
            continue
        low = _BASS_LOWEST + (harmony[0] - _BASS_LOWEST) % 12
        fifth = next((low + n for n in (7, 6, 8) if (low + n) % 12 in harmony[1]), low + 12)
        if album.bass_line == "long":
            yield chord.start, chord.end, low, 0.8
            continue
        per_beat = 2 if album.bass_line in {"eighths", "octaves"} else 1
        for place, (number, start, end) in enumerate(_steps(chord, clock, per_beat)):
            pitch = low
            if album.bass_line == "octaves":
                pitch = low + 12 * (place % 2)
            elif album.bass_line == "root-fifth":
                if place % 2:
                    continue
                pitch = low if place % 4 == 0 else fifth
                end = min(start + 2 * (end - start), chord.end)  # noqa: PLW2901
            accent = 0.85 if number % (per_beat * METER) == 0 else 0.7
            yield start, end - 0.1 * (end - start), pitch, accent


def _drums(album: Album, clock: _Clock, n_bars: int, duration: float) -> tuple[Hit, ...]:
    if album.kit is None:
        return ()
    groove = GROOVES[album.groove]
    hits = {}
    for bar in range(n_bars):
        for drum, step, velocity in groove.strokes:
            beat = step / 4
            if groove.swing and beat % 1 == 0.5:
                beat += groove.swing - 0.5
            time = float(clock(clock.first + METER * bar + beat))
            if time < duration - 0.02:
                hits[time, drum] = Hit(time=time, drum=drum, velocity=velocity / 127)
    return tuple(hits[key] for key in sorted(hits))


def _key(label: str, shift: int) -> str:
    """Return a transposed key as `Truth` has it, such as ``F#:minor``."""
    tonic, _, mode = transpose_label(label, shift).partition(":")
    return f"{tonic}:{_MODES[mode]}"


def _describe(truth: Truth, channels: Sequence[Channel]) -> tuple[tuple[str, ...], dict[str, str]]:
    counts: dict[str, int] = {}
    for note in truth.notes:
        counts[note.instrument] = counts.get(note.instrument, 0) + 1
    programs = {channel.role: channel.program for channel in channels}
    families = {family(programs[role]) for role, count in counts.items() if count >= 4}
    mode = truth.key.partition(":")[2]
    per_second = len(truth.notes) / truth.duration
    leads = [note.pitch for note in truth.notes if note.instrument == "lead"]
    register = float(np.median(leads)) if leads else (LOW + HIGH) / 2
    tags = families | {"drums" if truth.hits else "no-drums", mode, tempo_class(truth.tempo)}
    tags |= {"sparse"} if per_second < SPARSE else {"dense"} if per_second > DENSE else set()
    tags |= {"low"} if register < LOW else {"high"} if register > HIGH else set()
    order = [tag for names in TAG_CATEGORIES.values() for tag in names]
    lead = family(programs["lead"]) if "lead" in programs else ""
    return tuple(tag for tag in order if tag in tags), {
        "key": truth.key,
        "mode": mode,
        "tempo_class": tempo_class(truth.tempo),
        "lead": lead,
        "notes_per_second": f"{per_second:.2f}",
        "programs": " ".join(f"{role}={program}" for role, program in programs.items()),
    }


def tempo_class(tempo: float) -> str:
    """Return ``slow``, ``medium`` or ``fast``."""
    return "slow" if tempo < SLOW else "fast" if tempo > FAST else "medium"
