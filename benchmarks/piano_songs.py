"""Render the performances of POP909 on a piano alone, with the times of their beats.

Usage: python benchmarks/piano_songs.py OUT --midi POP909 [--songs 40] [--rubato SPREAD]

Writes OUT/NAME.flac and OUT/NAME.beats (time, position in the bar) for songs of the split that
``featx bench render`` with seed 0 keeps for tests. All parts are played by one piano of a sound
font, from a downbeat of the first half on, with the timing and touch of the MIDI files. With
--rubato, phrases of four bars speed up to their middle and slow down to their end, by up to SPREAD
(0.2 is 20 %), every beat varies by a tenth of that, and onsets by 10 ms, chords spread included.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

import mido
import numpy as np

from featx_bench.render.finishing import encode, finish
from featx_bench.render.fluid import SYNTH_RATE, find_soundfont, play
from featx_bench.render.planning import split_of
from featx_bench.render.songs import METER, ROLES, Song, list_songs, read_song

SR, TICKS, TAIL = 22050, 2000, 0.25
#: Bars of a phrase, and seconds of lead-in and of the variation of onsets with rubato.
PHRASE, LEAD_IN, JITTER = 4, 0.3, 0.01
ALL_SOUND_OFF = 120


def beat_times(song: Song, first: int, rubato: float, rng: np.random.Generator) -> np.ndarray:
    """Return the seconds of all beats from ``first`` on, which is at `LEAD_IN`."""
    lengths = np.diff(song.beats[first:])
    if rubato:
        place = np.arange(len(lengths)) % (PHRASE * METER) / (PHRASE * METER)
        depth = rubato * rng.uniform(0.5, 1.0, len(lengths) // (PHRASE * METER) + 1)
        arch = depth.repeat(PHRASE * METER)[: len(lengths)] * (2 * place - 1) ** 2
        slower = arch - rubato / 4 + rng.normal(0.0, rubato / 10, len(lengths))
        lengths = lengths * np.exp(slower)
    return LEAD_IN + np.concatenate([[0.0], np.cumsum(lengths)])


def perform(
    song: Song, *, first: int, rubato: float, duration: float, seed: int
) -> tuple[mido.MidiFile, np.ndarray]:
    """Return the MIDI file of a clip, and its beats and their positions (n, 2)."""
    rng = np.random.default_rng([seed, 0x91A])
    times = beat_times(song, first, rubato, rng)
    places = np.arange(first, first + len(times))
    strokes: list[tuple[int, int, int, int]] = []
    for start, end, pitch, velocity in np.concatenate([song.notes[role] for role in ROLES]):
        if start < first - 0.05:
            continue
        before = min(float(start) - first, 0.0) * (times[1] - times[0])  # anticipates beat one
        on = float(np.interp(start, places, times)) + before
        late = float(rng.normal(0.0, JITTER)) if rubato else 0.0
        tick = round(max(on + late, 0.0) * TICKS)
        off = max(round(float(np.interp(end, places, times)) * TICKS), tick + TICKS // 50)
        if tick < duration * TICKS:
            strokes += [(tick, 1, int(pitch), int(velocity)), (off, 0, int(pitch), 0)]
    track, now, last = mido.MidiTrack(), 0, round((duration + TAIL) * TICKS)
    for tick, on, pitch, velocity in sorted(strokes):
        if tick > last:
            break
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, note=pitch, velocity=velocity, time=tick - now))
        now = tick
    # the synthesiser must not wait for keys that are held at the end
    track.append(mido.Message("control_change", control=ALL_SOUND_OFF, value=0, time=last - now))
    file = mido.MidiFile(ticks_per_beat=TICKS // 2)
    file.tracks.append(track)
    down = np.searchsorted(song.downbeats, places, "right") - 1
    inside = times < duration
    return file, np.stack([times, places - song.downbeats[down] + 1], axis=1)[inside]


def first_downbeat(song: Song, rng: np.random.Generator) -> int:
    """Return a downbeat of the first half."""
    return int(rng.choice(song.downbeats[: max(1, len(song.downbeats) // 2)]))


def main() -> None:
    """Render the songs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--midi", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=40)
    parser.add_argument("--rubato", type=float, default=0.0)
    parser.add_argument("--duration", type=float, default=30.0)
    parser.add_argument("--soundfont", default="TimGM6mb.sf2")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    font = find_soundfont(options.soundfont)
    names = [name for name in list_songs(options.midi) if split_of(name, 0) == "test"]
    for number, name in enumerate(itertools.islice(names, options.songs)):
        song = read_song(options.midi, name)
        first = first_downbeat(song, np.random.default_rng([number, 0x909]))
        file, beats = perform(
            song, first=first, rubato=options.rubato, duration=options.duration, seed=number
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "piano.mid"
            file.save(path)
            y = play(path, soundfont=font, room=0.3, damp=0.3)
        sound = finish(
            y, SYNTH_RATE, duration=options.duration, sr=SR, channels=1, tilt=0.0, level=-20.0
        )
        target = options.out / f"{name}.flac"
        target.write_bytes(encode(sound, SR, format="flac", name=name))
        lines = "".join(f"{time:.4f}\t{position:.0f}\n" for time, position in beats)
        target.with_suffix(".beats").write_text(lines, encoding="utf-8")
    print(f"{min(options.songs, len(names))} songs: {options.out}")


if __name__ == "__main__":
    main()
