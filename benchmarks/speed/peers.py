"""Time the same features in featx and in its peers, after showing that they are the same.

    python benchmarks/speed/peers.py [--rounds N] [--clips N] [--only WORD] [--json FILE]
                                     [--markdown]

Peers are optional: pip install librosa scipy torch nnAudio essentia audioflux kaldi-native-fbank.
Those that are missing are listed. Every peer is set up to compute what featx computes, and where
it has conventions of its own, featx follows them; the column *correlation* compares both results on
a synthesised piece of music, and below 0.999 no ratio is told. Everything runs in one process on
one thread: in every round each contender does all clips, featx with the same settings right before
it. *Times slower* is the median over the rounds of their ratio of processor time, so that other
programs disturb it little; *ms* is the fastest round, for one clip of 30 s.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from contenders import ALIGNED, Contender, alignment, contenders, featx_work

import featx
from featx.frontend import EmptyBandWarning
from featx.kernels.vector import lanes
from featx.testing import synthesise

SECONDS = 30.0


def clip(sr: int, seed: int) -> np.ndarray:
    return synthesise(seed=seed, duration=SECONDS, sr=sr).y


def spent(work: Callable[[np.ndarray], object], clips: list[np.ndarray]) -> tuple[float, float]:
    """Return processor and wall time for one clip, in milliseconds."""
    wall, processor = time.perf_counter(), time.process_time()
    for y in clips:
        work(y)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return 1e3 * processor / len(clips), 1e3 * wall / len(clips)


def measure(
    group: list[Contender], clips: dict[int, list[np.ndarray]], rounds: int
) -> list[dict[str, object]]:
    """Return a row for every contender of one feature, featx's own first."""
    told = [alignment(item, clips[item.sr][0]) for item in group]
    ours = [featx_work(item.ours) for item in group]
    times = np.empty((rounds, len(group), 2, 2))  # featx and peer; processor and wall
    for turn in range(rounds):
        for i, item in enumerate(group):
            times[turn, i, 0] = spent(ours[i], clips[item.sr])
            times[turn, i, 1] = spent(item.run, clips[item.sr])
    fastest, typical = times.min(axis=0), np.median(times, axis=0)
    ratios = np.median(times[:, :, 1, 0] / times[:, :, 0, 0], axis=0)
    plain = int(np.argmin([bool(item.notes) for item in group]))
    rows = [_row(group[0].feature, "featx", fastest[plain, 0], typical[plain, 0])]
    for i, item in enumerate(group):
        row = _row(item.feature, item.peer, fastest[i, 1], typical[i, 1])
        row |= {
            "featx_ms": round(float(fastest[i, 0, 0]), 3),
            "correlation": told[i],
            "ratio": round(float(ratios[i]), 2) if told[i] >= ALIGNED else None,
            "front_end": item.ours if isinstance(item.ours, str) else item.ours.to_json(),
            "notes": item.notes,
        }
        rows.append(row)
    return rows


def _row(feature: str, who: str, fastest: np.ndarray, typical: np.ndarray) -> dict[str, object]:
    return {
        "feature": feature,
        "who": who,
        "ms": round(float(fastest[0]), 3),
        "wall_ms": round(float(fastest[1]), 3),
        "median_wall_ms": round(float(typical[1]), 3),
    }


def show(row: dict[str, object]) -> None:
    if row["who"] == "featx":
        print(f"{row['feature']:12} {'featx':19} {row['ms']:9.2f}", flush=True)
        return
    ratio = "not aligned" if row["ratio"] is None else f"{row['ratio']:.1f}"
    print(
        f"{row['feature']:12} {row['who']:19} {row['ms']:9.2f} {row['featx_ms']:9.2f} "
        f"{ratio:>13} {row['correlation']:12.7f}  {row['notes']}",
        flush=True,
    )


def markdown(rows: list[dict[str, object]]) -> str:
    """Return the table of docs/performance.md: featx in ms, peers in times slower."""
    features = list(dict.fromkeys(row["feature"] for row in rows))
    lines = [
        f"| | {' | '.join(features)} | least correlation |",
        "|---" * (len(features) + 2) + "|",
    ]
    for who in dict.fromkeys(row["who"] for row in rows):
        own = {row["feature"]: row for row in rows if row["who"] == who}
        cells = [_cell(own.get(feature)) for feature in features]
        told = [row["correlation"] for row in own.values() if "correlation" in row]
        # rounded down: 0.99999 must not look like 1
        least = f"{np.floor(1e6 * min(told)) / 1e6:.6f}" if told else ""
        lines.append(f"| {who} | {' | '.join(cells)} | {least} |")
    return "\n".join(lines)


def _cell(row: dict[str, object] | None) -> str:
    if row is None:
        return "–"
    if row["who"] == "featx":
        return f"{row['ms']:.2f} ms"
    return "not aligned" if row["ratio"] is None else f"{row['ratio']:.1f} ×"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--only", default="", help="features or peers whose name contains this")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    parser.add_argument("--markdown", action="store_true", help="a table for the docs at the end")
    options = parser.parse_args()
    warnings.simplefilter("ignore", EmptyBandWarning)
    found, versions = contenders()
    if versions["torch"]:
        import torch

        torch.set_num_threads(1)
    wanted = [item for item in found if options.only in f"{item.feature} {item.peer}"]
    rates = {item.sr for item in wanted}
    clips = {sr: [clip(sr, seed) for seed in range(options.clips)] for sr in rates}
    missing = [peer for peer, version in versions.items() if not version]
    load = os.getloadavg()[0]
    print(f"featx {featx.__version__}, {lanes()} lanes, {SECONDS:g} s clips, load {load:.1f}")
    print("peers: " + ", ".join(f"{peer} {v}" for peer, v in versions.items() if v))
    print(f"absent: {', '.join(missing) or 'none'}")
    print(
        f"{'feature':12} {'who':19} {'ms':>9} {'featx ms':>9} {'times slower':>13} "
        f"{'correlation':>12}  settings"
    )
    rows: list[dict[str, object]] = []
    for feature in dict.fromkeys(item.feature for item in wanted):
        group = [item for item in wanted if item.feature == feature]
        for row in measure(group, clips, options.rounds):
            show(row)
            rows.append(row)
    if options.markdown:
        print(markdown(rows))
    if options.json is not None:
        about = {
            "featx": featx.__version__,
            "lanes": lanes(),
            "machine": f"{platform.system()} {platform.machine()}",
            "load": load,
            "seconds": SECONDS,
            "rounds": options.rounds,
            "versions": versions,
            "absent": missing,
            "rows": rows,
        }
        options.json.write_text(json.dumps(about, indent=1) + "\n")
    return int(any(row.get("correlation", 1.0) < ALIGNED for row in rows))


if __name__ == "__main__":
    sys.exit(main())
