"""Make the checkpoints that featx ships: render music, train, measure.

Usage: python benchmarks/checkpoints.py OUT --midi POP909 [STEP ...]

The steps, in this order, are those of `STEPS`; all of them by default. Every step is one or more
calls of ``featx`` and resumes when it is called again. On one core, the trainings take 25, 66 and
99 minutes. The first weights of artist-joint and of samplecnn's 3^9 are not those that ship:
benchmarks/contrastive.py trains these.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

#: Sound fonts to train with; the test split has the default of ``featx bench render``, another.
#: Debian: fluid-soundfont-gm, musescore-general-soundfont-small, csound-soundfont.
SOUNDFONTS = ("FluidR3_GM.sf2", "MuseScore_General_Lite.sf3", "sf_GMbank.sf2")

#: Arrangements, and solo lines of the lead alone.
COLLECTIONS = {
    "mixes": {
        "artists": 300, "valid-artists": 30, "test-artists": 50, "songs-per-artist": 4,
        "albums": 2, "seed": 11,
    },
    "solos": {
        "artists": 200, "valid-artists": 20, "test-artists": 50, "songs-per-artist": 3,
        "albums": 1, "seed": 12, "duration": 15, "parts": "lead",
    },
}  # fmt: skip

#: Adam, falling to a quarter; half precision for the products.
SAMPLECNN = {
    "batch_size": 23, "optimizer": "adam", "lr": 0.001, "lr_decay": 0.001,
    "schedule": "constant", "precision": "bfloat16", "validate_every": 500,
    "export_dtype": "float16",
}  # fmt: skip

#: Spectrograms of the songs of a manifest.
STORES = {"songs.csv": "mel-songs", "mixes/manifest.csv": "mel"}

TRAININGS = {
    "joint": ("artist-joint", None, "songs.csv", {
        "steps": 3000, "batch_size": 15, "lr": 0.03, "patience": 12, "early_stop": 40, "dropout": 0,
        "album_margin": 0.4, "track_margin": 0.4,
        "precision": "bfloat16", "export_dtype": "float16",
    }),
    "sr8000": ("samplecnn", "tags", "songs.csv", {"model": "sr8000", "steps": 2500, **SAMPLECNN}),
    "3^9": ("samplecnn", "tags", "songs.csv", {"model": "3^9", "steps": 3000, **SAMPLECNN}),
}  # fmt: skip


def read_rows(path: Path, *, split: str = "") -> list[dict[str, str]]:
    """Return the lines of a manifest, or those of one split."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if not split or row["split"] == split]


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write a manifest with the columns of the first line."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


#: Exit code of commands that could not read some of the files.
UNREADABLE = 3


def featx(*words: object, unreadable: bool = False) -> None:
    """Run the command; what it says is shown. ``unreadable`` lets some files be unreadable."""
    command = [sys.executable, "-m", "featx.cli", *map(str, words)]
    code = subprocess.run(command, check=False).returncode
    if code and not (unreadable and code == UNREADABLE):
        raise subprocess.CalledProcessError(code, command)


def render(out: Path, midi: Path, *, name: str) -> None:
    """Render one of the collections."""
    fonts = [word for font in SOUNDFONTS for word in ("--soundfont", font)]
    options = [word for key, value in COLLECTIONS[name].items() for word in (f"--{key}", value)]
    featx("bench", "render", out / name, "--midi", midi, *fonts, *options)


def songs(out: Path, midi: Path) -> None:  # noqa: ARG001
    """Write one manifest of all collections; artists of two collections are two artists."""
    rows: list[dict[str, str]] = []
    for name in COLLECTIONS:
        for row in read_rows(out / name / "manifest.csv"):
            own = {key: f"{name} {row[key]}" for key in ("artist", "album")}
            rows.append({**row, **own, "path": f"{name}/{row['path']}", "collection": name})
    write_rows(out / "songs.csv", rows)


def mels(out: Path, midi: Path) -> None:  # noqa: ARG001
    """Store the spectrograms that artist models learn from, of all songs and of arrangements."""
    words = ["-p", "melspectrogram", "--set", "front_end=fe-artist", "--features", "frames"]
    for manifest, store in STORES.items():
        featx("run", out / manifest, *words, "-o", out / store)


def train(out: Path, midi: Path, *, name: str) -> None:  # noqa: ARG001
    """Train one of the models."""
    extractor, method, manifest, settings = TRAININGS[name]
    words: list[object] = ["-p", extractor, "-m", out / manifest, "-o", out / name, "--threads", 1]
    words += ["--method", method] if method else ["--store", out / STORES[manifest]]
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    featx("train", *words)


STEPS: dict[str, Callable[[Path, Path], None]] = {
    **{name: partial(render, name=name) for name in COLLECTIONS},
    "songs": songs,
    "mels": mels,
    **{name: partial(train, name=name) for name in TRAININGS},
}


def main() -> None:
    """Run the steps that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--midi", type=Path, required=True, help="folder of songs as in POP909")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}")
    asked = parser.parse_intermixed_args()
    if unknown := set(asked.steps) - set(STEPS):
        parser.error(f"steps must be some of {', '.join(STEPS)}, got {', '.join(sorted(unknown))}")
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, step in STEPS.items():
        if not asked.steps or name in asked.steps:
            step(asked.out, asked.midi)


if __name__ == "__main__":
    main()
