"""What a million songs cost: core-hours and bytes of every extractor, and where they go.

    python benchmarks/cost_model.py SONG SONG … --extractors mfcc … [--json FILE]

After a first run, every extractor runs over the first song alone and over all songs, with one
worker on one thread. The difference in seconds of CPU, divided by that in seconds of audio, leaves
out start-up. *decoding* is its share of the time that the ledger records, with resampling.
*default outputs* and *all outputs* are the bytes of the first song's values, without the structure
of the store. All figures are scaled to a million songs of `SECONDS`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import soundfile

import featx
from featx.engine import PreparedExtractor
from featx.store import LedgerView

SECONDS = 240.0
MILLION = 1e6
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cpu_of(*arguments: str) -> float:
    """Run a command of featx; return the seconds of CPU of all its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "featx.cli", *arguments],
        env=os.environ | dict.fromkeys(THREADS, "1"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rate_of(songs: Sequence[Path], command: Callable[[list[str]], Sequence[str]]) -> float:
    """Return the seconds of CPU that a second of audio takes."""
    names = [str(song) for song in songs]
    first, every = cpu_of(*command(names[:1])), cpu_of(*command(names))
    return (every - first) / sum(soundfile.info(song).duration for song in songs[1:])


def bytes_of(extractor: PreparedExtractor, store: Path, seconds: float) -> dict[str, float]:
    """Return the bytes of every output for a song of `SECONDS`, by one of ``seconds``."""
    sizes = {}
    with featx.open_store(store) as opened:
        (track,) = opened.tracks
        for spec in extractor.resolved.outputs:
            scale = 1.0 if spec.kind == "clip" else SECONDS / seconds
            sizes[spec.name] = scale * opened[extractor.name][spec.name][track].nbytes
    return sizes


def measure(name: str, songs: Sequence[Path], folder: Path) -> dict[str, float]:
    """Return the CPU of a second of audio and the bytes of a song, by default and in all."""
    (extractor,) = featx.plan(songs[0], folder / "none", extractors=name).extractors
    outputs = [f"{name}.{spec.name}" for spec in extractor.resolved.outputs]
    seconds = soundfile.info(songs[0]).duration

    def run(paths: list[str]) -> Sequence[str]:
        return ("run", "-p", name, "-j", "1", "-o", str(folder / f"{name}-{len(paths)}"), *paths)

    every, whole = (folder / f"{name}-{part}" for part in (len(songs), "all"))
    # first, since it compiles
    cpu_of("run", "-p", name, "--features", ",".join(outputs), "-o", str(whole), str(songs[0]))
    sizes = bytes_of(extractor, whole, seconds)
    rate = rate_of(songs, run)
    with LedgerView(every) as view:
        costs = [cost for _, _, _, cost in view.costs()]
    decoding = sum(cost.decoding for cost in costs)
    return {
        "rate": rate,
        "decoding": decoding / (decoding + sum(cost.extracting for cost in costs)),
        "bytes": sum(sizes[feature] for feature in extractor.features),
        "all": sum(sizes.values()),
    }


def row(name: str, figures: dict[str, float]) -> str:
    """Return a line of the table, in Markdown."""
    hours = MILLION * SECONDS / 3600
    numbers = (
        f"{hours * figures['rate']:,.0f}",
        f"{100 * figures['decoding']:.0f} %",
        f"{1 / figures['rate']:,.0f}",
        f"{MILLION * figures['bytes'] / 1e9:,.1f} GB",
        f"{MILLION * figures['all'] / 1e9:,.0f} GB",
    )
    return f"| `{name}` | " + " | ".join(numbers) + " |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs", type=Path, nargs="+")
    parser.add_argument("--extractors", nargs="+", required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if len(options.songs) < 2:
        parser.error("give two songs or more")
    audio = sum(path.stat().st_size for path in options.songs)
    seconds = sum(soundfile.info(path).duration for path in options.songs)
    print(f"{len(options.songs)} songs, {seconds / 60:.1f} min of audio")
    print(f"files: {MILLION * audio * SECONDS / seconds / 1e12:.1f} TB")
    print("| | core-hours | decoding | x real time | default outputs | all outputs |")
    print("|---|---|---|---|---|---|", flush=True)
    rows = {}
    for name in options.extractors:
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = measure(name, options.songs, Path(folder))
        print(row(name, rows[name]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
