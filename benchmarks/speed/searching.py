"""Seconds of ``featx search`` from an audio file to the table, in a store of many tracks.

    python benchmarks/speed/searching.py AUDIO [--tracks 100000] [--extractor mfcc]
        [--feature summary] [--frames 10] [--index NAME] [--repeat 5] [--folder DIR] [--profile]

A store is written whose first track has the features of AUDIO and whose others have these plus
noise; no audio is extracted for it. With ``--frames``, every track has so many seconds of the
frames of AUDIO as well, so that the table shows the segments that are most alike. If ``--index`` is
given, the index is built and saved, and the command searches it by its folder. The command runs
once to warm the caches and is then measured, by the clock and in processor time of the process and
its children. ``--profile`` prints the functions of one more run by their own time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import featx
from featx.index import Gallery
from featx.store import StoreWriter, TrackRecord

SHARD = 1000


def write_store(
    store: Path, audio: Path, count: int, extractor: str, feature: str, seconds: float
) -> None:
    """Write ``count`` tracks with one clip feature, the first of them that of ``audio``."""
    rng = np.random.default_rng(0)
    names_of_features = [feature, *(["frames"] if seconds else [])]
    with featx.open_extractor(extractor, features=names_of_features) as opened:
        features = opened.file(audio)
        recipe, sr = opened.recipe, features.sr
    specs = [features.specs[name] for name in names_of_features]
    centre, spec = features[feature], specs[0]
    frames = {}
    if seconds:
        frames["frames"] = features["frames"][features.times("frames") < seconds]
    with StoreWriter(store, provenance={}) as writer:
        for start in range(0, count, SHARD):
            names = [
                f"{n // 100:05d}/{n:07d}.flac" for n in range(start, min(start + SHARD, count))
            ]
            rows = centre * (1 + rng.normal(size=(len(names), len(centre)))).astype(spec.dtype)
            if start == 0:
                rows[0] = centre
            records = [
                TrackRecord(
                    track_id=name,
                    path=f"/music/{name}",
                    content=hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(),
                    size=10**6,
                    mtime_ns=10**18,
                    duration=180.0,
                    sr=44100,
                    channels=2,
                    tags={"artist": f"Artist {name[:4]}", "title": f"Title {name}"},
                )
                for name in names
            ]
            values = [{feature: row, **frames} for row in rows]
            writer.write_shard(recipe, specs, records, values, [sr] * len(names))


def run(command: list[str]) -> tuple[float, float, str]:
    """Return seconds by the clock, seconds of the processor, and what was printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return seconds, processor, done.stdout


def main() -> None:
    """Write a store, build an index, and measure the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("audio", type=Path)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--extractor", default="mfcc")
    parser.add_argument("--feature", default="summary")
    parser.add_argument("--frames", type=float, default=0.0, help="seconds of frames per track")
    parser.add_argument("--index", help="name of an index; by default none is saved")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the store here")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featx-search-") as temporary:
        base = options.folder or Path(temporary)
        frames = f"-{options.frames:g}s" if options.frames else ""
        store = base / f"{options.extractor}-{options.tracks}{frames}"
        if not store.exists():
            write_store(
                store,
                options.audio,
                options.tracks,
                options.extractor,
                options.feature,
                options.frames,
            )
        target = ["--features", f"{options.extractor}.{options.feature}"]
        if options.index:
            folder = store / "indexes" / options.index
            if not folder.exists():
                name = f"{options.extractor}.{options.feature}"
                with featx.open_store(store) as opened:
                    Gallery(opened, feature=name, index=options.index).save(folder)
            target = ["--index", str(folder)]
        arguments = ["search", str(store), str(options.audio), *target]
        command = [sys.executable, "-m", "featx.cli", *arguments]
        print(run(command)[2])
        results = [run(command)[:2] for _ in range(options.repeat)]
        clock, processor = (statistics.median(column) for column in zip(*results, strict=True))
        print(
            f"{clock:.2f} s by the clock, {processor:.2f} s of the processor; "
            f"medians of {options.repeat}, load {os.getloadavg()[0]:.1f}"
        )
        if options.profile:
            words = [sys.executable, "-m", "cProfile", "-s", "tottime", "-m", "featx.cli"]
            print("\n".join(run([*words, *arguments])[2].splitlines()[:60]))


if __name__ == "__main__":
    main()
