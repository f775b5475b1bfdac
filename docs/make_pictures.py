"""Draw the pictures of the documentation, all from synthesised music: run it from anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from featx.plotting import Events, render, save, spectrogram_panel
from featx.testing import Piece, synthesise

STATIC = Path(__file__).parent / "_static"
SR = 22050


def truth_events(piece: Piece) -> list[Events]:
    """Return chords, beats counted within their bar, and the notes of the melody."""
    bars = np.searchsorted(piece.downbeats, piece.beats + 1e-9)
    firsts = np.searchsorted(piece.beats, piece.downbeats - 1e-9)
    counts = np.arange(len(piece.beats)) - firsts[bars - 1] + 1
    melody = [note for note in piece.notes if note.instrument == "melody"]
    return [
        Events(
            name="chords",
            starts=[chord.start for chord in piece.chords],
            ends=[chord.end for chord in piece.chords],
            labels=[chord.label for chord in piece.chords],
        ),
        Events(name="beats", starts=piece.beats, labels=[str(count) for count in counts]),
        Events(
            name="melody",
            starts=[note.onset for note in melody],
            ends=[note.offset for note in melody],
            frequencies=[440 * 2 ** ((note.pitch - 69) / 12) for note in melody],
        ),
    ]


def shrink(path: Path) -> None:
    """Reduce a PNG to 256 colours, which halves its size and cannot be seen."""
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


def main() -> None:
    """Write every picture."""
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
    shrink(save(figure, STATIC / "song.png", dpi=100))


if __name__ == "__main__":
    main()
