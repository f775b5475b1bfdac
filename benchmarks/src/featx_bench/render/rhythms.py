"""Rhythms beyond even bars of four beats: metres, grooves, fills, breaks, swing and uneven time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featx_bench.render.songs import METER
from featx_bench.render.tastes import PARTS, Groove

__all__ = ["LONGEST", "MAX_TEMPO", "PLAIN", "RHYTHMS", "Rhythm", "draw_rhythm", "fill_strokes"]

#: What `RenderOptions.rhythms` can be: the grooves of albums alone, or one `Rhythm` per track.
RHYTHMS = ("plain", "varied")

_Steps = tuple[float, ...]

#: Sixteenths of a bar by beats per bar, from which a groove takes one of each; common ones twice.
_KICKS: dict[int, tuple[_Steps, ...]] = {
    4: (
        *((0, 8), (0, 8), (0, 8, 10), (0, 6, 8), (0, 10), (0, 7, 10), (0, 3, 10), (0, 6, 10)),
        *((0, 2, 10, 11), (0, 4, 8, 12), (0, 4, 8, 12), (0, 8, 11, 14), (0, 6, 12), (0,), (8,)),
        *((6, 10), (0, 3, 8, 11), (0, 6, 8, 14), (3, 8, 11), (0, 14)),
    ),
    3: ((0,), (0,), (0, 6), (0, 10), (0, 4, 8), (0, 8), (0, 3), (0, 5, 10)),
    2: ((0,), (0, 4), (0, 6), (0, 3)),
}
_SNARES: dict[int, tuple[_Steps, ...]] = {
    4: (
        *((4, 12), (4, 12), (4, 12), (4, 12), (4, 12), (8,), (8,), (4, 7, 9, 12), (4, 12, 15)),
        *((4, 6, 12), (12,), (0, 4, 8, 12), (0, 3, 6, 10, 13), (2, 6, 10, 14), (4, 10), ()),
    ),
    3: ((4, 8), (4, 8), (8,), (4,), (6,), (4, 8, 10), ()),
    2: ((4,), (4,), (2, 6), (4, 6), ()),
}
#: Sixteenths of a beat at which cymbals are struck; with a swing of 2/3 (0, 1, 2) are triplets.
_CYMBALS: tuple[_Steps, ...] = ((0, 2), (0, 2), (0, 2), (0,), (0, 1, 2, 3), (2,), (2, 3), ())
_TRIPLETS: tuple[_Steps, ...] = ((0, 1, 2), (0, 1, 2), (0, 2), (0,), ())
_COMPS: dict[int, tuple[_Steps, ...]] = {
    4: ((2, 6, 10, 14), (2, 6, 10, 14), (4, 12), (0, 6), (0, 3, 6, 10, 12), (0, 6, 12), (0, 7, 10)),
    3: ((4, 8), (4, 8), (2, 6, 10), (0, 6), (0,)),
    2: ((4,), (2, 6), (0, 3, 6)),
}
_BASSES: dict[int, tuple[_Steps, ...]] = {
    4: ((0, 8), (0, 6, 8, 14), (0, 3, 8, 11), (4, 6, 8, 12), (6, 8, 14), (0, 6, 12), (0, 10, 14)),
    3: ((0,), (0, 8), (0, 6), (0, 4, 8)),
    2: ((0,), (0, 4), (0, 6)),
}
_FILL_DRUMS = ("snare", "tom-high", "tom-mid", "tom-low")


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How a track is played in time.

    Parameters
    ----------
    meter : {2, 3, 4}
        Beats per bar as labelled. 3 drops the last beat of the song's bars of four, 2 halves them.
    groove : Groove or None
        In place of the album's.
    comp, bass : tuple of float
        Sixteenths of a bar where chords and bass are struck, in place of the album's rules; empty
        leaves these.
    swing : float, 0.5..0.75
        Where the second half of a beat begins; 2/3 gives triplets, as in 6/8 and 12/8.
    tempo : float or None
        Beats per minute, in place of the album's.
    curve : tuple of float
        Logarithms of relative tempo at equal distances over the clip; empty is even.
    jitter : float >= 0
        Standard deviation of every onset in seconds.
    lag : dict of role to float
        How late a role plays throughout, in seconds.
    fills : float, 0..1
        Chance of a fill at the end of every fourth bar, and of a crash after it.
    breaks : tuple of (role, first bar, last bar)
        Where a role is silent, the last bar excluded.
    pickup : int >= 0
        Beats before the first downbeat.
    """

    meter: int = METER
    groove: Groove | None = None
    comp: _Steps = ()
    bass: _Steps = ()
    swing: float = 0.5
    tempo: float | None = None
    curve: tuple[float, ...] = ()
    jitter: float = 0.0
    lag: dict[str, float] | None = None
    fills: float = 0.0
    breaks: tuple[tuple[str, int, int], ...] = ()
    pickup: int = 0


#: As albums have it.
PLAIN = Rhythm()

#: Limits of the tempi that are drawn, in beats per minute, and of the logarithm of a curve.
MIN_TEMPO, MAX_TEMPO, _STEEPEST = 60.0, 180.0, 0.3
#: What takes most bars of a song.
LONGEST = Rhythm(meter=3, curve=(_STEEPEST,), pickup=1)


def draw_rhythm(seed: Sequence[int]) -> Rhythm:
    """Draw the rhythm of one track.

    Two thirds are in 4/4, a fifth in 3/4, the rest in 2/4 and 6/8 (two beats of three); a fifth of
    all swings. Tempi are between 60 and 180 beats per minute, a quarter of them uneven.
    """
    rng = np.random.default_rng([0x8EA7, *seed])
    meter = int(rng.choice([4, 3, 2], p=[0.7, 0.2, 0.1]))
    compound = bool(rng.random() < (0.5 if meter == 2 else 0.15))
    swing = 2 / 3 if compound else float(rng.choice([0.5, 0.5, 0.5, rng.uniform(0.52, 0.66)]))
    n_bars = 40
    return Rhythm(
        meter=meter,
        groove=_draw_groove(rng, meter, compound=compound) if rng.random() < 0.85 else None,
        comp=_pick(rng, _COMPS[meter]) if rng.random() < 0.4 else (),
        bass=_pick(rng, _BASSES[meter]) if rng.random() < 0.5 else (),
        swing=swing,
        tempo=float(np.exp(rng.uniform(np.log(MIN_TEMPO), np.log(MAX_TEMPO)))),
        curve=_draw_curve(rng),
        jitter=float(rng.choice([0.0, rng.uniform(0.002, 0.016)])),
        lag={role: float(rng.normal(0.0, 0.006)) for role in PARTS},
        fills=float(rng.choice([0.0, rng.uniform(0.3, 1.0)])),
        breaks=tuple(_draw_breaks(rng, n_bars)),
        pickup=int(rng.integers(0, meter)) if rng.random() < 0.5 else 0,
    )


def fill_strokes(rng: np.random.Generator, meter: int) -> list[tuple[str, float, int]]:
    """Draw the strokes of a fill that takes the last one or two beats of a bar."""
    begin = 4 * (meter - int(rng.integers(1, min(meter, 2) + 1)))
    every = float(rng.choice([1.0, 1.0, 2.0, 4 / 3]))
    steps = np.arange(begin, 4 * meter - 0.01, every)
    drums = np.sort(rng.integers(0, len(_FILL_DRUMS), len(steps)))
    return [
        (_FILL_DRUMS[drum], float(step), int(rng.integers(80, 120)))
        for drum, step in zip(drums, steps, strict=True)
    ]


def _pick(rng: np.random.Generator, options: Sequence[_Steps]) -> _Steps:
    return options[int(rng.integers(len(options)))]


def _draw_groove(rng: np.random.Generator, meter: int, *, compound: bool) -> Groove:
    cymbal = str(rng.choice(["hat", "hat", "hat", "ride", "shaker", "tambourine", "open-hat"]))
    snare = str(rng.choice(["snare", "snare", "snare", "stick", "clap"]))
    loud = [int(value) for value in rng.integers(50, 120, 3)]
    beat = _pick(rng, _TRIPLETS if compound else _CYMBALS)
    strokes = [("kick", step, max(loud[0], 75)) for step in _pick(rng, _KICKS[meter])]
    strokes += [(snare, step, max(loud[1], 70)) for step in _pick(rng, _SNARES[meter])]
    strokes += [
        (cymbal, 4 * number + step, loud[2] if step == 0 else round(0.8 * loud[2]))
        for number in range(meter)
        for step in beat
    ]
    return Groove(strokes=tuple(sorted(strokes, key=lambda s: (s[1], s[0]))))


def _draw_curve(rng: np.random.Generator) -> tuple[float, ...]:
    """Return a slow random walk, a drift, or nothing."""
    kind = rng.random()
    if kind < 0.75:
        return ()
    walk = np.cumsum(rng.normal(0.0, 0.05, 9))
    if kind < 0.85:
        walk = np.linspace(0.0, rng.normal(0.0, 0.15), 9)
    return tuple(float(value) for value in np.clip(walk - walk.mean(), -_STEEPEST, _STEEPEST))


def _draw_breaks(rng: np.random.Generator, n_bars: int) -> list[tuple[str, int, int]]:
    breaks = []
    for role in ("drums", "bass", "comp"):
        if rng.random() < (0.3 if role == "drums" else 0.15):
            begin = 0 if rng.random() < 0.5 else int(rng.integers(2, 9))
            breaks.append((role, begin, min(begin + int(rng.integers(1, 6)), n_bars)))
    return breaks
