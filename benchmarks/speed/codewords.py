"""Time the search for the nearest codewords of frames: featx-vqmfcc, scikit-learn, faiss, numpy.

    python benchmarks/speed/codewords.py [--frames N] [--rounds N] [--json FILE]

Frames are MFCC of synthesised music, codewords those that ship. Every round lets each contender
label the same frames once, one after the other, in one process and on one thread; times are
processor time. Labels are compared with distances in float64: a contender that calculates in
float32 may take the wrong one of two that are nearly equally far.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import faiss
import numpy as np
from sklearn.metrics import pairwise_distances_argmin

import featx
from featx.frontend import compute
from featx.testing import synthesise
from featx_vqmfcc.codebook import BLOCK, Codebook
from featx_vqmfcc.config import FRONT_END, SR

WEIGHTS = Path(featx.__file__).parents[2] / "plugins/featx-vqmfcc/src/featx_vqmfcc/weights"


def music(count: int) -> np.ndarray:
    """Return so many frames."""
    blocks: list[np.ndarray] = []
    while sum(map(len, blocks)) < count:
        y = synthesise(seed=len(blocks), duration=60.0, sr=SR).y
        blocks.append(compute(y, FRONT_END, sr=SR))
    return np.ascontiguousarray(np.concatenate(blocks)[:count])


def contenders(codewords: np.ndarray) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return what is timed, by name."""
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(codewords.shape[1])
    index.add(codewords)
    codebook = Codebook(codewords)
    halves = ((codewords.astype(np.float64) ** 2).sum(axis=1) / 2).astype(np.float32)

    def with_numpy(frames: np.ndarray) -> np.ndarray:
        starts = range(0, len(frames), BLOCK)
        blocks = [(halves - frames[i : i + BLOCK] @ codewords.T).argmin(axis=1) for i in starts]
        return np.concatenate(blocks)

    return {
        "featx": codebook.nearest,
        "faiss": lambda frames: index.search(frames, 1)[1][:, 0],
        "scikit-learn": lambda frames: pairwise_distances_argmin(frames, codewords),
        "numpy": with_numpy,
    }


def exact(frames: np.ndarray, codewords: np.ndarray) -> np.ndarray:
    """Return labels by differences in float64, the lowest of equals."""
    wide = codewords.astype(np.float64)
    return np.array([((x - wide) ** 2).sum(axis=1).argmin() for x in frames.astype(np.float64)])


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    codewords = featx.load_weights(WEIGHTS / "vqmfcc.safetensors")[0]["codewords"]
    frames, jobs = music(options.frames), contenders(codewords)
    truth = exact(frames, codewords)
    wrong = {name: int((job(frames) != truth).sum()) for name, job in jobs.items()}
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(options.rounds):
        for name, job in jobs.items():
            began = time.process_time()
            job(frames)
            times[name].append((time.process_time() - began) / len(frames) * 1e6)
    products = 2 * codewords.size / 1e3  # per frame, in thousands
    results: list[dict[str, Any]] = []
    print("| | µs per frame | GFLOP/s | times slower | other labels than float64 |")
    print("|---|---|---|---|---|")
    for name, values in times.items():
        ratio = float(np.median([a / b for a, b in zip(values, times["featx"], strict=True)]))
        best = min(values)
        results.append({"name": name, "us": best, "slower": ratio, "wrong": wrong[name]})
        print(
            f"| {name} | {best:.2f} | {products / best:.0f} | {ratio:.2f} × | {wrong[name]} of "
            f"{len(frames)} |"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
