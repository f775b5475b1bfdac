"""Time how featx reads training crops against a plain loop over ``librosa.load``.

    python benchmarks/speed/training.py [--rounds N] [--items N] [--only WORD] [--json]

Recordings are synthesised music of 30 s, stereo, 16 bit. Both sides read the same crops of the same
files, drawn by the same sampler, and form the same batches; they take turns within one process, so
that a busy machine slows both. The plain loop is what training scripts do: open, seek, decode,
down-mix and resample one crop with ``librosa.load(path, offset=..., duration=...)``, then the
features with librosa. Times are processor time of the whole process; the ratio is the median over
the rounds. The store is written before the clock starts: its rows are what training costs once
``featx run`` has been there.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import soundfile

import featx
from featx.testing import synthesise
from featx.training import (
    AudioCrops,
    Crop,
    CropReader,
    CropSpec,
    SegmentSampler,
    Song,
    Songs,
    StoreCrops,
)
from featx.training.loader import Loader

SECONDS, SONGS, BATCH = 30.0, 8, 16
SAMPLE_SR, SAMPLE_LENGTH = 22050, 59049  # SampleCNN 3^9
FRAMES = 129  # the artist models
HOP, N_FFT, N_MELS = 512, 1024, 128

SUBTYPES = {"flac": "PCM_16", "wav": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One line of the table."""

    name: str
    loader: Loader
    plain: Callable[[Crop], np.ndarray]


# ---------------------------------------------------------------- material
def write_songs(folder: Path, *, sr: int, suffix: str) -> list[Path]:
    paths = []
    for number in range(SONGS):
        path = folder / f"{number}-{sr}.{suffix}"
        piece = synthesise(seed=number, duration=SECONDS, sr=sr)
        sides = np.stack([piece.y, 0.8 * piece.y], axis=1)
        soundfile.write(path, sides, sr, subtype=SUBTYPES[suffix])
        paths.append(path)
    return paths


def as_songs(paths: list[Path], reader: CropReader) -> Songs:
    return Songs(
        Song(track_id=path.name, path=str(path), length=reader.length(path.name, str(path)))
        for path in paths
    )


def loader_of(paths: list[Path], reader: CropReader, workers: int) -> Loader:
    songs = as_songs(paths, reader)
    labels = np.zeros(len(songs), np.int64)
    sampler = SegmentSampler(songs, labels, length=reader.spec.length, every=False)
    return Loader(sampler, reader, batch_size=BATCH, seed=0, workers=workers)


# ---------------------------------------------------------------- the plain loop
def plain_samples(crop: Crop) -> np.ndarray:
    y, _ = librosa.load(
        crop.song.path,
        sr=SAMPLE_SR,
        offset=crop.start / SAMPLE_SR,
        duration=SAMPLE_LENGTH / SAMPLE_SR,
    )
    return librosa.util.fix_length(y, size=SAMPLE_LENGTH)


def plain_mel(crop: Crop) -> np.ndarray:
    y, _ = librosa.load(
        crop.song.path,
        sr=SAMPLE_SR,
        offset=crop.start * HOP / SAMPLE_SR,
        duration=(FRAMES - 1) * HOP / SAMPLE_SR,
    )
    mel = librosa.feature.melspectrogram(
        y=y, sr=SAMPLE_SR, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS, power=1.0
    )
    return librosa.util.fix_length(np.log10(1.0 + 10.0 * mel).T, size=FRAMES, axis=0)


# ---------------------------------------------------------------- jobs
def jobs(folder: Path, only: str) -> Iterator[Job]:
    samples = AudioCrops(CropSpec(sr=SAMPLE_SR, length=SAMPLE_LENGTH))
    mel = AudioCrops(CropSpec(front_end="fe-artist", length=FRAMES))
    for sr in (44100, SAMPLE_SR):
        for suffix in ("flac", "ogg", "mp3"):
            name = f"2.7 s samples, {suffix} at {sr} Hz"
            if only in name:
                paths = write_songs(folder, sr=sr, suffix=suffix)
                yield Job(name=name, loader=loader_of(paths, samples, 1), plain=plain_samples)
    name = "129 mel frames, flac at 44100 Hz"
    if only in name:
        paths = write_songs(folder, sr=44100, suffix="flac")
        yield Job(name=name, loader=loader_of(paths, mel, 1), plain=plain_mel)
    name = "129 mel frames of a store, flac at 44100 Hz"
    if only in name:
        paths = write_songs(folder, sr=44100, suffix="flac")
        store = folder / "store"
        featx.run(
            paths, store, extractors="melspectrogram", features=["melspectrogram.frames"], jobs=1
        )
        stored = StoreCrops(store, CropSpec(front_end="fe-artist", length=FRAMES))
        yield Job(name=name, loader=loader_of(paths, stored, 1), plain=plain_mel)


def crops_of(loader: Loader, n_batches: int) -> list[list[Crop]]:
    """Return the crops that the loader reads, batch by batch."""
    batches = loader.training(0)
    drawn = []
    for _ in range(n_batches):
        crops = [example.crops["inputs"] for example in next(batches).examples]
        drawn.append([crop for crop in crops if isinstance(crop, Crop)])
    batches.close()
    return drawn


class Counted(CropReader):
    """Counts the crops that are read: a loader reads ahead, and how far depends on threads."""

    def __init__(self, reader: CropReader) -> None:
        self.spec, self.reader, self.reads = reader.spec, reader, 0

    def length(self, track_id: str, path: str) -> int:
        return self.reader.length(track_id, path)

    def read(self, crop: Crop) -> np.ndarray:
        self.reads += 1  # one thread reads
        return self.reader.read(crop)


# ---------------------------------------------------------------- timing
def by_featx(job: Job, n_batches: int) -> float:
    """Return the processor time of one item; what is read ahead in vain counts as well."""
    counted = Counted(job.loader.reader)
    job.loader.reader = counted
    started = time.process_time()
    batches = job.loader.training(0)
    for _ in range(n_batches):
        next(batches)
    batches.close()
    seconds = time.process_time() - started
    job.loader.reader = counted.reader
    return seconds / counted.reads


def by_plain(job: Job, drawn: list[list[Crop]]) -> float:
    started = time.process_time()
    for crops in drawn:
        np.stack([job.plain(crop) for crop in crops])
    return (time.process_time() - started) / sum(map(len, drawn))


def measure(job: Job, rounds: int, items: int) -> dict[str, float | str]:
    n_batches = max(items // BATCH, 1)
    drawn = crops_of(job.loader, n_batches)
    by_plain(job, drawn[:1])
    pairs = [(by_featx(job, n_batches), by_plain(job, drawn)) for _ in range(rounds)]
    ours, plain = (np.array(column) for column in zip(*pairs, strict=True))
    return {
        "job": job.name,
        "featx": float(1.0 / ours.min()),
        "plain": float(1.0 / plain.min()),
        "ratio": float(np.median(plain / ours)),
    }


def main() -> None:
    """Measure every job and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=64, help="crops per round")
    parser.add_argument("--only", default="", help="jobs whose name holds this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for job in jobs(Path(folder), options.only):
            rows.append(measure(job, options.rounds, options.items))
            job.loader.reader.close()
            if not options.json:
                row = rows[-1]
                print(
                    f"{row['job']:<46} featx {row['featx']:7.0f} items/s   "
                    f"librosa.load {row['plain']:6.0f} items/s   {row['ratio']:5.1f} x",
                    flush=True,
                )
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
