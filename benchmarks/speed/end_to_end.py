"""From compressed files to stored log-mel: featx's engine path against librosa, on one thread each.

    python benchmarks/speed/end_to_end.py [--rounds N] [--tracks N] [--seconds S] [--data FOLDER]
                                          [--workers] [--json FILE]

Stereo tracks at 44.1 kHz are written as MP3, FLAC and Ogg Vorbis, from synthesised music or, with
--data, from the stereo recordings in a folder (strung together, each with another beginning). Then,
in turns in one process, both decode them, mix down, resample to 22050 Hz with soxr (featx ``HQ`` is
librosa's ``soxr_hq``, both the default), compute ``fe-artist`` (1024 / 512, 128 mel bands,
log10(1 + 10 x)) and store it: featx one HDF5 shard with checksums, ledger and fsync; librosa one
.npy per track. *Times slower* is the median over the rounds of the ratio of processor time.

The split is featx's own time: decoding (with down-mix, resampling, checks and content hash), front
end, store; *bare* is the share that libsndfile alone would take to decode the same files, which no
front end can undercut. --workers runs ``featx.run`` with one and two worker processes, on a number
of files and on three times as many; what the additional files take is told, so that start-up does
not count. Where other programs want the cores, see the last line: twice the ratio of processor
times is what two free cores would give.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import itertools
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile

import featx
from featx.audio import decode, read_tags
from featx.engine.planning.preparing import prepare_extractors
from featx.engine.work.opening import OpenExtractor
from featx.engine.work.tracks import Recording
from featx.registry import load_registry
from featx.store import StoreWriter
from featx.store.records import TrackRecord
from featx.testing import synthesise

NATIVE, SR = 44100, 22050
#: largest difference of log10(1 + 10 x) that counts as agreement (docs/frontend.md)
TOLERANCE = 2e-4
FORMATS: dict[str, dict[str, Any]] = {
    "mp3": {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.4},
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "ogg": {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.4},
}
PHASES = ("decode", "front end", "store")


# ---------------------------------------------------------------- sound
def synthesised(number: int, seconds: float) -> np.ndarray:
    """Return stereo (n, 2): two mixes of two pieces."""
    a, b = (synthesise(seed=2 * number + i, duration=seconds, sr=NATIVE).y for i in (0, 1))
    return np.stack([0.6 * a + 0.3 * b, 0.3 * a + 0.6 * b], axis=1).astype(np.float32)


def recorded(folder: Path) -> Iterator[np.ndarray]:
    """Yield every stereo recording at 44.1 kHz below ``folder``, again and again."""
    paths = []
    for path in sorted(
        p for ext in ("ogg", "flac", "wav", "mp3") for p in folder.rglob(f"*.{ext}")
    ):
        info = soundfile.info(path)
        if info.samplerate == NATIVE and info.channels == 2:
            paths.append(path)
    if not paths:
        raise SystemExit(f"--data must hold stereo recordings at {NATIVE} Hz, {folder} has none.")
    for path in itertools.cycle(paths):
        yield soundfile.read(path, dtype="float32")[0]


def write_tracks(
    folder: Path, *, tracks: int, seconds: float, data: Path | None
) -> dict[str, list[Path]]:
    """Write the same ``tracks`` in every format; return the paths by format."""
    source = None if data is None else recorded(data)
    paths: dict[str, list[Path]] = {ending: [] for ending in FORMATS}
    for number in range(tracks):
        if source is None:
            y = synthesised(number, seconds)
        else:
            parts, have = [], 0
            while have < seconds * NATIVE:
                parts.append(next(source))
                have += len(parts[-1])
            y = np.concatenate(parts)[: int(seconds * NATIVE)]
        for ending, how in FORMATS.items():
            path = folder / ending / f"{number:03d}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with soundfile.SoundFile(path, "w", NATIVE, 2, **how) as file:
                for start in range(0, len(y), NATIVE):  # libvorbis overflows its stack otherwise
                    file.write(y[start : start + NATIVE])
            paths[ending].append(path)
    return paths


# ---------------------------------------------------------------- contenders
class Featx:
    """What a worker of ``featx run`` does, without the sockets between processes."""

    def __init__(self) -> None:
        (self.prepared,) = prepare_extractors(
            load_registry(), ["melspectrogram"], features=["melspectrogram.frames"]
        )
        self.extractor = OpenExtractor(self.prepared, threads=1, seed=0)

    def run(self, paths: list[Path], store: Path, clock: Callable[[], float]) -> dict[str, float]:
        """Extract and store; return seconds by phase."""
        took = dict.fromkeys(PHASES, 0.0)
        records, values, srs, specs = [], [], [], ()
        for path in paths:
            began = clock()
            state = path.stat()
            decoded = decode(path, rates=self.extractor.rates())
            tags = read_tags(path)
            between = clock()
            recording = Recording(
                decoded.waveforms, native_sr=decoded.native_sr, duration=decoded.duration
            )
            outputs = self.extractor.extract(recording)
            specs = tuple(spec for spec in outputs.specs if spec.name == "frames")
            values.append({"frames": outputs.values["frames"]})
            srs.append(outputs.sr)
            took["decode"] += between - began
            took["front end"] += clock() - between
            record = TrackRecord(
                track_id=path.name, path=str(path), content=decoded.content, size=state.st_size,
                mtime_ns=state.st_mtime_ns, duration=decoded.duration, sr=decoded.native_sr,
                channels=decoded.channels, tags=tags,
            )  # fmt: skip
            records.append(record)
        began = clock()
        with StoreWriter(store, provenance={}) as writer:
            writer.write_shard(self.prepared.recipe, specs, records, values, srs)
        took["store"] += clock() - began
        return took


class Librosa:
    """The same with librosa and ``numpy.save``."""

    def run(self, paths: list[Path], store: Path, clock: Callable[[], float]) -> dict[str, float]:
        """Extract and store; return seconds by phase."""
        took = dict.fromkeys(PHASES, 0.0)
        store.mkdir()
        for path in paths:
            began = clock()
            y, _ = librosa.load(path, sr=SR)
            loaded = clock()
            S = librosa_log_mel(y)
            computed = clock()
            np.save(store / f"{path.stem}.npy", S)
            took["decode"] += loaded - began
            took["front end"] += computed - loaded
            took["store"] += clock() - computed
        return took


def bare(paths: list[Path], clock: Callable[[], float]) -> float:
    """Decode and drop everything; return seconds."""
    block, began = np.empty((1 << 16, 2), np.float32), clock()
    for path in paths:
        with soundfile.SoundFile(path) as file:
            while len(file.read(out=block)) == len(block):
                pass
    return clock() - began


def librosa_log_mel(y: np.ndarray) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=y, sr=SR, n_fft=1024, hop_length=512, n_mels=128, power=1.0, pad_mode="reflect"
    )
    return np.log10(1.0 + 10.0 * mel).T


def deviation(store: Path, saved: Path) -> float:
    """Return the largest difference between what both stored, over the frames that both have."""
    stored = featx.open_store(store)["melspectrogram"]["frames"]
    worst = 0.0
    for path in sorted(saved.glob("*.npy")):
        ours, theirs = stored[f"{path.stem}{_ending(stored.ids)}"], np.load(path)
        if abs(len(ours) - len(theirs)) > 1:  # librosa rounds the number of samples up
            raise ValueError(f"frames must agree, got {len(ours)} and {len(theirs)}.")
        n = min(len(ours), len(theirs)) - 1  # the last frame sees that sample
        worst = max(worst, float(np.abs(ours[:n] - theirs[:n]).max()))
    return worst


def _ending(ids: Any) -> str:
    return Path(str(ids[0])).suffix


# ---------------------------------------------------------------- measuring
def compare(paths: list[Path], folder: Path, rounds: int) -> dict[str, Any]:
    """Return the times of both on one format, and how far their results are apart."""
    ours, theirs = Featx(), Librosa()
    times: dict[str, list[dict[str, float]]] = {"featx": [], "librosa": []}
    walls: dict[str, list[float]] = {"featx": [], "librosa": []}
    worst, decoder = 0.0, []
    for turn in range(rounds + 1):
        for name, contender in (("featx", ours), ("librosa", theirs)):
            store = folder / f"{name}-{turn}"
            began = time.perf_counter()
            took = contender.run(paths, store, time.process_time)
            if turn:  # the first round only warms up
                times[name].append(took)
                walls[name].append(time.perf_counter() - began)
        if turn == 0:
            worst = deviation(folder / "featx-0", folder / "librosa-0")
        else:
            decoder.append(bare(paths, time.process_time))
        for name in times:
            shutil.rmtree(folder / f"{name}-{turn}")
    totals = {name: np.array([sum(took.values()) for took in runs]) for name, runs in times.items()}
    seconds = sum(soundfile.info(path).duration for path in paths)
    split = {phase: float(np.median([took[phase] for took in times["featx"]])) for phase in PHASES}
    whole = sum(split.values())
    return {
        "kbit_s": round(8e-3 * sum(path.stat().st_size for path in paths) / seconds),
        "ratio": round(float(np.median(totals["librosa"] / totals["featx"])), 2),
        "wall_ratio": round(
            float(np.median(np.array(walls["librosa"]) / np.array(walls["featx"]))), 2
        ),
        "featx_ms_per_minute": round(6e4 * float(totals["featx"].min()) / seconds, 2),
        "librosa_ms_per_minute": round(6e4 * float(totals["librosa"].min()) / seconds, 2),
        "split": {phase: round(took / whole, 4) for phase, took in split.items()},
        "bare": round(float(np.median(np.array(decoder) / totals["featx"])), 4),
        "librosa_split": {
            phase: round(
                float(np.median([took[phase] for took in times["librosa"]]))
                / float(np.median(totals["librosa"])),
                4,
            )
            for phase in PHASES
        },
        "largest_difference": worst,
    }


def processor_time() -> float:
    """Return the seconds that this process and its finished children have computed."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def workers(paths: list[Path], folder: Path, *, copies: int, rounds: int) -> dict[str, Any]:
    """Return the seconds of ``featx.run`` by worker processes and files, and the speed-up."""
    inputs = {}
    for size in (copies, 3 * copies):
        music = folder / f"music-{size}"
        for copy, path in itertools.product(range(size), paths):
            (music / f"{copy:03d}").mkdir(parents=True, exist_ok=True)
            os.link(path, music / f"{copy:03d}" / path.name)
        inputs[size * len(paths)] = music
    few, many = inputs
    took: dict[tuple[int, int], list[float]] = {(j, n): [] for j in (1, 2) for n in inputs}
    used: dict[tuple[int, int], list[float]] = {key: [] for key in took}
    for turn in range(rounds):
        for (jobs, n), runs in took.items():
            store = folder / f"store-{turn}-{jobs}-{n}"
            began, before = time.perf_counter(), processor_time()
            summary = featx.run(
                inputs[n], store, extractors="melspectrogram", jobs=jobs,
                features=["melspectrogram.frames"],
            )  # fmt: skip
            runs.append(time.perf_counter() - began)
            used[jobs, n].append(processor_time() - before)
            if summary.ok != n:
                raise RuntimeError(f"every file must succeed, got {summary.line}")
            shutil.rmtree(store)
    best = {key: min(runs) for key, runs in took.items()}
    least = {key: min(runs) for key, runs in used.items()}
    one, two = (best[jobs, many] - best[jobs, few] for jobs in (1, 2))
    one_used, two_used = (least[jobs, many] - least[jobs, few] for jobs in (1, 2))
    return {
        "files": [few, many],
        "seconds": {f"{jobs} workers, {n} files": round(t, 2) for (jobs, n), t in best.items()},
        "processor_seconds": {
            f"{jobs} workers, {n} files": round(t, 2) for (jobs, n), t in least.items()
        },
        "whole_run": round(best[1, many] / best[2, many], 2),
        "speed_up": round(one / two, 2),
        "by_processor_time": round(2 * one_used / two_used, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tracks", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=180.0, help="of every track")
    parser.add_argument("--data", type=Path, help="folder of recordings")
    parser.add_argument("--workers", action="store_true", help="also two workers against one")
    parser.add_argument("--copies", type=int, default=6, help="of every track, for --workers")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"featx {featx.__version__}, librosa {librosa.__version__}, load {load:.1f}")
    print(
        f"{'format':6} {'kbit/s':>6} {'times slower':>13} {'wall':>5} {'featx ms/min':>13} "
        f"{'librosa':>8}   decode  (bare)  front end  store  largest difference"
    )
    about: dict[str, Any] = {"load": load, "seconds": options.seconds, "formats": {}}
    with tempfile.TemporaryDirectory(prefix="featx-end-to-end-") as name:
        folder = Path(name)
        paths = write_tracks(
            folder, tracks=options.tracks, seconds=options.seconds, data=options.data
        )
        for ending, files in paths.items():
            row = about["formats"][ending] = compare(files, folder, options.rounds)
            shares = [row["split"][phase] for phase in PHASES]
            print(
                f"{ending:6} {row['kbit_s']:6} {row['ratio']:13.2f} {row['wall_ratio']:5.2f} "
                f"{row['featx_ms_per_minute']:13.1f} {row['librosa_ms_per_minute']:8.1f}   "
                f"{shares[0]:6.1%}  {row['bare']:6.1%} {shares[1]:10.1%} {shares[2]:6.1%}  "
                f"{row['largest_difference']:.1e}",
                flush=True,
            )
        if options.workers:
            everything = [path for files in paths.values() for path in files]
            row = about["workers"] = workers(everything, folder, copies=options.copies, rounds=2)
            for what, seconds in row["seconds"].items():
                used = row["processor_seconds"][what]
                print(f"{what}: {seconds:.2f} s, {used:.2f} s of processor time")
            print(
                f"two workers against one: {row['speed_up']:.2f} x on the additional files, "
                f"{row['whole_run']:.2f} x with start-up, "
                f"{row['by_processor_time']:.2f} x by processor time"
            )
    if options.json is not None:
        options.json.write_text(json.dumps(about, indent=1) + "\n")
    return int(any(row["largest_difference"] > TOLERANCE for row in about["formats"].values()))


if __name__ == "__main__":
    sys.exit(main())
