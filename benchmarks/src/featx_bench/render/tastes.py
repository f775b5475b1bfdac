"""Virtual artists and their albums: fixed tastes, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "FAMILIES",
    "GROOVES",
    "PARTS",
    "SPLITS",
    "Album",
    "Artist",
    "Groove",
    "draw_artist",
    "family",
]

#: Names of the splits; their places enter the seeds, so the order is fixed.
SPLITS = ("train", "valid", "test")

#: What a band plays.
PARTS = ("lead", "second", "comp", "bass", "drums")

#: Instrument families by General MIDI program (0-based) // 8; ``choir`` is cut out of ``strings``.
FAMILIES = (
    *("piano", "mallets", "organ", "guitar", "bass", "strings", "strings", "brass", "reed"),
    *("flute", "synth", "synth"),
)
_CHOIR = range(52, 55)

#: Programs by role. Only instruments that every General MIDI sound font renders recognisably.
_LEADS = (
    0,
    4,
    5,
    9,
    11,
    12,
    16,
    19,
    21,
    22,
    24,
    25,
    26,
    27,
    29,
    30,
    40,
    42,
    45,
    48,
    52,
    53,
    56,
    57,
    59,
    60,
    61,
    64,
    65,
    66,
    68,
    71,
    73,
    74,
    75,
    79,
    80,
    81,
    82,
    85,
)
_COMPS = (
    0,
    1,
    2,
    4,
    5,
    6,
    7,
    11,
    16,
    18,
    19,
    21,
    24,
    25,
    26,
    27,
    46,
    48,
    49,
    50,
    52,
    61,
    88,
    89,
    90,
    91,
)
_BASSES = (32, 33, 34, 35, 36, 38, 39)
_KITS = (0, 8, 16, 24, 25, 32, 40)
#: Plucked and struck sounds die away: they need more than one stroke to hold a chord.
_DECAYING = frozenset(range(16)) | frozenset(range(24, 29)) | {46}


@dataclass(frozen=True, kw_only=True)
class Groove:
    """A drum pattern of one bar: (drum, sixteenth 0..15, velocity), and how late off-beats come."""

    strokes: tuple[tuple[str, float, int], ...]
    swing: float = 0.0


def _groove(swing: float = 0.0, **lines: tuple[tuple[float, ...], int]) -> Groove:
    strokes = [
        (drum.replace("_", "-"), step, velocity)
        for drum, (steps, velocity) in lines.items()
        for step in steps
    ]
    return Groove(strokes=tuple(sorted(strokes, key=lambda s: (s[1], s[0]))), swing=swing)


_EIGHTHS = tuple(range(0, 16, 2))
GROOVES = {
    "rock": _groove(kick=((0, 8, 10), 110), snare=((4, 12), 108), hat=(_EIGHTHS, 78)),
    "ballad": _groove(kick=((0, 10), 92), stick=((8,), 88), hat=((0, 4, 8, 12), 58)),
    "four": _groove(kick=((0, 4, 8, 12), 114), clap=((4, 12), 92), open_hat=((2, 6, 10, 14), 82)),
    "half-time": _groove(kick=((0, 6), 108), snare=((8,), 112), ride=((0, 4, 8, 12), 76)),
    "bossa": _groove(
        kick=((0, 6, 8, 14), 84), stick=((0, 3, 6, 10, 13), 78), shaker=(_EIGHTHS, 56)
    ),
    "funk": _groove(kick=((0, 3, 10), 110), snare=((4, 12), 106), hat=(tuple(range(16)), 66)),
    "shuffle": _groove(
        2 / 3, kick=((0, 8), 100), snare=((4, 12), 98), ride=((0, 4, 6, 8, 12, 14), 80)
    ),
    "latin": _groove(
        kick=((0, 8), 94), conga=((2, 3, 6, 10, 11, 14), 88), tambourine=((4, 12), 76)
    ),
}
_COMPINGS = ("song", "song", "pad", "pulse", "arpeggio", "offbeat")
_BASS_LINES = ("long", "root-fifth", "eighths", "octaves", "beats")


@dataclass(frozen=True, kw_only=True)
class Album:
    """What all tracks of an album share.

    Programs are General MIDI, 0-based; ``bass``, ``kit`` and ``second`` may be absent (None).
    ``tempo`` is a range in beats per minute, ``tilt`` a slope of the spectrum in dB per octave
    around 1 kHz, ``level`` the RMS of the whole in dBFS, ``room`` and ``damp`` are fluidsynth's.
    """

    lead: int
    second: int | None
    comp: int
    bass: int | None
    kit: int | None
    groove: str
    comping: str
    bass_line: str
    tempo: tuple[float, float]
    room: float
    damp: float
    tilt: float
    level: float


@dataclass(frozen=True, kw_only=True)
class Artist:
    """A fixed taste.

    ``register`` is the pitch that the median of the lead comes near; ``transposition`` how far
    songs are moved, in semitones; ``steady`` whether beats are even or as the song was played;
    ``soundfont`` the place of the sound font among those of the split. Channel settings are by
    role: 0..127.
    """

    name: str
    split: str
    albums: tuple[Album, ...]
    tempo: tuple[float, float]
    register: float
    transposition: tuple[int, int]
    steady: bool
    soundfont: int
    volume: dict[str, int]
    pan: dict[str, int]
    reverb: dict[str, int]
    chorus: dict[str, int]


def family(program: int) -> str:
    """Return the family of a General MIDI program (0-based).

    Examples
    --------
    >>> family(73), family(52)
    ('flute', 'choir')
    """
    return "choir" if program in _CHOIR else FAMILIES[program // 8]


def draw_artist(*, seed: int, split: str, number: int, n_albums: int, n_soundfonts: int) -> Artist:
    """Draw one artist; others of the collection, and further albums, do not change it."""
    rng = np.random.default_rng([seed, 0xA2715, SPLITS.index(split), number])
    low = float(np.exp(rng.uniform(np.log(58.0), np.log(128.0))))
    tempo = (low, low * float(rng.uniform(1.18, 1.32)))
    leads = rng.choice(_LEADS, 2, replace=False)
    comps = rng.choice(_COMPS, 2, replace=False)
    seconds = rng.choice(_LEADS, 2, replace=False)
    with_second = rng.random() < 0.6
    basses = rng.choice(_BASSES, 2, replace=False)
    with_bass, with_drums = rng.random() < 0.75, rng.random() < 0.65
    kit = int(rng.choice(_KITS))
    grooves = rng.choice(list(GROOVES), 2, replace=False)
    compings = rng.choice(_COMPINGS, 2)
    lines = rng.choice(_BASS_LINES, 2, replace=False)
    room, damp = float(rng.uniform(0.1, 0.95)), float(rng.uniform(0.0, 0.9))
    tilt, level = float(rng.uniform(-2.0, 2.0)), float(rng.uniform(-24.0, -15.0))
    width = float(rng.uniform(0.0, 50.0))
    send, whirl = float(rng.uniform(5.0, 90.0)), float(rng.choice([0.0, 0.0, 40.0, 90.0]))
    roles = PARTS
    centre = {"lead": 104, "second": 82, "comp": 82, "bass": 94, "drums": 96}
    volume = {role: int(np.clip(centre[role] + rng.integers(-14, 15), 40, 127)) for role in roles}
    sides = dict(zip(roles, (0.2, -0.9, 0.9, 0.0, 0.0), strict=True))
    turn = 1 if rng.random() < 0.5 else -1
    albums = []
    for place in range(n_albums):
        own = np.random.default_rng([seed, 0xA1B, SPLITS.index(split), number, place])
        pick = [int(n) for n in own.integers(0, 2, 7)]
        narrow = tempo[0] + (tempo[1] - tempo[0]) * float(own.uniform(0.0, 0.5))
        albums.append(
            Album(
                lead=int(leads[pick[0]]),
                second=int(seconds[pick[1]]) if with_second else None,
                comp=int(comps[pick[2]]),
                bass=int(basses[pick[3]]) if with_bass else None,
                kit=kit if with_drums else None,
                groove=str(grooves[pick[4]]),
                comping=str(compings[pick[5]]),
                bass_line=str(lines[pick[6]]),
                tempo=(narrow, narrow + 0.5 * (tempo[1] - tempo[0])),
                room=float(np.clip(room + own.uniform(-0.15, 0.15), 0.0, 1.0)),
                damp=float(np.clip(damp + own.uniform(-0.1, 0.1), 0.0, 1.0)),
                tilt=tilt + float(own.uniform(-0.5, 0.5)),
                level=level + float(own.uniform(-1.5, 1.5)),
            )
        )
    return Artist(
        name=f"{split}-{number:04d}",
        split=split,
        albums=tuple(albums),
        tempo=tempo,
        register=float(rng.uniform(58.0, 80.0)),
        transposition=(int(rng.integers(-5, 1)), int(rng.integers(1, 6))),
        steady=bool(rng.random() < 0.7),
        soundfont=int(rng.integers(n_soundfonts)),
        volume=volume,
        pan={role: int(64 + turn * side * width) for role, side in sides.items()},
        reverb={
            role: int(np.clip(send * (0.35 if role in {"bass", "drums"} else 1.0), 0, 127))
            for role in roles
        },
        chorus={role: int(whirl if role in {"lead", "second", "comp"} else 0) for role in roles},
    )


def decays(program: int) -> bool:
    """Tell whether the sound of a program dies away while its key is held."""
    return program in _DECAYING
