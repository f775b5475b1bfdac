"""Short pieces of music with known beats, chords, key, notes and onsets.

A piece is a small arrangement (melody, chords, bass, drums) in the manner of a virtual artist. The
score is written first, on the sample grid, and rendered afterwards: the truth is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError, listed
from featx.testing.artists import ARTISTS, Artist
from featx.testing.instruments import RELEASE, Timbre, add_room, render_drum, render_note
from featx.testing.score import Bar, Score, write_score
from featx.testing.truth import PITCH_NAMES, Chord, Hit, Note, Section, Truth

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

#: Level of each stem in the mix before the peak is set.
_LEVELS = {"melody": 0.4, "chords": 0.28, "bass": 0.45, "drums": 0.85}
#: Share of the artist's reverb that each stem gets.
_ROOM = {"melody": 1.0, "chords": 1.0, "bass": 0.3, "drums": 0.3}
_DRUM_LEVELS = {"kick": 1.0, "snare": 1.0, "hat": 0.6, "shaker": 0.5}
_PEAK = 0.89

_FIRST = ("Paper", "Northern", "Second", "Hollow", "Copper", "Borrowed", "Quiet", "Glass", "Late")
_LAST = ("Harbour", "Letters", "Signal", "Garden", "Winter", "Machine", "Tide", "Window", "Road")


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece(Truth):
    """A synthesised piece: its `Truth`, and the sound.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        The mono mix, peak 0.89.
    sr : int
        Rate in Hz.
    stems : mapping of str to float32 array
        ``melody``, ``chords``, ``bass``, ``drums``; their sum is ``y`` up to rounding.
    """

    y: FloatArray
    sr: int
    stems: Mapping[str, FloatArray]


def synthesise(
    *,
    seed: int = 0,
    duration: float = 20.0,
    sr: int = 44100,
    tempo: float | None = None,
    key: str | None = None,
    artist: str | Artist | None = None,
) -> Piece:
    """Compose and render one piece, the same for the same arguments.

    Parameters
    ----------
    seed : int >= 0
        Chooses everything that is not given.
    duration : float >= 4
        In seconds; the piece has ``round(duration * sr)`` samples and ends with a held tonic.
    sr : int >= 8000
        Rate in Hz.
    tempo : float, optional
        Beats per minute, 40..240; otherwise from the artist's range.
    key : str, optional
        Such as ``'C:major'`` or ``'F#:minor'``; otherwise from the artist's taste.
    artist : str or Artist, optional
        One of `ARTISTS`, or your own; otherwise chosen by ``seed``.

    Returns
    -------
    Piece

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    Examples
    --------
    >>> piece = synthesise(seed=1, duration=6.0, sr=22050, key="A:minor")
    >>> piece.y.shape, piece.key
    ((132300,), 'A:minor')
    """
    _check(seed, duration, sr, tempo)
    rng = np.random.default_rng([seed, 0xFEA7])
    who = _artist(artist, rng)
    tempo = round(float(rng.uniform(*who.tempo)), 1) if tempo is None else float(tempo)
    tonic, mode = _key(key, who, rng)
    title = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    beat = 60.0 / tempo
    lead_in = float(rng.uniform(0.2, 0.6))
    n_bars = int((duration - lead_in - 0.5) // (who.meter * beat))
    if n_bars < 1:
        raise ParameterError(
            f"duration must leave room for one bar of {who.meter} beats at {tempo} per minute, "
            f"got {duration} seconds."
        )
    score = write_score(who, tonic=tonic, mode=mode, n_bars=n_bars, rng=rng)
    clock = _Clock(sr=sr, beat=beat, lead_in=lead_in)
    n_samples = round(duration * sr)
    notes, hits = _perform(score, clock, n_samples)
    stems = _render(who, notes, hits, n_samples, sr)
    n_beats = n_bars * who.meter
    beats = np.array([clock.seconds(n) for n in range(n_beats)])
    onsets = np.unique([*(note.onset for note in notes), *(hit.time for hit in hits)])
    return Piece(
        title=title,
        artist=who.name,
        duration=n_samples / sr,
        tempo=tempo,
        key=f"{PITCH_NAMES[tonic]}:{mode}",
        beats=beats,
        downbeats=beats[:: who.meter],
        onsets=onsets,
        chords=_chords(score.bars, clock),
        notes=notes,
        hits=hits,
        sections=_sections(score.bars, clock),
        y=_mix(stems),
        sr=sr,
        stems=stems,
    )


@dataclass(frozen=True, kw_only=True)
class _Clock:
    """Maps positions in beats to the sample grid."""

    sr: int
    beat: float
    lead_in: float

    def sample(self, position: float) -> int:
        return round((self.lead_in + position * self.beat) * self.sr)

    def seconds(self, position: float) -> float:
        return self.sample(position) / self.sr


def _artist(artist: str | Artist | None, rng: np.random.Generator) -> Artist:
    default = list(ARTISTS)[int(rng.integers(len(ARTISTS)))]
    if isinstance(artist, Artist):
        return artist
    name = default if artist is None else artist
    if name not in ARTISTS:
        raise ParameterError(f"artist must be one of {listed(ARTISTS)}, got {name!r}.")
    return ARTISTS[name]


def _check(seed: int, duration: float, sr: int, tempo: float | None) -> None:
    if seed < 0:
        raise ParameterError(f"seed must be an integer >= 0, got {seed}.")
    if not 4.0 <= duration <= 3600.0:
        raise ParameterError(f"duration must lie within 4..3600 seconds, got {duration}.")
    if sr < 8000:
        raise ParameterError(f"sr must be an integer >= 8000, got {sr}.")
    if tempo is not None and not 40.0 <= tempo <= 240.0:
        raise ParameterError(f"tempo must lie within 40..240 beats per minute, got {tempo}.")


def _key(key: str | None, who: Artist, rng: np.random.Generator) -> tuple[int, str]:
    tonic = int(rng.integers(12))
    mode = "minor" if rng.random() < who.minor else "major"
    if key is None:
        return tonic, mode
    name, _, mode = key.partition(":")
    if name not in PITCH_NAMES or mode not in ("major", "minor"):
        raise ParameterError(f"key must be such as 'C:major' or 'F#:minor', got {key!r}.")
    return PITCH_NAMES.index(name), mode


def _perform(
    score: Score, clock: _Clock, n_samples: int
) -> tuple[tuple[Note, ...], tuple[Hit, ...]]:
    end = (n_samples - round(RELEASE * clock.sr) - 1) / clock.sr
    notes = [
        Note(
            onset=clock.seconds(event.start),
            offset=min(clock.seconds(event.start + event.length), end),
            pitch=event.pitch,
            velocity=event.velocity,
            instrument=event.instrument,
        )
        for event in score.notes
    ]
    hits = [
        Hit(time=clock.seconds(start), drum=drum, velocity=velocity)
        for start, drum, velocity in score.hits
    ]
    notes.sort(key=lambda note: (note.onset, note.pitch))
    hits.sort(key=lambda hit: (hit.time, hit.drum))
    return tuple(notes), tuple(hits)


def _render(
    who: Artist, notes: Sequence[Note], hits: Sequence[Hit], n_samples: int, sr: int
) -> dict[str, FloatArray]:
    timbres = {"melody": who.melody, "chords": who.chords, "bass": who.bass}
    stems = {name: np.zeros(n_samples) for name in ("melody", "chords", "bass", "drums")}
    rendered: dict[tuple[Timbre, int, float], DoubleArray] = {}
    for note in notes:
        timbre = timbres[note.instrument]
        length = round(note.offset - note.onset, 4)
        sound = rendered.get((timbre, note.pitch, length))
        if sound is None:
            sound = render_note(timbre, pitch=note.pitch, duration=length, sr=sr)
            rendered[timbre, note.pitch, length] = sound
        _add(stems[note.instrument], round(note.onset * sr), note.velocity * sound)
    drums = {drum: render_drum(drum, sr=sr) for drum in {hit.drum for hit in hits}}
    for hit in hits:
        gain = hit.velocity * _DRUM_LEVELS[hit.drum]
        _add(stems["drums"], round(hit.time * sr), gain * drums[hit.drum])
    wet = {
        name: add_room(_LEVELS[name] * stem, amount=who.reverb * _ROOM[name], sr=sr)
        for name, stem in stems.items()
    }
    gain = _PEAK / max(float(np.abs(sum(wet.values())).max()), 1e-9)
    return {name: (gain * stem).astype(np.float32) for name, stem in wet.items()}


def _add(out: DoubleArray, start: int, sound: DoubleArray) -> None:
    part = sound[: max(0, len(out) - start)]
    out[start : start + len(part)] += part


def _mix(stems: Mapping[str, FloatArray]) -> FloatArray:
    total: DoubleArray = np.stack(list(stems.values())).sum(axis=0, dtype=np.float64)
    return total.astype(np.float32)


def _chords(bars: Sequence[Bar], clock: _Clock) -> tuple[Chord, ...]:
    return tuple(
        Chord(
            start=clock.seconds(bar.start + start),
            end=clock.seconds(bar.start + end),
            label=chord.label,
        )
        for bar in bars
        for start, end, chord in bar.harmony
    )


def _sections(bars: Sequence[Bar], clock: _Clock) -> tuple[Section, ...]:
    starts = [n for n, bar in enumerate(bars) if n == 0 or bar.section != bars[n - 1].section]
    ends = [*starts[1:], len(bars)]
    return tuple(
        Section(
            start=clock.seconds(bars[a].start),
            end=clock.seconds(bars[b - 1].start + bars[b - 1].meter),
            label=bars[a].section,
        )
        for a, b in zip(starts, ends, strict=True)
    )
