"""Arrangements: what an artist makes of an excerpt of a song, and the labels that follow from it.

Everything happens on a grid of half milliseconds, the tick of the MIDI files written later. The
labels are read off the arrangement, so they are exact.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from featx.errors import ParameterError
from featx.testing.truth import PITCH_NAMES, Chord, Note, Truth
from featx_bench.render.playing import (
    DRUMS,
    TICKS_PER_SECOND,
    Clock,
    bass_line,
    comping,
    drum_strokes,
    make_note,
    performed,
    snap,
)
from featx_bench.render.rhythms import PLAIN, Rhythm
from featx_bench.render.songs import METER, Song, pitch_class
from featx_bench.render.tastes import PARTS, Album, Artist, family

__all__ = [
    "DRUMS",
    "TAG_CATEGORIES",
    "TICKS_PER_SECOND",
    "Arrangement",
    "Channel",
    "arrange",
    "transpose_label",
]

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


def arrange(
    song: Song,
    artist: Artist,
    album: Album,
    *,
    duration: float,
    seed: Sequence[int],
    title: str,
    parts: Sequence[str] = PARTS,
    rhythm: Rhythm = PLAIN,
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
    rhythm : Rhythm
        Metre, groove and timing.

    Raises
    ------
    ParameterError
        If the song has no stretch of even bars that is long enough.
    """
    rng = np.random.default_rng([0xA44A, *seed])
    tempo = float(rng.uniform(*album.tempo)) if rhythm.tempo is None else rhythm.tempo
    tempo = float(np.clip(tempo, song.tempo / STRETCH, song.tempo * STRETCH))
    lead_in = round(float(rng.uniform(0.1, 0.5)), 3)
    shift = int(rng.integers(artist.transposition[0], artist.transposition[1] + 1))
    n_bars = bars_needed(duration, tempo, rhythm)
    first = _excerpt(song, n_bars, rng)
    key = _key(song.key(first, n_bars), shift)
    if rhythm.meter == 3:
        song = song.without_last_beats(first, n_bars)
    clock = _clock(song, first, n_bars, rhythm, tempo=tempo, lead_in=lead_in, steady=artist.steady)
    channels = _channels(artist, album)
    notes = [*_lines(song, artist, album, clock, shift, duration)]
    chords = _chords(song, clock, shift, lead_in, duration)
    for role, line in (
        ("comp", comping(album, chords, clock)),
        ("bass", bass_line(album, chords, clock)),
    ):
        notes += [make_note(role, *stroke, duration) for stroke in line]
    played = [note for note in notes if note and note.instrument in parts]
    hits = drum_strokes(album, clock, n_bars, duration, rng) if "drums" in parts else ()
    if rhythm is not PLAIN:
        played, hits = performed(played, hits, clock, duration, rng)
    tones = _monophonic_keys(played)
    playing = {note.instrument for note in tones} | ({"drums"} if hits else set())
    channels = tuple(channel for channel in channels if channel.role in playing)
    beats = np.array([t for t in clock.times if t < duration])
    truth = Truth(
        title=title,
        artist=artist.name,
        duration=duration,
        tempo=round(60.0 / float(np.median(np.diff(beats))), 2),
        key=key,
        beats=beats,
        downbeats=beats[(clock.bar - clock.first) % rhythm.meter :: rhythm.meter],
        onsets=np.unique([*(note.onset for note in tones), *(hit.time for hit in hits)]),
        chords=chords,
        notes=tones,
        hits=hits,
        sections=(),
    )
    tags, columns = _describe(truth, channels)
    columns |= {"song": song.name, "transposition": str(shift), "first_beat": str(first)}
    return Arrangement(truth=truth, channels=channels, album=album, tags=tags, columns=columns)


def bars_needed(duration: float, tempo: float, rhythm: Rhythm = PLAIN) -> int:
    """Return the song's bars that fill a clip at a tempo, and some more for uneven playing."""
    beats = 3 if rhythm.meter == 3 else METER
    faster = float(np.exp(max(rhythm.curve, default=0.0)))
    extra = 1 + (rhythm.pickup > 0)
    return int(np.ceil(duration * tempo * faster / 60.0 / beats)) + extra


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
            f"song {song.name!r} must have {n_bars} even bars of {METER} beats in one key, but "
            f"does not. Render shorter clips."
        )
    active = np.array([song.activity(start, n_bars) for start in starts])
    best = np.flatnonzero(active >= 0.85 * active.max())
    return starts[int(rng.choice(best))]


def _clock(
    song: Song,
    first: int,
    n_bars: int,
    rhythm: Rhythm,
    *,
    tempo: float,
    lead_in: float,
    steady: bool,
) -> Clock:
    n_beats = (3 if rhythm.meter == 3 else METER) * n_bars
    late = (rhythm.meter - rhythm.pickup) % rhythm.meter
    if steady:
        lengths = np.full(n_beats, 60.0 / tempo)
    else:
        played = np.diff(song.beats[first : first + n_beats + 1])
        lengths = played * (60.0 / tempo) * n_beats / played.sum()
    lengths = lengths[late:]
    if rhythm.curve:
        places = np.linspace(0.0, 1.0, len(rhythm.curve))
        lengths = lengths / np.exp(
            np.interp(np.linspace(0.0, 1.0, len(lengths)), places, rhythm.curve)
        )
    times = lead_in + np.array([0.0, *np.cumsum(lengths)])
    return Clock(
        first=first + late,
        times=np.round(times * TICKS_PER_SECOND) / TICKS_PER_SECOND,
        bar=first,
        rhythm=rhythm,
    )


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
    song: Song, artist: Artist, album: Album, clock: Clock, shift: int, duration: float
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
            yield make_note(role, *times, int(pitch) + shift + octaves, velocity / 127, duration)


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
        offset=snap(offset),
        pitch=note.pitch,
        velocity=note.velocity,
        instrument=note.instrument,
    )


def _chords(
    song: Song, clock: Clock, shift: int, lead_in: float, duration: float
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
