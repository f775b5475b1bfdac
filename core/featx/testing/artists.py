"""Virtual artists: each has an unmistakable sound, a range of tempi, a register and habits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from featx.testing.instruments import Timbre

#: Drum patterns: strokes at (position in beats, velocity), for one bar of the artist's metre.
_ROCK = {
    "kick": ((0, 1.0), (2, 0.9), (2.5, 0.6)),
    "snare": ((1, 0.9), (3, 0.9)),
    "hat": tuple((0.5 * n, 0.5 if n % 2 else 0.8) for n in range(8)),
}
_FOUR = {
    "kick": tuple((n, 1.0) for n in range(4)),
    "snare": ((1, 0.8), (3, 0.8)),
    "hat": tuple((n + 0.5, 0.9) for n in range(4)),
}
_SWING = {
    "kick": ((0, 0.6), (2, 0.5)),
    "hat": ((0, 0.7), (1, 0.9), (1.5, 0.5), (2, 0.7), (3, 0.9), (3.5, 0.5)),
}
_WALTZ = {
    "kick": ((0, 0.8),),
    "shaker": ((1, 0.7), (2, 0.7)),
}
_SLOW = {
    "kick": ((0, 1.0), (1.75, 0.5)),
    "snare": ((2, 0.8),),
    "shaker": tuple((0.5 * n, 0.5) for n in range(8)),
}


@dataclass(frozen=True, kw_only=True)
class Artist:
    """The fixed tastes of a virtual artist.

    Parameters
    ----------
    name, genre : str
        As in the tags.
    melody, chords, bass : Timbre
        The instruments.
    tempo : (float, float)
        Range in beats per minute.
    register : int
        MIDI pitch around which the melody moves; the chords lie an octave below.
    minor : float
        Share of pieces in a minor key, 0..1.
    sevenths : bool
        Chords have four notes.
    comping : {'pad', 'strum', 'arpeggio', 'offbeat'}
        How chords are played.
    bass_line : {'long', 'root-fifth', 'eighths', 'walking'}
        How the bass moves.
    drums : mapping of drum to strokes (position in beats, velocity)
        For one bar; empty for none.
    meter : int
        Beats in a bar.
    swing : float
        Share of the beat by which off-beat eighths come late; 0 is straight, 1/6 is triplets.
    density : float
        Probability that the melody plays at an eighth, 0..1.
    reverb : float
        Share of the room in the mix, 0..1.
    """

    name: str
    genre: str
    melody: Timbre
    chords: Timbre
    bass: Timbre
    tempo: tuple[float, float]
    register: int
    minor: float
    sevenths: bool
    comping: str
    bass_line: str
    drums: Mapping[str, tuple[tuple[float, float], ...]]
    meter: int = 4
    swing: float = 0.0
    density: float = 0.6
    reverb: float = 0.15


_ARTISTS = (
    Artist(
        name="Mira Voss",
        genre="folk",
        melody=Timbre(
            n_harmonics=10, rolloff=1.4, attack=0.012, decay=3.0, vibrato=18.0, noise=0.02
        ),
        chords=Timbre(n_harmonics=12, rolloff=1.1, attack=0.002, decay=0.8, damping=0.5),
        bass=Timbre(n_harmonics=6, rolloff=1.6, attack=0.004, decay=0.9, damping=0.3),
        tempo=(84.0, 100.0),
        register=69,
        minor=0.25,
        sevenths=False,
        comping="arpeggio",
        bass_line="root-fifth",
        drums=MappingProxyType({}),
        density=0.55,
        reverb=0.2,
    ),
    Artist(
        name="The Tin Weather",
        genre="rock",
        melody=Timbre(n_harmonics=18, rolloff=0.8, attack=0.004, decay=2.5, vibrato=10.0),
        chords=Timbre(n_harmonics=16, rolloff=0.85, attack=0.003, decay=0.7, damping=0.2),
        bass=Timbre(n_harmonics=10, rolloff=1.0, attack=0.003, decay=1.2, damping=0.3),
        tempo=(126.0, 148.0),
        register=64,
        minor=0.6,
        sevenths=False,
        comping="strum",
        bass_line="eighths",
        drums=MappingProxyType(_ROCK),
        density=0.6,
        reverb=0.1,
    ),
    Artist(
        name="Oskar Lund Trio",
        genre="jazz",
        melody=Timbre(
            n_harmonics=9, rolloff=1.2, even=0.15, attack=0.02, decay=4.0, vibrato=14.0, noise=0.03
        ),
        chords=Timbre(
            n_harmonics=8, rolloff=1.7, attack=0.003, decay=1.0, damping=0.6, inharmonicity=2e-4
        ),
        bass=Timbre(n_harmonics=5, rolloff=1.5, attack=0.006, decay=0.6, damping=0.5),
        tempo=(152.0, 184.0),
        register=67,
        minor=0.4,
        sevenths=True,
        comping="offbeat",
        bass_line="walking",
        drums=MappingProxyType(_SWING),
        swing=1 / 6,
        density=0.65,
        reverb=0.15,
    ),
    Artist(
        name="Kite Parade",
        genre="electronic",
        melody=Timbre(n_harmonics=20, rolloff=1.0, even=0.0, attack=0.003, decay=0.6, damping=0.1),
        chords=Timbre(n_harmonics=14, rolloff=1.0, attack=0.01, decay=5.0, detune=9.0),
        bass=Timbre(n_harmonics=12, rolloff=1.0, attack=0.003, decay=0.4, damping=0.4),
        tempo=(118.0, 128.0),
        register=76,
        minor=0.8,
        sevenths=False,
        comping="pad",
        bass_line="eighths",
        drums=MappingProxyType(_FOUR),
        density=0.7,
        reverb=0.12,
    ),
    Artist(
        name="Low Meridian",
        genre="ambient",
        melody=Timbre(n_harmonics=4, rolloff=1.8, attack=0.02, decay=2.0, vibrato=22.0, noise=0.04),
        chords=Timbre(n_harmonics=8, rolloff=1.3, attack=0.03, decay=8.0, detune=14.0),
        bass=Timbre(n_harmonics=3, rolloff=1.6, attack=0.01, decay=6.0),
        tempo=(66.0, 80.0),
        register=60,
        minor=0.7,
        sevenths=True,
        comping="pad",
        bass_line="long",
        drums=MappingProxyType(_SLOW),
        density=0.35,
        reverb=0.35,
    ),
    Artist(
        name="Halcyon Bells",
        genre="classical",
        melody=Timbre(
            n_harmonics=6, rolloff=0.9, attack=0.001, decay=1.1, damping=0.8, inharmonicity=8e-3
        ),
        chords=Timbre(
            n_harmonics=10, rolloff=1.3, attack=0.002, decay=1.4, damping=0.5, inharmonicity=4e-4
        ),
        bass=Timbre(n_harmonics=8, rolloff=1.4, attack=0.015, decay=3.0),
        tempo=(140.0, 168.0),
        register=81,
        minor=0.35,
        sevenths=False,
        comping="strum",
        bass_line="long",
        drums=MappingProxyType(_WALTZ),
        meter=3,
        density=0.5,
        reverb=0.25,
    ),
)

#: The virtual artists by name.
ARTISTS: Mapping[str, Artist] = MappingProxyType({artist.name: artist for artist in _ARTISTS})
