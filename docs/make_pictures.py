"""Draw the pictures of the documentation, all from synthesised music: run it from anywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from featx.annotations import Events
from featx.testing import Piece, synthesise, write_collection
from featx_plot import render, save, spectrogram_panel

STATIC = Path(__file__).parent / "_static"
SR = 22050

#: The commands of docs/quickstart.md, for one track.
EXTRACT = """
run --plugin chroma --plugin spectral --features chroma.frames,spectral.frames
    music -o features
"""
PLOT = """
plot music/mira-voss/01-hollow-road.flac -o road.png --dpi 100
    --events music/mira-voss/01-hollow-road.jams#beat,chord
    --store features --feature chroma.frames --over spectral.frames:centroid
"""


def main() -> None:
    """Write every picture."""
    draw_truth(STATIC / "song.png")
    with tempfile.TemporaryDirectory() as folder:
        draw_stored_features(Path(folder), STATIC / "road.png")


def draw_truth(out: Path) -> None:
    """Draw a piece with what is known about it: chords, beats, melody."""
    piece = synthesise(seed=4, duration=12.0, sr=SR)
    figure = render(
        title=f"{piece.artist}: {piece.title} ({piece.key}, {piece.tempo:g} beats per minute)",
        y=piece.y,
        sr=piece.sr,
        panels=[
            spectrogram_panel(piece.y, "fe-artist", sr=piece.sr),
            spectrogram_panel(piece.y, "fe-chroma-stft", sr=piece.sr),
        ],
        events=truth_events(piece),
    )
    shrink(save(figure, out, dpi=100))


def truth_events(piece: Piece) -> list[Events]:
    """Return chords, beats counted within their bar, and the notes of the melody."""
    bars = np.searchsorted(piece.downbeats, piece.beats + 1e-9)
    firsts = np.searchsorted(piece.beats, piece.downbeats - 1e-9)
    counts = np.arange(len(piece.beats)) - firsts[bars - 1] + 1
    melody = [note for note in piece.notes if note.instrument == "melody"]
    return [
        Events(
            name="chords",
            starts=np.array([chord.start for chord in piece.chords]),
            ends=np.array([chord.end for chord in piece.chords]),
            labels=[chord.label for chord in piece.chords],
        ),
        Events(name="beats", starts=piece.beats, labels=[str(count) for count in counts]),
        Events(
            name="melody",
            starts=np.array([note.onset for note in melody]),
            ends=np.array([note.offset for note in melody]),
            frequencies=np.array([440 * 2 ** ((note.pitch - 69) / 12) for note in melody]),
        ),
    ]


def draw_stored_features(folder: Path, out: Path) -> None:
    """Extract and plot as docs/quickstart.md does."""
    write_collection(folder / "music", n_tracks=1, duration=14.0)
    for command in (EXTRACT, PLOT):
        featx = [sys.executable, "-m", "featx.cli", *command.split()]
        subprocess.run(featx, cwd=folder, check=True)
    shutil.move(shrink(folder / "road.png"), out)


def shrink(path: Path) -> Path:
    """Reduce a PNG to 256 colours, which halves its size and cannot be seen."""
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    return path


if __name__ == "__main__":
    main()
