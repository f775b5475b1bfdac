"""Run a cheap extractor over a hundred thousand tiny tracks, and measure what that costs.

    python benchmarks/scale.py [--tracks 1000 100000] [--plugin mfcc] [--folder DIR] [--json FILE]

For each number of tracks: throughput of a fresh run, of the same command again and of the plan,
size of the store and of its ledgers, seconds to open it, a random read of one track, and the peak
memory of the supervising process. Commands are also given in seconds of CPU, which depend less on
other load.

With ``--written`` the files of a folder are hard links to one, and the store is written without
extracting anything. Only the command that finds nothing to do and the plan are measured.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile

from featx import open_store, plan
from featx.store import LedgerView, StoreWriter, TrackRecord

READS = 200


def write_collection(folder: Path, count: int) -> Path:
    """Write ``count`` clips of 0.1 s, a thousand to a folder."""
    rng = np.random.default_rng(3)
    noise = (3000 * rng.standard_normal(1 << 20)).astype(np.int16)
    for number in range(count):
        path = folder / f"{number // 1000:04d}" / f"{number:07d}.wav"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            start = (number * 7919) % (len(noise) - 800)
            soundfile.write(path, noise[start : start + 800], 8000)
    return folder


def watch(command: list[str], *, accepted: tuple[int, ...] = (0,)) -> tuple[float, int, str]:
    """Run ``command``; return seconds, the peak memory of that process alone, and its last line."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, high_water(process.pid))
        time.sleep(0.02)
    seconds = time.monotonic() - began
    assert process.stdout is not None
    line = process.stdout.read().decode().strip().rpartition("\n")[2]
    if process.returncode not in accepted:
        raise SystemExit(f"{command} ended with exit code {process.returncode}: {line}")
    return seconds, peak, line


def cpu_of_children() -> float:
    """Return the seconds of CPU of all processes that ended, their own children included."""
    times = os.times()
    return times.children_user + times.children_system


def high_water(pid: int) -> int:
    """Return the peak RSS of a process in bytes, or its RSS where the system keeps no peak."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0
    except OSError:
        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            return 0


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(base: Path, count: int, plugin: str) -> dict[str, Any]:
    """Return the figures for ``count`` tracks."""
    music = write_collection(base / f"music-{count}", count)
    store = base / f"store-{count}"
    options = ["-p", plugin, "-o", str(store), str(music)]
    featx = [sys.executable, "-m", "featx.cli"]
    times = [cpu_of_children()]
    seconds, peak, line = watch([*featx, "run", *options])
    times.append(cpu_of_children())
    again, peak_again, line_again = watch([*featx, "run", *options])
    times.append(cpu_of_children())
    planned, peak_plan, _ = watch([*featx, "plan", *options])
    times.append(cpu_of_children())
    cpu, cpu_again, cpu_plan = (after - before for before, after in itertools.pairwise(times))
    assert line == line_again == f"{count} in = {count} ok + 0 failed + 0 skipped", line
    os.environ["FEATX_CACHE"] = str(base / f"cold-{count}")
    began = time.monotonic()
    open_store(store).close()
    cold = time.monotonic() - began
    began = time.monotonic()
    opened = open_store(store)
    view = opened[plugin]["summary"]
    warm = time.monotonic() - began
    names = list(opened.tracks)
    rng = random.Random(1)
    began = time.monotonic()
    for name in rng.choices(names, k=READS):
        _ = view[name]
    read = (time.monotonic() - began) / READS
    began = time.monotonic()
    matrix = view.values
    whole = time.monotonic() - began
    opened.close()
    os.environ["FEATX_CACHE"] = str(base / "cache")
    return {
        "tracks": count,
        "run_s": round(seconds, 1),
        "run_cpu_s": round(cpu, 1),
        "tracks_per_s": round(count / seconds),
        "again_s": round(again, 2),
        "again_cpu_s": round(cpu_again, 2),
        "plan_s": round(planned, 2),
        "plan_cpu_s": round(cpu_plan, 2),
        "store_MB": round(size_of(store) / 1e6, 1),
        "ledger_MB": round(size_of(store / "ledger") / 1e6, 1),
        "shards": len(list(store.glob("shards/*/*.h5"))),
        "open_cold_s": round(cold, 2),
        "open_warm_s": round(warm, 3),
        "random_read_ms": round(1000 * read, 2),
        "matrix_s": round(whole, 2),
        "matrix": list(matrix.shape),
        "peak_MB": round(peak / 1e6, 1),
        "peak_again_MB": round(peak_again / 1e6, 1),
        "peak_plan_MB": round(peak_plan / 1e6, 1),
    }


def write_store(music: Path, store: Path, plugin: str) -> None:
    """Write a store that holds zeros for every file."""
    planned = plan(music, store, extractors=plugin)
    (extractor,) = planned.extractors
    specs = extractor.output_specs
    values = {spec.name: np.zeros(spec.dim, spec.dtype) for spec in specs}
    with StoreWriter(store, provenance={}) as writer:
        tracks = iter(planned.inputs)
        while batch := list(itertools.islice(tracks, 256)):
            records = []
            for track in batch:
                state = Path(track.path).stat()
                content = hashlib.md5(track.track_id.encode(), usedforsecurity=False).hexdigest()
                records.append(
                    TrackRecord(
                        track_id=track.track_id,
                        path=track.path,
                        content=content,
                        size=state.st_size,
                        mtime_ns=state.st_mtime_ns,
                        duration=0.1,
                        sr=8000,
                        channels=1,
                    )
                )
            count = len(records)
            writer.write_shard(extractor.recipe, specs, records, [values] * count, [22050] * count)


def measure_written(base: Path, count: int, plugin: str) -> dict[str, Any]:
    """Return what run and plan take over ``count`` tracks without work."""
    music, store = base / f"links-{count}", base / f"written-{count}"
    for number in range(count):
        path = music / f"{number // 1000:04d}" / f"{number:07d}.wav"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
            soundfile.write(path, np.zeros(800), 8000)
            first = path  # file systems limit the links to one file
        else:
            path.hardlink_to(first)
    write_store(music, store, plugin)
    options = ["-p", plugin, "-o", str(store), str(music)]
    LedgerView(store).close()  # the catalogue is made once
    figures: dict[str, Any] = {"tracks": count}
    for command in ("run", "plan"):
        before = cpu_of_children()
        seconds, peak, _ = watch([sys.executable, "-m", "featx.cli", command, *options])
        cpu = cpu_of_children() - before
        figures |= {f"{command}_s": round(seconds, 2), f"{command}_cpu_s": round(cpu, 2)}
        figures[f"{command}_peak_MB"] = round(peak / 1e6, 1)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--plugin", default="mfcc")
    parser.add_argument("--folder", type=Path, help="keep collections and stores here")
    parser.add_argument("--written", action="store_true", help="measure runs without work only")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featx-scale-") as temporary:
        base = options.folder or Path(temporary)
        os.environ["FEATX_CACHE"] = str(base / "cache")
        rows = []
        for count in options.tracks:
            way = measure_written if options.written else measure
            rows.append(way(base, count, options.plugin))
            print(json.dumps(rows[-1], indent=1), flush=True)
    peak = "run_peak_MB" if options.written else "peak_MB"
    ratio = rows[-1][peak] / rows[0][peak]
    print(f"peak memory of the supervising process: {ratio:.2f} x from first to last")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "ratio": ratio}, indent=1))


if __name__ == "__main__":
    main()
