"""What a band plays over chords and beats: comping, bass, drums; and how unevenly it plays them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.testing.truth import Chord, Hit, Note
from featx_bench.render.rhythms import Rhythm, fill_strokes
from featx_bench.render.songs import METER
from featx_bench.render.tastes import GROOVES, Album, decays

if TYPE_CHECKING:
    from featx.types import DoubleArray

__all__ = [
    "DRUMS",
    "TICKS_PER_SECOND",
    "Clock",
    "bass_line",
    "comping",
    "drum_strokes",
    "make_note",
    "performed",
    "snap",
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
    "tom-low": 45,
    "open-hat": 46,
    "tom-mid": 47,
    "crash": 49,
    "tom-high": 50,
    "ride": 51,
    "tambourine": 54,
    "conga": 63,
    "shaker": 70,
}

_COMP_CENTRE = 60
_BASS_LOWEST = 28


@dataclass(frozen=True, kw_only=True, eq=False)
class Clock:
    """Seconds of beats: ``times[i]`` is beat ``first + i``; a bar begins with beat ``bar``."""

    first: int
    times: DoubleArray
    bar: int
    rhythm: Rhythm

    def __call__(self, beats: Any) -> Any:
        if self.rhythm.swing != 0.5:
            whole = np.floor(beats)
            beats = whole + np.interp(beats - whole, [0.0, 0.5, 1.0], [0.0, self.rhythm.swing, 1.0])
        places = np.arange(self.first, self.first + len(self.times))
        seconds = np.interp(beats, places, self.times)
        pace = self.times[-1] - self.times[-2]
        beyond = np.maximum(np.asarray(beats) - places[-1], 0.0)
        return np.round((seconds + beyond * pace) * TICKS_PER_SECOND) / TICKS_PER_SECOND


def make_note(
    role: str, start: float, end: float, pitch: int, velocity: float, duration: float
) -> Note | None:
    """Return a note, cut at the end of the clip; None if nothing of it is left."""
    start, end = snap(start), snap(min(end, duration))
    if end - start < 2 / TICKS_PER_SECOND or not 0 <= pitch <= 127:
        return None
    return Note(
        onset=start,
        offset=end,
        pitch=pitch,
        velocity=max(1, round(127 * velocity)) / 127,
        instrument=role,
    )


def snap(seconds: float) -> float:
    return round(seconds * TICKS_PER_SECOND) / TICKS_PER_SECOND


@functools.lru_cache(maxsize=4096)
def _harmony(label: str) -> tuple[int, tuple[int, ...]] | None:
    """Return the pitch class of the bass and those of the chord, or None without a chord."""
    import mir_eval

    root, bitmap, bass = mir_eval.chord.encode(label)
    if root < 0:
        return None
    classes = tuple(int((root + step) % 12) for step in np.flatnonzero(bitmap))
    return int((root + bass) % 12), classes


def _steps(chord: Chord, clock: Clock, per_beat: int) -> Iterator[tuple[int, float, float]]:
    """Yield (number since a downbeat, start, end) of the beats, or parts of them, in a chord."""
    grid = np.arange(0, per_beat * (len(clock.times) - 1) + 1) / per_beat + clock.first
    times = clock(grid)
    for number, (start, end) in enumerate(
        itertools.pairwise(times), per_beat * (clock.first - clock.bar)
    ):
        if chord.start - 1e-6 <= start < chord.end - 1e-6:
            yield number, float(start), float(min(end, chord.end))


def _struck(
    chord: Chord, clock: Clock, steps: Sequence[float]
) -> Iterator[tuple[int, float, float]]:
    """Yield (number in the bar, start, end) of strokes at sixteenths of the bar, in a chord."""
    n_bars = len(clock.times) // clock.rhythm.meter + 1
    places = [
        clock.bar + clock.rhythm.meter * bar + step / 4 for bar in range(n_bars) for step in steps
    ]
    times = clock(np.array([*places, places[-1] + 1.0]))
    for number, (place, start, end) in enumerate(zip(places, times[:-1], times[1:], strict=True)):
        if place >= clock.first and chord.start - 1e-6 <= start < chord.end - 1e-6:
            yield number % len(steps), float(start), float(min(end, chord.end))


_Stroke = tuple[float, float, int, float]


def comping(album: Album, chords: Sequence[Chord], clock: Clock) -> Iterator[_Stroke]:
    """Yield (start, end, pitch, velocity) of chords played by rule."""
    if album.comping == "song":
        return
    meter = clock.rhythm.meter
    previous = float(_COMP_CENTRE)
    for chord in chords:
        harmony = _harmony(chord.label)
        if harmony is None:
            continue
        pitches = _voice(harmony[1], previous)
        previous = float(np.mean(pitches))
        if clock.rhythm.comp:
            for _, start, end in _struck(chord, clock, clock.rhythm.comp):
                yield from ((start, end, pitch, 0.65) for pitch in pitches)
            continue
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
            accent = 0.72 if number % meter == 0 else 0.6
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


def bass_line(album: Album, chords: Sequence[Chord], clock: Clock) -> Iterator[_Stroke]:
    """Yield (start, end, pitch, velocity) of the bass line, by the album's rule."""
    if album.bass is None:
        return
    for chord in chords:
        harmony = _harmony(chord.label)
        if harmony is None:
            continue
        low = _BASS_LOWEST + (harmony[0] - _BASS_LOWEST) % 12
        fifth = next((low + n for n in (7, 6, 8) if (low + n) % 12 in harmony[1]), low + 12)
        if clock.rhythm.bass:
            for number, start, end in _struck(chord, clock, clock.rhythm.bass):
                yield start, end - 0.1 * (end - start), fifth if number % 3 == 2 else low, 0.8
            continue
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
            accent = 0.85 if number % (per_beat * clock.rhythm.meter) == 0 else 0.7
            yield start, end - 0.1 * (end - start), pitch, accent


def drum_strokes(
    album: Album, clock: Clock, n_bars: int, duration: float, rng: np.random.Generator
) -> tuple[Hit, ...]:
    if album.kit is None:
        return ()
    rhythm = clock.rhythm
    groove = rhythm.groove or GROOVES[album.groove]
    hits = {}
    crash = False
    for bar in range(n_bars * METER // rhythm.meter):
        strokes = [stroke for stroke in groove.strokes if stroke[1] < 4 * rhythm.meter]
        if crash:
            strokes.append(("crash", 0.0, 100))
        crash = rhythm.fills > 0 and bar % 4 == 3 and bool(rng.random() < rhythm.fills)
        if crash:
            fill = fill_strokes(rng, rhythm.meter)
            strokes = [stroke for stroke in strokes if stroke[1] < fill[0][1]] + fill
        for drum, step, velocity in strokes:
            beat = step / 4
            if groove.swing and beat % 1 == 0.5:
                beat += groove.swing - 0.5
            place = clock.bar + rhythm.meter * bar + beat
            time = float(clock(place))
            if place >= clock.first and time < duration - 0.02:
                hits[time, drum] = Hit(time=time, drum=drum, velocity=velocity / 127)
    return tuple(hits[key] for key in sorted(hits))


def performed(
    notes: Sequence[Note],
    hits: Sequence[Hit],
    clock: Clock,
    duration: float,
    rng: np.random.Generator,
) -> tuple[list[Note], tuple[Hit, ...]]:
    """Return what is left of notes and strokes after the breaks, as unevenly as they are played."""
    rhythm = clock.rhythm
    silences: list[tuple[str, float, float]] = []
    for role, begin, end in rhythm.breaks:
        edges = clock(clock.bar + rhythm.meter * np.array([begin, end]))
        silences.append((role, float(edges[0]), float(edges[1])))

    def sounds(role: str, time: float) -> bool:
        return not any(role == name and a - 1e-6 <= time < b - 1e-6 for name, a, b in silences)

    def late(role: str) -> float:
        return (rhythm.lag or {}).get(role, 0.0) + rhythm.jitter * float(rng.normal())

    played: list[Note] = []
    for note in notes:
        if sounds(note.instrument, note.onset):
            delay = late(note.instrument)
            on, off = max(note.onset + delay, 0.0), note.offset + delay
            moved = make_note(note.instrument, on, off, note.pitch, note.velocity, duration)
            played += [moved] if moved else []
    struck = {}
    for hit in hits:
        time = snap(max(hit.time + late("drums"), 0.0))
        if sounds("drums", hit.time) and time < duration - 0.02:
            velocity = float(np.clip(hit.velocity * (1 + 0.1 * rng.normal()), 0.1, 1.0))
            struck[time, hit.drum] = Hit(time=time, drum=hit.drum, velocity=velocity)
    return played, tuple(struck[key] for key in sorted(struck))
