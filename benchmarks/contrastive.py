"""Make weights of ``contrastive``: collect audio, render some, compute teachers, train.

Usage: python benchmarks/contrastive.py OUT --midi POP909 [--debs FOLDER] [STEP ...]

The steps, in this order, are those of `STEPS`; all of them by default. Every step is one or more
calls and resumes when it is called again. ``artist-siamese`` and ``musicnn`` must have their
weights (``featx weights import``). ``FEATX_TEST_DATA`` names the folder of recordings, of which the
single sounds, loops and three voices are used; its music, ESC-10 and spoken
digits are for tests.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from checkpoints import featx, read_rows, write_rows

SOUNDFONTS = ("FluidR3_GM.sf2", "OPL-3_FM_128M.sf2")
RENDERED = {
    "artists": 80, "valid-artists": 4, "test-artists": 4, "songs-per-artist": 2, "duration": 20,
    "seed": 21,
}  # fmt: skip
#: Folders of the data that may be trained on: CC BY 4.0 and CC0.
DATA = ("sounds/", "beats/loops/", "singing/vocadito/")
COLUMNS = ("path", "track_id", "artist", "title", "licence", "package", "split", "kind", "tags")

#: Spectrograms and teachers. ``musicnn`` hears the music only: of other sounds it knows little.
FEATURES = {
    "mel": ("songs.csv", ("melspectrogram", "--set", "front_end=fe-contrastive"), "frames"),
    "siamese": ("songs.csv", ("artist-siamese",), "segments"),
    "musicnn": ("music.csv", ("musicnn",), "segments,tag_segments"),
}
SETTINGS = {
    "steps": 4000, "lr": 0.002, "lr_decay": 0.001, "label_weight": 0.1, "contrast_weight": 0.05,
    "augment_eq_db": 2, "augment_mix_db": "15,40", "precision": "bfloat16",
    "export_dtype": "float16", "checkpoint_minutes": 2,
}  # fmt: skip


def audio(out: Path, options: argparse.Namespace) -> None:
    """Collect free music and sounds."""
    script = Path(__file__).with_name("free_audio.py")
    words = [sys.executable, script, out / "audio"]
    words += ["--debs", options.debs] if options.debs else []
    subprocess.run([*map(str, words)], check=True)


def render(out: Path, options: argparse.Namespace) -> None:
    """Render music with exact tags."""
    fonts = [word for font in SOUNDFONTS for word in ("--soundfont", font)]
    words = [word for key, value in RENDERED.items() for word in (f"--{key}", value)]
    featx("bench", "render", out / "rendered", "--midi", options.midi, *fonts, *words)


def songs(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Write one manifest of all sources, and one of their music."""
    rows = [
        {**row, "path": f"audio/{row['path']}", "track_id": row["path"], "tags": ""}
        for row in read_rows(out / "audio/manifest.csv")
    ]
    rows += [
        {
            **row, "path": f"rendered/{row['path']}", "track_id": f"rendered/{row['path']}",
            "licence": "MIT (POP909)", "package": "rendered", "kind": "music",
        }
        for row in read_rows(out / "rendered/manifest.csv")
        if row["split"] != "test"
    ]  # fmt: skip
    data = Path(os.environ["FEATX_TEST_DATA"])
    rows += [
        {
            **row, "path": str(data / row["path"]), "track_id": f"data/{row['path']}",
            "package": "data", "split": "train", "kind": "sound", "tags": "",
        }
        for row in read_rows(data / "tracks.csv")
        if row["path"].startswith(DATA)
    ]  # fmt: skip
    chosen = [{name: row[name] for name in COLUMNS} for row in rows]
    write_rows(out / "songs.csv", chosen)
    write_rows(out / "music.csv", [row for row in chosen if row["kind"] == "music"])


def features(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Compute what the network reads, and what its teachers say."""
    for name, (manifest, words, outputs) in FEATURES.items():
        featx("run", out / manifest, "-p", *words, "--features", outputs, "-o", out / name)


def train(out: Path, options: argparse.Namespace) -> None:  # noqa: ARG001
    """Train the network."""
    teachers = ",".join(
        f"{out / name}:{extractor}.segments"
        for name, extractor in (("siamese", "artist-siamese"), ("musicnn", "musicnn"))
    )
    settings = {"teachers": teachers, "tags": f"{out / 'musicnn'}:musicnn.tag_segments", **SETTINGS}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    featx(
        "train", "-p", "contrastive", "--method", "distil", "-m", out / "songs.csv",
        "--store", out / "mel", "-o", out / "contrastive", "--threads", 1, *words,
    )  # fmt: skip


STEPS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    step.__name__: step for step in (audio, render, songs, features, train)
}


def main() -> None:
    """Run the steps that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--midi", type=Path, required=True, help="folder of songs as in POP909")
    parser.add_argument("--debs", type=Path, help="folder of packages of Debian")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}")
    options = parser.parse_intermixed_args()
    if unknown := set(options.steps) - set(STEPS):
        parser.error(f"steps must be some of {', '.join(STEPS)}, got {', '.join(sorted(unknown))}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name, step in STEPS.items():
        if not options.steps or name in options.steps:
            step(options.out, options)


if __name__ == "__main__":
    main()
