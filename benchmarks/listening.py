"""Hear a rendered collection through numbers: tempo by another estimator, levels, silence.

Usage: python benchmarks/listening.py MANIFEST [EVERY]

Takes every EVERY-th rendered track (8 by default). librosa estimates the tempo; the octave-free
share allows for factors 2 and 3.
"""

from __future__ import annotations

import sys
from pathlib import Path

import librosa
import numpy as np
import soundfile

from featx.manifest import read_manifest

#: A tempo is right within this share.
CLOSE = 0.08
FACTORS = (1.0, 2.0, 0.5, 3.0, 1 / 3)


def decibels(y: np.ndarray) -> float:
    """Return the RMS in dBFS."""
    return float(10 * np.log10(np.mean(np.square(y, dtype=np.float64)) + 1e-20))


def main(manifest: Path, every: int) -> None:
    """Print a line for tracks with and without drums, and the levels of all."""
    hits: dict[str, list[tuple[bool, bool]]] = {"drums": [], "no-drums": []}
    levels, peaks, quietest = [], [], []
    rows = [row for row in read_manifest(manifest, columns=["source"])
            if row.tags["source"] == "rendered"]  # fmt: skip
    for row in rows[::every]:
        y, sr = soundfile.read(row.path, dtype="float32", always_2d=True)
        y = y.mean(axis=1)
        levels.append(decibels(y))
        peaks.append(float(np.abs(y).max()))
        seconds = y[: len(y) // sr * sr].reshape(-1, sr)[1:-1]
        quietest.append(min(decibels(second) for second in seconds))
        found, _ = librosa.beat.beat_track(y=y, sr=sr)
        ratio = float(np.atleast_1d(found)[0]) / float(row.tags["tempo"])
        near = [abs(ratio / factor - 1) < CLOSE for factor in FACTORS]
        kind = "no-drums" if "no-drums" in row.tags["tags"].split(";") else "drums"
        hits[kind].append((near[0], any(near)))
    for kind, pairs in hits.items():
        exact, octave_free = (np.mean([pair[i] for pair in pairs]) for i in (0, 1))
        print(f"{kind}: {len(pairs)} tracks, tempo within 8 %: {exact:.2f}, up to factors 2 and 3: "
              f"{octave_free:.2f}")  # fmt: skip
    low, middle, high = np.percentile(levels, [0, 50, 100])
    print(f"RMS {low:.1f} .. {middle:.1f} .. {high:.1f} dBFS, highest peak {max(peaks):.2f}, "
          f"quietest second {min(quietest):.1f} dBFS")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8)
