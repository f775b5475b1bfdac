"""Composition: bars with chords, and what melody, chords, bass and drums play in them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from featx.testing.artists import Artist
from featx.testing.truth import PITCH_NAMES, QUALITIES

#: Lowest bass note: E1.
_LOWEST = 28

#: Scale degrees in semitones; minor is natural, its dominant chord is major.
_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}

#: (semitones above the tonic, triad, seventh) by Roman numeral.
_NUMERALS = {
    "major": {
        "I": (0, "maj", "maj7"),
        "ii": (2, "min", "min7"),
        "iii": (4, "min", "min7"),
        "IV": (5, "maj", "maj7"),
        "V": (7, "maj", "7"),
        "vi": (9, "min", "min7"),
    },
    "minor": {
        "I": (0, "min", "min7"),
        "ii": (2, "dim", "dim"),
        "III": (3, "maj", "maj7"),
        "iv": (5, "min", "min7"),
        "V": (7, "maj", "7"),
        "VI": (8, "maj", "maj7"),
        "VII": (10, "maj", "7"),
    },
}
_PROGRESSIONS = {
    "major": {
        "verse": (("I", "vi", "IV", "V"), ("I", "iii", "IV", "V"), ("I", "IV", "ii", "V")),
        "chorus": (("IV", "V", "I", "vi"), ("vi", "IV", "I", "V"), ("I", "V", "vi", "IV")),
    },
    "minor": {
        "verse": (("I", "VI", "iv", "V"), ("I", "iv", "VII", "III"), ("I", "VII", "VI", "V")),
        "chorus": (("VI", "VII", "I", "I"), ("iv", "VII", "III", "VI"), ("VI", "III", "VII", "I")),
    },
}


@dataclass(frozen=True, kw_only=True)
class ChordSymbol:
    """Root pitch class 0..11 and quality."""

    root: int
    quality: str

    @property
    def label(self) -> str:
        """Harte label."""
        return f"{PITCH_NAMES[self.root]}:{self.quality}"

    @property
    def classes(self) -> tuple[int, ...]:
        """Pitch classes, the root first."""
        return tuple((self.root + step) % 12 for step in QUALITIES[self.quality])


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar: its start in beats, its section, and chords as (start, end, symbol) within it."""

    start: float
    meter: int
    section: str
    harmony: tuple[tuple[float, float, ChordSymbol], ...]


@dataclass(frozen=True, kw_only=True)
class Event:
    """A note in beats."""

    start: float
    length: float
    pitch: int
    velocity: float
    instrument: str


@dataclass(kw_only=True)
class Score:
    """All bars, notes and drum strokes (start in beats, drum, velocity)."""

    bars: list[Bar] = field(default_factory=list)
    notes: list[Event] = field(default_factory=list)
    hits: list[tuple[float, str, float]] = field(default_factory=list)


def write_score(
    artist: Artist, *, tonic: int, mode: str, n_bars: int, rng: np.random.Generator
) -> Score:
    """Compose ``n_bars`` bars in four-bar sections; the last bar holds the tonic."""
    score = Score(bars=_bars(artist, tonic, mode, n_bars, rng))
    motifs = {name: _motif(artist, rng) for name in ("verse", "chorus")}
    voicing: list[int] = []
    pitch = artist.register
    for number, bar in enumerate(score.bars):
        last = number == n_bars - 1
        for start, end, chord in bar.harmony:
            voicing = _voice(chord, voicing, artist.register - 12)
            style = "pad" if last else artist.comping
            _play_chord(score, artist, style, bar.start + start, end - start, voicing)
            following = score.bars[number + 1].harmony[0][2] if not last else chord
            line = "long" if last else artist.bass_line
            _play_bass(score, line, bar.start + start, end - start, chord, following)
        motif = [(0.0, float(bar.meter))] if last else motifs[bar.section]
        pitch = _play_melody(score, artist, bar, motif, pitch, (tonic, mode), rng)
        _play_drums(score, artist, bar, last=last)
    return score


def _bars(
    artist: Artist, tonic: int, mode: str, n_bars: int, rng: np.random.Generator
) -> list[Bar]:
    numerals = _NUMERALS[mode]
    chosen = {
        name: options[int(rng.integers(len(options)))]
        for name, options in _PROGRESSIONS[mode].items()
    }
    bars = []
    meter = artist.meter
    for number in range(n_bars):
        section = ("verse", "chorus")[number // 4 % 2]
        numeral = "I" if number == n_bars - 1 else chosen[section][number % 4]
        names = [numeral]
        # A livelier harmonic rhythm at the end of a section: two chords in its last bar.
        if meter == 4 and number % 8 == 7 and numeral != "V" and number != n_bars - 1:
            names = [numeral, "V"]
        step = meter / len(names)
        harmony = []
        for place, name in enumerate(names):
            shift, triad, seventh = numerals[name]
            quality = seventh if artist.sevenths else triad
            symbol = ChordSymbol(root=(tonic + shift) % 12, quality=quality)
            harmony.append((place * step, (place + 1) * step, symbol))
        bars.append(
            Bar(start=float(number * meter), meter=meter, section=section, harmony=tuple(harmony))
        )
    return bars


def _motif(artist: Artist, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Return the rhythm of a melody bar: (start, length) in beats."""
    places = [0.0] + [n / 2 for n in range(1, 2 * artist.meter) if rng.random() < artist.density]
    ends = [*places[1:], float(artist.meter)]
    return [(start, end - start) for start, end in zip(places, ends, strict=True)]


def _late(artist: Artist, position: float) -> float:
    """Return ``position`` with swing: off-beat eighths come late."""
    return position + artist.swing if position % 1.0 == 0.5 else position


def _voice(chord: ChordSymbol, previous: list[int], centre: int) -> list[int]:
    """Return the close position nearest to ``previous`` (or to ``centre``)."""
    goal = float(np.mean(previous)) if previous else float(centre)
    goal = 0.7 * goal + 0.3 * centre
    options = []
    for turn in range(len(chord.classes)):
        classes = chord.classes[turn:] + chord.classes[:turn]
        pitches = [classes[0] + 12]
        for value in classes[1:]:
            pitches.append(pitches[-1] + (value - pitches[-1]) % 12)
        shift = 12 * round((goal - float(np.mean(pitches))) / 12)
        options.append([pitch + shift for pitch in pitches])
    return min(options, key=lambda pitches: abs(float(np.mean(pitches)) - goal))


def _play_chord(
    score: Score, artist: Artist, style: str, start: float, length: float, voicing: list[int]
) -> None:
    def play(at: float, lasting: float, pitches: list[int], velocity: float) -> None:
        score.notes.extend(
            Event(start=at, length=lasting, pitch=pitch, velocity=velocity, instrument="chords")
            for pitch in pitches
        )

    if style == "pad":
        play(start, length, voicing, 0.8)
    elif style == "strum":
        for n in range(int(length)):
            play(start + n, 0.9, voicing, 0.9 if n == 0 else 0.6)
    elif style == "offbeat":
        for n in range(int(length)):
            play(_late(artist, start + n + 0.5), 0.4, voicing, 0.7)
    else:
        order = [*voicing, *voicing[-2:0:-1]]
        for n in range(int(2 * length)):
            play(_late(artist, start + n / 2), 0.9, [order[n % len(order)]], 0.8)


def _play_bass(
    score: Score,
    style: str,
    start: float,
    length: float,
    chord: ChordSymbol,
    following: ChordSymbol,
) -> None:
    root = _LOWEST + (chord.root - _LOWEST) % 12
    third, fifth = root + QUALITIES[chord.quality][1], root + QUALITIES[chord.quality][2]
    goal = _LOWEST + (following.root - _LOWEST) % 12
    steps: list[tuple[float, float, int]]
    if style == "long":
        steps = [(0.0, length, root)]
    elif style == "root-fifth":
        half = length / 2
        steps = [(0.0, half, root), (half, half, fifth)]
    elif style == "eighths":
        steps = [(n / 2, 0.45, root) for n in range(int(2 * length))]
    else:
        approach = goal + (1 if goal < root else -1)
        line = [*[root, third, fifth][: int(length) - 1], approach]
        steps = [(float(n), 0.95, pitch) for n, pitch in enumerate(line)]
    for at, lasting, pitch in steps:
        score.notes.append(
            Event(
                start=start + at,
                length=lasting,
                pitch=pitch,
                velocity=0.9 if at == 0 else 0.7,
                instrument="bass",
            )
        )


def _play_melody(
    score: Score,
    artist: Artist,
    bar: Bar,
    motif: list[tuple[float, float]],
    pitch: int,
    key: tuple[int, str],
    rng: np.random.Generator,
) -> int:
    tonic, mode = key
    scale = {(tonic + step) % 12 for step in _SCALES[mode]}
    centre = artist.register + (4 if bar.section == "chorus" else 0)
    for start, length in motif:
        chord = next(symbol for a, b, symbol in bar.harmony if a <= start < b)
        strong = start % 1.0 == 0.0 or length >= 1.0
        allowed = set(chord.classes) if strong else scale | set(chord.classes)
        wish = pitch + int(rng.integers(-4, 5)) + round(0.25 * (centre - pitch))
        pitch = min(
            (p for p in range(centre - 14, centre + 15) if p % 12 in allowed),
            key=lambda p: abs(p - wish),
        )
        at = _late(artist, start)
        score.notes.append(
            Event(
                start=bar.start + at,
                length=max(0.2, start + length - at - 0.03),
                pitch=pitch,
                velocity=0.95 if start == 0.0 else 0.8,
                instrument="melody",
            )
        )
    return pitch


def _play_drums(score: Score, artist: Artist, bar: Bar, *, last: bool) -> None:
    for drum, strokes in artist.drums.items():
        for position, velocity in strokes:
            if last and position > 0:
                continue
            score.hits.append((bar.start + _late(artist, position), drum, velocity))
