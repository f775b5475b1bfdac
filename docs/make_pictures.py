"""Draw the pictures of the documentation, all from synthesised music: run it from anywhere.

Names of pictures (without ``.png``) as arguments draw only these.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from featx.analysis import hpss, onset_strength, yin
from featx.annotations import Events, Note
from featx.frontend import stft
from featx.testing import Piece, synthesise, write_collection
from featx_plot import Frames, render, save, spectrogram_panel

STATIC = Path(__file__).parent / "_static"
SR = 22050
HOP = 512

#: The commands of docs/quickstart.md, for one track.
ROAD = """
run --plugin chroma --plugin spectral --features chroma.frames,spectral.frames
    music -o features
plot music/mira-voss/01-hollow-road.flac -o road.png --dpi 80
    --events music/mira-voss/01-hollow-road.jams#beat,chord
    --store features --features chroma.frames --over spectral.frames:centroid
"""
MAP = """
run --plugin mfcc music/manifest.csv -o features
plot map features --plugin mfcc --color artist --perplexity 8 -o map.png --dpi 80
"""
FILTERS = "plot filters -o filters.png --dpi 75"


def main(names: list[str]) -> None:
    """Draw the pictures called ``names``, or all of them."""
    for name in names or PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / f"{name}.png"
            PICTURES[name](picture)
            shrink(picture, STATIC / picture.name)


def draw_song(out: Path) -> None:
    """Draw a piece with what is known about it: chords, beats, melody."""
    piece = synthesise(seed=4, duration=12.0, sr=SR)
    figure = render(
        title=f"{piece.artist}: {piece.title} ({piece.key}, {piece.tempo:g} beats per minute)",
        y=piece.y,
        sr=piece.sr,
        panels=[
            spectrogram_panel(piece.y, "librosa", sr=piece.sr),
            spectrogram_panel(piece.y, "fe-chroma-stft", sr=piece.sr),
        ],
        events=[chords(piece), beats(piece), melody(piece)],
    )
    save(figure, out, dpi=80)


def draw_presets(out: Path) -> None:
    """Draw one piece as different networks see it."""
    piece = synthesise(seed=11, duration=6.0, sr=44100)
    at_half = synthesise(seed=11, duration=6.0, sr=SR)
    panels = [
        spectrogram_panel(at_half.y, "librosa", sr=SR),
        spectrogram_panel(piece.y, "fe-log81", sr=44100),
        spectrogram_panel(at_half.y, "fe-btc", sr=SR),
        spectrogram_panel(at_half.y, "librosa-mfcc", sr=SR),
    ]
    save(render(panels=panels, width=9.0), out, dpi=72)


def draw_chords(out: Path) -> None:
    """Draw chroma under the chords that were played."""
    piece = synthesise(seed=21, duration=16.0, sr=SR)
    panel = spectrogram_panel(piece.y, "librosa-chroma", sr=SR)
    figure = render(
        title=f"{piece.title} ({piece.key})",
        panels=[dataclasses.replace(panel, name="")],
        events=[chords(piece), beats(piece)],
    )
    save(figure, out, dpi=80)


def draw_separation(out: Path) -> None:
    """Draw a piece, its harmonic part and its percussive part."""
    piece = synthesise(seed=4, duration=6.0, sr=SR)
    spectrum = np.abs(stft(piece.y))
    harmonic, percussive = hpss(spectrum)
    panels = [
        levels(name, S, spectrum.max())
        for name, S in (("mix", spectrum), ("harmonic", harmonic), ("percussive", percussive))
    ]
    save(render(panels=panels, width=9.0), out, dpi=64)


def draw_melody(out: Path) -> None:
    """Draw the pitch that YIN finds in a voice with vibrato, and where its notes begin."""
    piece = synthesise(seed=8, duration=10.0, sr=SR)
    notes = [note for note in piece.notes if note.instrument == "melody"]
    y = sing(notes, len(piece.y))
    hertz = yin(y, fmin=100.0, fmax=1000.0, sr=SR, win_length=1024, hop_length=HOP)
    onsets = onset_strength(y, sr=SR, hop_length=HOP)
    times = np.arange(len(hertz)) * HOP / SR
    hertz[np.interp(times * SR, np.arange(len(y)), np.abs(y)) == 0] = 0.0  # gaps in silence
    figure = render(
        y=y,
        sr=SR,
        panels=[
            spectrogram_panel(y, "librosa", sr=SR),
            Frames(name="onset strength", values=onsets, times=times[: len(onsets)], unit="dB"),
        ],
        over=[Frames(name="YIN", values=hertz, times=times, unit="Hz")],
    )
    save(figure, out, dpi=80)


def sing(notes: Sequence[Note], n_samples: int) -> np.ndarray:
    """Return a voice of 12 harmonics that glides from note to note and back onto pitch."""
    t = np.arange(n_samples) / SR
    onsets = np.array([note.onset for note in notes])
    which = np.clip(np.searchsorted(onsets, t, side="right") - 1, 0, None)
    pitch = np.array([float(note.pitch) for note in notes])[which]
    glide = np.convolve(pitch, np.hanning(2205) / np.hanning(2205).sum(), mode="same")
    hertz = 440 * 2 ** ((glide - 69 + 0.35 * np.sin(2 * np.pi * 5.5 * t)) / 12)
    phase = 2 * np.pi * np.cumsum(hertz) / SR
    age = t - onsets[which]
    length = np.array([note.offset - note.onset for note in notes])[which]
    loud = np.clip(age / 0.03, 0, 1) * np.clip((length - age) / 0.05, 0, 1) * (age >= 0)
    y = sum(np.sin(k * phase) / k**1.3 for k in range(1, 13))
    return np.asarray(0.3 * loud * y, dtype=np.float32)


def draw_road(out: Path) -> None:
    """Extract and plot as docs/quickstart.md does."""
    write_collection(out.parent / "music", n_tracks=1, duration=14.0)
    run(ROAD, out.parent)


def draw_map(out: Path) -> None:
    """Draw a collection of virtual artists as a map."""
    write_collection(out.parent / "music", n_tracks=60, duration=6.0)
    run(MAP, out.parent)


def draw_filters(out: Path) -> None:
    """Draw what the network that ships responds to."""
    run(FILTERS, out.parent)


def chords(piece: Piece) -> Events:
    """Return the chords of a piece."""
    return Events(
        name="chords",
        starts=np.array([chord.start for chord in piece.chords]),
        ends=np.array([chord.end for chord in piece.chords]),
        labels=[chord.label for chord in piece.chords],
    )


def beats(piece: Piece) -> Events:
    """Return the beats of a piece, counted within their bar."""
    bars = np.searchsorted(piece.downbeats, piece.beats + 1e-9)
    firsts = np.searchsorted(piece.beats, piece.downbeats - 1e-9)
    counts = np.arange(len(piece.beats)) - firsts[bars - 1] + 1
    return Events(name="beats", starts=piece.beats, labels=[str(count) for count in counts])


def melody(piece: Piece) -> Events:
    """Return the notes of the melody of a piece."""
    notes = [note for note in piece.notes if note.instrument == "melody"]
    return Events(
        name="melody",
        starts=np.array([note.onset for note in notes]),
        ends=np.array([note.offset for note in notes]),
        frequencies=np.array([440 * 2 ** ((note.pitch - 69) / 12) for note in notes]),
    )


def levels(name: str, S: np.ndarray, peak: float) -> Frames:
    """Return magnitudes as a panel in decibels below ``peak``."""
    decibels = 20 * np.log10(np.maximum(S / peak, 1e-4))
    return Frames(
        name=name,
        values=decibels,
        times=np.arange(len(S)) * HOP / SR,
        frequencies=np.arange(S.shape[1]) * SR / (2 * (S.shape[1] - 1)),
        unit="dB",
    )


def run(commands: str, folder: Path) -> None:
    """Run featx commands in ``folder``; indented lines belong to the one before."""
    for command in commands.replace("\n    ", " ").strip().splitlines():
        words = [sys.executable, "-m", "featx.cli", *command.split()]
        subprocess.run(words, cwd=folder, check=True)


def shrink(path: Path, out: Path) -> None:
    """Reduce a PNG to 160 colours, which halves its size and can hardly be seen."""
    image = Image.open(path).convert("RGB").quantize(160, dither=Image.Dither.NONE)
    image.save(out, optimize=True)


PICTURES: dict[str, Callable[[Path], None]] = {
    "song": draw_song,
    "road": draw_road,
    "presets": draw_presets,
    "chords": draw_chords,
    "separation": draw_separation,
    "melody": draw_melody,
    "map": draw_map,
    "filters": draw_filters,
}


if __name__ == "__main__":
    main(sys.argv[1:])
