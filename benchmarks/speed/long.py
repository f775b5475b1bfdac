"""Long recordings: memory and time of a run that holds the waveform, and of one that reads blocks.

    python benchmarks/speed/long.py MUSIC [--hours 10] [--extractors mfcc ...] [--ways blocks held]

Half an hour of the files below MUSIC is repeated with other gains and starts in one mono WAV file
at 44.1 kHz in the temporary folder, which is removed at the end; MUSIC may also be
one long file. Every line is a run of its own into a new store, with one worker: the largest
resident memory of its child, seconds of CPU of its children, and that as a multiple of real time.
With both ways, values are compared.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import resource
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import featx
from featx.audio import AUDIO_SUFFIXES, Limits

SR = 44100
EXTRACTORS = ("mfcc", "melspectrogram", "contrastive", "samplecnn")


def write(path: Path, music: Path, hours: float) -> None:
    """Write the long file."""
    paths = sorted(item for item in music.rglob("*") if item.suffix in AUDIO_SUFFIXES)
    parts: list[np.ndarray] = []
    while paths and sum(map(len, parts)) < 1800 * SR:
        parts.append(featx.Audio.load(paths.pop(0), sr=SR).y)
    rng, left = np.random.default_rng(1), round(hours * 3600 * SR)
    with soundfile.SoundFile(path, "w", SR, 1, format="RF64", subtype="PCM_16") as file:
        while left > 0:
            for part in (parts[k] for k in rng.permutation(len(parts))):
                piece = part[int(rng.integers(len(part) // 4)) :][: max(left, 0)]
                file.write((rng.uniform(0.2, 0.9) * piece).clip(-1, 1))
                left -= len(piece)


def measure(path: Path, store: Path, extractor: str, held_seconds: float) -> tuple[float, float]:
    """Run one extractor; return MB of its child and seconds of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    limits = Limits(max_seconds=1e6, held_seconds=held_seconds)
    summary = featx.run(path, store, extractors=[extractor], jobs=1, limits=limits, timeout=7200)
    if summary.ok != 1:
        raise SystemExit(f"{extractor}: {summary.failures}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return summary.peak_rss / 1e6, cpu


def difference(a: Path, b: Path) -> float:
    """Return the largest difference between the clip features of two stores."""
    largest = 0.0
    first, second = featx.open_store(a), featx.open_store(b)
    for name in first:
        for feature in first[name]:
            x, y = first[name][feature].values, second[name][feature].values
            largest = max(largest, float(np.abs(np.asarray(x) - np.asarray(y)).max()))
    return largest


def main() -> None:
    """Write the file, run the extractors, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--extractors", nargs="+", default=EXTRACTORS)
    parser.add_argument("--ways", nargs="+", default=["blocks", "held"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = given.music
        if path.is_dir():
            path = folder / "long.wav"
            write(path, given.music, given.hours)
        seconds = soundfile.info(path).duration
        print(f"{seconds / 3600:g} h, {path.stat().st_size / 1e6:.0f} MB", flush=True)
        for extractor in given.extractors:
            for way in given.ways:
                store = folder / f"{extractor}-{way}"
                mb, cpu = measure(path, store, extractor, 1e6 if way == "held" else 1.0)
                speed = seconds / cpu
                row = f"{extractor:16s} {way:7s} {mb:7.0f} MB {cpu:7.1f} s of CPU {speed:6.0f} x"
                print(row, flush=True)
            if len(given.ways) == 2:
                stores = [folder / f"{extractor}-{way}" for way in given.ways]
                print(f"{extractor:16s} largest difference {difference(*stores):g}", flush=True)


if __name__ == "__main__":
    main()
