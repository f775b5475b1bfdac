"""One, ten and sixty minutes of sound: memory, time, and the same output however it is computed.

    python benchmarks/speed/hour.py [--minutes 1 10 60] [--json FILE]

Every line is a process of its own. *added* is the peak of its resident memory during the work
minus what it held before, the arrays that it was handed included in the latter.

one shot    ``compute(y, "fe-artist", sr=22050, out=out)``, both arrays in memory already
from disk   a WAV file is read, computed and appended to an HDF5 file block by block
decode      stereo FLAC at 44.1 kHz to the waveform at 22050 Hz, which *added* leaves out

The first two must give the same bits.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import soundfile

from featx import FrontEnd
from featx.audio import decode
from featx.frontend import PRESETS, compute, n_frames

SR, NATIVE = 22050, 44100
LOG_MEL = PRESETS["fe-artist"]
#: frames of a block: a multiple of the frames that kernels compute together, for any lanes
ROWS = 512
MODES = ("one shot", "from disk", "decode")


def sound(first: int, n: int) -> np.ndarray:
    """Return samples ``first`` to ``first + n`` of an endless noise that rises and falls."""
    noise = np.random.default_rng(first).uniform(-1, 1, n).astype(np.float32)
    return noise * (0.5 + 0.5 * np.sin(np.arange(first, first + n) * (2e-5))).astype(np.float32)


def pieces(n: int, size: int = 1 << 20) -> Iterator[np.ndarray]:
    """Yield a sound of ``n`` samples."""
    for first in range(0, n, size):
        yield sound(first, min(size, n - first))


def blocks(
    read: Callable[[int, int], np.ndarray], n: int, fe: FrontEnd, *, rows: int = ROWS
) -> Iterator[np.ndarray]:
    """Yield a centred, reflecting front end block by block; ``read(start, stop)`` gives samples.

    The array is used again for the next block. ``n`` must be more than half a window. Frames are
    transformed in pairs: an odd last one gets the partner that it has in one shot, which would
    otherwise be zeros and change its rounding.
    """
    inner = fe.but(name=f"{fe.name}, complete frames", center=False)
    n_fft, hop, total = fe.framing.n_fft, int(fe.hop), n_frames(n, fe)
    left = n_fft // 2
    out = np.empty((min(rows, total + 1), fe.n_bands()), np.float32)
    for first in range(0, total, rows):
        count = min(rows, total - first)
        whole = count + count % 2
        start = first * hop - left
        stop = start + (whole - 1) * hop + n_fft
        parts = [read(max(start, 0), min(stop, n))]
        if start < 0:
            parts.insert(0, read(1, 1 - start)[::-1])
        if stop > n:
            parts.append(read(max(2 * n - 1 - stop, 0), n - 1)[::-1])
            parts.append(np.zeros(max(stop - 2 * n + 1, 0), np.float32))
        yield compute(np.concatenate(parts), inner, sr=SR, out=out[:whole])[:count]


# ---------------------------------------------------------------- one process, one figure
class Watch:
    """Processor time and added memory of what happens inside."""

    def __enter__(self) -> Watch:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        self._before = _status("VmRSS")
        self._began = time.process_time()
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds = time.process_time() - self._began
        self.added = _status("VmHWM") - self._before


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status must have {key}; memory can be measured on Linux only.")


def one_shot(_: Path, n: int) -> dict[str, Any]:
    y = np.empty(n, np.float32)
    done = 0
    for piece in pieces(n):
        y[done : done + len(piece)] = piece
        done += len(piece)
    out = np.zeros((n_frames(n, LOG_MEL), LOG_MEL.n_bands()), np.float32)
    out += 1.0  # its pages are in memory from now on
    with Watch() as watch:
        compute(y, LOG_MEL, sr=SR, out=out)
    digest = hashlib.sha256(out.data).hexdigest()
    return {"seconds": watch.seconds, "added": watch.added, "sha256": digest}


def from_disk(folder: Path, n: int) -> dict[str, Any]:
    path, target = folder / "mono.wav", folder / "features.h5"
    with soundfile.SoundFile(path, "w", SR, 1, subtype="FLOAT") as file:
        for piece in pieces(n):
            file.write(piece)
    with Watch() as watch, soundfile.SoundFile(path) as file, h5py.File(target, "w") as store:

        def read(start: int, stop: int) -> np.ndarray:
            file.seek(start)
            return file.read(stop - start, dtype="float32")

        shape = (n_frames(n, LOG_MEL), LOG_MEL.n_bands())
        values = store.create_dataset("values", shape, "f4", chunks=(256, shape[1]))
        done = 0
        for block in blocks(read, n, LOG_MEL):
            values[done : done + len(block)] = block
            done += len(block)
    digest = hashlib.sha256()
    with h5py.File(target) as store:
        values = store["values"]
        for first in range(0, len(values), ROWS):
            digest.update(values[first : first + ROWS].data)
    return {"seconds": watch.seconds, "added": watch.added, "sha256": digest.hexdigest()}


def decoding(folder: Path, n: int) -> dict[str, Any]:
    path = folder / "stereo.flac"
    with soundfile.SoundFile(path, "w", NATIVE, 2, subtype="PCM_16") as file:
        for piece in pieces(n * NATIVE // SR):
            file.write(np.stack([0.5 * piece, 0.25 * piece], axis=1))
    with Watch() as watch:
        y = decode(path, rates=[SR]).waveforms[SR]
    digest = hashlib.sha256(y.data).hexdigest()
    return {"seconds": watch.seconds, "added": watch.added - y.nbytes, "sha256": digest}


_WORK = dict(zip(MODES, (one_shot, from_disk, decoding), strict=True))


def child(mode: str, minutes: float) -> None:
    with tempfile.TemporaryDirectory(prefix="featx-hour-") as name:
        folder = Path(name)
        (folder / "warm").mkdir()
        _WORK[mode](folder / "warm", 10 * SR)  # kernels and imports are not what is measured
        print(json.dumps(_WORK[mode](folder, int(minutes * 60 * SR))))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0, 60.0])
    parser.add_argument("--repeat", type=int, default=3, help="processes per line; the best counts")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--child", choices=MODES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.minutes[0])
        return 0
    rows = []
    print(f"{'':10} {'minutes':>7} {'seconds':>8} {'ms per minute':>14} {'added MiB':>10}")
    for mode in MODES:
        for minutes in options.minutes:
            runs = [_ask(mode, minutes) for _ in range(options.repeat)]
            best = min(run["seconds"] for run in runs)
            added = max(run["added"] for run in runs) / 2**20
            row = {
                "mode": mode, "minutes": minutes, "seconds": round(best, 4),
                "ms_per_minute": round(1e3 * best / minutes, 3), "added_mib": round(added, 2),
                "sha256": runs[0]["sha256"],
            }  # fmt: skip
            rows.append(row)
            print(
                f"{mode:10} {minutes:7g} {best:8.3f} {row['ms_per_minute']:14.2f} {added:10.2f}",
                flush=True,
            )
    digests: dict[float, set[str]] = {minutes: set() for minutes in options.minutes}
    for row in rows:
        if row["mode"] != "decode":
            digests[row["minutes"]].add(row["sha256"])
    same = all(len(found) == 1 for found in digests.values())
    print(f"one shot and from disk give the same bits: {'yes' if same else 'NO'}")
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": rows, "same": same}, indent=1) + "\n")
    return int(not same)


def _ask(mode: str, minutes: float) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", mode, "--minutes", str(minutes)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(answer.stdout)


if __name__ == "__main__":
    sys.exit(main())
