"""Build time, latency, recall, memory and time to open of the indexes, on vectors that cluster.

    python benchmarks/speed/indexes.py [--tracks 100000] [--dim 256] [--queries 200]
        [--index NAME[:KEY=VALUE[,KEY=VALUE]]] ... [--json FILE]

Every index is built, saved, loaded and searched in a process of its own, on one thread, through the
Index hook as `featx search` does. Vectors are clusters of clusters, as embeddings of albums and
artists are. Times are processor time, so that other work on the machine hardly shows. Recall at 10
and latency are those of queries that are no rows. *Weighted* is a search with aspect weights 2 and
1 of two halves of the vectors, through an index of aspect rows. Memory is what loading and
searching add to a process that holds the queries only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
import psutil

from featx.index import AspectIndex, AspectQuery, aspect_rows, choose_index
from featx.registry import import_object

INDEXES = ("exact", "faiss-flat", "faiss-ivf", "faiss-hnsw", "faiss-pq", "usearch")
K = 10
_ROUNDING = 1e-5


def vectors(n: int, dim: int, seed: int) -> np.ndarray:
    """Return ``n`` vectors around 300 artists with albums of about ten tracks."""
    shape = np.random.default_rng(7)
    artists = shape.normal(size=(300, dim))
    albums = artists[shape.integers(300, size=max(1, n // 10))]
    albums += 0.7 * shape.normal(size=albums.shape)
    rng = np.random.default_rng(seed)
    rows = albums[rng.integers(len(albums), size=n)] + 0.5 * rng.normal(size=(n, dim))
    return rows.astype(np.float32)


def parse(text: str) -> tuple[str, dict[str, str]]:
    """Split ``faiss-ivf:probes=32`` into name and parameters."""
    name, _, settings = text.partition(":")
    return name, dict(item.split("=", 1) for item in settings.split(",") if item)


def aspects(dim: int) -> dict[str, tuple[int, int]]:
    """Return two halves."""
    return {"first": (0, dim // 2), "second": (dim // 2, dim)}


def weighted(queries: np.ndarray) -> list[AspectQuery]:
    """Return queries of both halves, the first one twice as heavy."""
    weights = {"first": 2.0, "second": 1.0}
    return [AspectQuery(parts=dict.fromkeys(weights, q), weights=weights) for q in queries]


def build(name: str, n: int, dim: int, folder: Path, *, by_aspect: bool) -> dict[str, Any]:
    """Build and save; return seconds and bytes."""
    choice = choose_index(*parse(name))
    rows = vectors(n, dim, 0)
    if by_aspect:
        rows = aspect_rows(rows, aspects(dim))
    began = time.process_time()
    index = choice.build(rows, [f"{i:07d}" for i in range(n)])
    seconds = time.process_time() - began
    index.save(folder, "digest")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"build": seconds, "file": size}


def search(
    name: str, n: int, dim: int, folder: Path, count: int, *, by_aspect: bool
) -> dict[str, Any]:
    """Load and search one query after the other; return seconds, memory and distances."""
    choice, queries = choose_index(*parse(name)), vectors(count, dim, 1)
    ids = {f"{i:07d}": i for i in range(n)}  # as a gallery holds them
    import_object(choice.spec.factory)  # the library, which a command imports once
    process = psutil.Process()
    before = process.memory_info().rss
    began = time.process_time()
    index: Any = choice.load(folder, "digest", ids)
    opened = time.process_time() - began
    jobs: list[Any] = [queries[i : i + 1] for i in range(count)]
    if by_aspect:
        index = AspectIndex(aspects(dim), index, dim=dim)
        jobs = [[query] for query in weighted(queries)]
    index.search(jobs[0], K)
    times, distances = [], []
    for job in jobs:
        began = time.process_time()
        _, far = index.search(job, K)
        times.append(time.process_time() - began)
        distances.append(far[0].tolist())
    return {
        "open": opened,
        "latency": float(np.median(times)),
        "memory": process.memory_info().rss - before,
        "distances": distances,
    }


def child(arguments: list[str]) -> dict[str, Any]:
    """Run a step in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--step", *arguments], stdout=subprocess.PIPE, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def step(act: str, name: str, n: int, dim: int, folder: Path, count: int, kind: str) -> None:
    """Print what one process measured."""
    by_aspect = kind == "weighted"
    if act == "build":
        result = build(name, n, dim, folder, by_aspect=by_aspect)
    else:
        result = search(name, n, dim, folder, count, by_aspect=by_aspect)
    print(json.dumps(result))


def main() -> None:
    """Print a table."""
    if sys.argv[1:2] == ["--step"]:
        act, name, n, dim, folder, count, kind = sys.argv[2:]
        step(act, name, int(n), int(dim), Path(folder), int(count), kind)
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--index", action="append", help="one of several; by default all")
    parser.add_argument("--weighted", action="store_true", help="by aspects, too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = options.index or list(INDEXES)
    if "exact" not in names:
        names = ["exact", *names]
    results = []
    for kind in ("plain", "weighted") if options.weighted else ("plain",):
        print(f"\n{kind}, {options.tracks} x {options.dim}\n", flush=True)
        print("| index | build | open | latency | queries/s | recall@10 | memory | files |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        limits: Any = None
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                sizes = str(options.tracks), str(options.dim)
                words = [name, *sizes, str(Path(folder, "index")), str(options.queries)]
                built = child(["build", *words, kind])
                found = child(["search", *words, kind])
            far = np.array(found.pop("distances"))
            limits = far[:, -1:] if limits is None else limits
            recall = float((far <= limits + _ROUNDING).mean())
            results.append({"index": name, "kind": kind, "recall": recall, **built, **found})
            print(
                f"| `{name}` | {built['build']:.1f} s | {1e3 * found['open']:.0f} ms | "
                f"{1e3 * found['latency']:.2f} ms | {1 / found['latency']:.0f} | {recall:.3f} | "
                f"{found['memory'] / 2**20:.0f} MiB | {built['file'] / 2**20:.0f} MiB |",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
