"""Kill the commands that write other things than results, at every change of a file and at random.

    python benchmarks/reliability/command_kills.py 20 --seed 1 [--only merge] [--json FILE]

`featx merge`, `export`, `verify --repair`, `prune`, `index build` and `weights import` are killed
with SIGKILL just before each of their changes of files (opening one for writing, renaming, removing
and making folders), and as many times as asked at a random moment. After each kill, no committed
value may be lost and nothing incomplete may lie under a final name; then the same command must end
well and give what an undisturbed one gives. Exit code 1 if any trial breaks a rule.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx import FeatureSpec, open_store, search
from featx.store import Recipe, StoreWriter, TrackRecord, verify

SHARDS, TRACKS, DIM = 4, 30, 32
PLUGIN = """
import json
from featx import API_VERSION, ExtractorSpec, FeatureSpec, Resolved, WeightsSpec, hookimpl

def resolve(params, native_sr):
    return Resolved(sr=8000, outputs=(FeatureSpec(name="vector", kind="clip", dim=1),))

def convert(path):
    import numpy as np
    return {"w": np.array(json.loads(path.read_text()), np.float32)}, {}

@hookimpl
def featx_extractors():
    weights = WeightsSpec(name="toy", converter="featx_toy:convert", source="w.json")
    about = dict(name="toy", summary="For tests.", version="1", api=API_VERSION, weights=weights)
    return [ExtractorSpec(factory="featx_toy:None", resolve="featx_toy:resolve", **about)]
"""


# ------------------------------------------------------------------------- inside the command
def killed_main(base: str, number: int, words: list[str]) -> None:
    """Run ``featx`` and kill this process before change ``number`` of a file below ``base``.

    With number 0 nothing is killed, and the changes are counted into the file ``base``/changes.
    """
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if changes_a_file(event, arguments, base):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    from featx.cli import main

    try:
        main(words)
    finally:
        if not number:
            Path(base, "changes").write_text(str(count))


def changes_a_file(event: str, arguments: tuple[Any, ...], base: str) -> bool:
    """Return whether an audit event is a change of a file below ``base``."""
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    else:
        path = arguments[0] if arguments else None
        writes = event in {
            "os.rename",
            "os.remove",
            "os.mkdir",
            "os.rmdir",
            "os.link",
            "os.truncate",
        }
    if not writes or not isinstance(path, (str, bytes, os.PathLike)):
        return False
    name = os.fsdecode(path)
    return name.startswith(base) and "__pycache__" not in name


# ----------------------------------------------------------------------------------- the cases
def make_store(folder: Path) -> Path:
    """Write a store of a few shards of seeded noise."""
    rng = np.random.default_rng(3)
    spec = FeatureSpec(name="vector", kind="clip", dim=DIM)
    with StoreWriter(folder, provenance={}) as writer:
        for shard in range(SHARDS):
            names = [f"{shard}/{number:03}" for number in range(TRACKS)]
            records = [
                TrackRecord(track_id=n, path=f"/none/{n}", content=n, size=1, mtime_ns=1)
                for n in names
            ]
            values = [{"vector": rng.standard_normal(DIM).astype(np.float32)} for _ in names]
            recipe = Recipe(extractor="featx-toy:toy", version="1")
            writer.write_shard(recipe, [spec], records, values, [8000] * TRACKS)
    return folder


def damage(store: Path) -> None:
    """Change a byte in two of the shards."""
    for path in sorted((store / "shards").rglob("*.h5"))[:2]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def values_of(store: Path) -> dict[str, str]:
    """Return a hash of every value that a store or a merged file holds, by track."""
    with open_store(store) as opened:
        view = opened["toy"]["vector"]
        return {name: hashlib.sha256(view[name].tobytes()).hexdigest() for name in view.ids}


@dataclass(frozen=True)
class Case:
    """A command, and what must hold after a kill and after it was repeated.

    All functions get the folder of the trial, with the store in ``store``.
    """

    words: Callable[[Path], Sequence[str | Path]]
    after_kill: Callable[[Path], bool]
    after_end: Callable[[Path], bool]
    prepare: Callable[[Path], object] = lambda _: None
    codes: tuple[int, ...] = (0,)  # of the repeated command


@functools.cache
def whole() -> dict[str, str]:
    """Return the values of an undisturbed store."""
    with tempfile.TemporaryDirectory() as folder:
        return values_of(make_store(Path(folder) / "store"))


def intact(base: Path) -> bool:
    """Return whether the store has all its values."""
    return verify(base / "store").intact and values_of(base / "store") == whole()


def merged_is(base: Path, *, missing: bool) -> bool:
    """Return whether the merged file is complete, or not there if it may be missing."""
    path = base / "merged.h5"
    if not path.exists():
        return missing
    return verify(path).intact and values_of(path) == whole()


def table_is(base: Path, *, old: bool) -> bool:
    """Return whether the exported table is complete, or the old one if it may be."""
    text = (base / "out.csv").read_text()
    return (old and text == "old\n") or len(text.splitlines()) == SHARDS * TRACKS + 1


def repaired(base: Path, *, done: bool) -> bool:
    """Return whether the intact values are there, and the damaged shards lie somewhere."""
    store = base / "store"
    files = [*store.glob("damaged/*.h5"), *store.glob("shards/*/*.h5")]
    report = verify(store)
    right = len(files) == SHARDS and len(report.damage) <= 2
    if done:
        right = right and report.intact and values_of(store).items() <= whole().items()
        right = right and len(values_of(store)) == (SHARDS - 2) * TRACKS
    return right and report.failed == 0


def pruned(base: Path, *, done: bool) -> bool:
    """Return whether the values of all other tracks are there, and the others gone when done."""
    values = values_of(base / "store")
    rest = {name: value for name, value in whole().items() if not name.startswith("1/")}
    report = verify(base / "store", clean=done)
    return rest.items() <= values.items() and report.intact and (values == rest or not done)


def index_is(base: Path, *, missing: bool) -> bool:
    """Return whether the index opens; with ``missing`` it may be absent as a whole."""
    if not (base / "index").exists():
        return missing
    return len(search(base / "store", "0/000", index=base / "index", k=5)) == 5


def weights_are(base: Path, *, missing: bool) -> bool:
    """Return whether the weights in the cache are whole; with ``missing`` they may be absent."""
    from featx.weights import load_weights

    paths = list((base / "cache" / "weights").rglob("toy*.safetensors"))
    return all(load_weights(path)[0]["w"].tolist() == [1.0, 2.0] for path in paths) and (
        missing or len(paths) == 1
    )


CASES: dict[str, Case] = {
    "merge": Case(
        words=lambda base: ["merge", base / "store", base / "merged.h5", "--overwrite"],
        after_kill=lambda base: intact(base) and merged_is(base, missing=True),
        after_end=lambda base: merged_is(base, missing=False),
    ),
    "export": Case(
        prepare=lambda base: (base / "out.csv").write_text("old\n"),
        words=lambda base: ["export", base / "store", base / "out.csv", "--overwrite"],
        after_kill=lambda base: intact(base) and table_is(base, old=True),
        after_end=lambda base: table_is(base, old=False),
    ),
    "repair": Case(
        prepare=lambda base: damage(base / "store"),
        words=lambda base: ["verify", "--repair", base / "store"],
        after_kill=lambda base: repaired(base, done=False),
        after_end=lambda base: repaired(base, done=True),
    ),
    "prune": Case(
        words=lambda base: [
            *("prune", "--yes", base / "store"),
            *(word for n in range(TRACKS) for word in ("--track", f"1/{n:03}")),
        ],
        codes=(0, 2),  # the tracks may be forgotten already
        after_kill=lambda base: pruned(base, done=False),
        after_end=lambda base: pruned(base, done=True),
    ),
    "index": Case(
        words=lambda base: ["index", "build", base / "store", "-o", base / "index"],
        after_kill=lambda base: intact(base) and index_is(base, missing=True),
        after_end=lambda base: index_is(base, missing=False),
    ),
    "weights": Case(
        prepare=lambda base: (base / "w.json").write_text("[1.0, 2.0]"),
        words=lambda base: ["weights", "import", "toy", base / "w.json"],
        after_kill=lambda base: weights_are(base, missing=True),
        after_end=lambda base: weights_are(base, missing=False),
    ),
}


# ---------------------------------------------------------------------------------- the trials
class Trials:
    """Runs commands in fresh copies of one store, kills them, and looks at what is left."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.store = make_store(base / "store")
        site = base / "site"
        (site / "featx_toy-1.0.dist-info").mkdir(parents=True)
        (site / "featx_toy.py").write_text(PLUGIN)
        about = {"METADATA": "Metadata-Version: 2.1\nName: featx-toy\nVersion: 1.0\n"}
        about["entry_points.txt"] = "[featx]\ntoy = featx_toy\n"
        for name, text in about.items():
            (site / "featx_toy-1.0.dist-info" / name).write_text(text)
        self.environment = {**os.environ, "PYTHONPATH": str(site), "FEATX_DEBUG": "0"}
        self.count = 0

    def fresh(self, case: Case) -> Path:
        """Return a new folder with a copy of the store and what the case needs."""
        self.count += 1
        base = self.base / f"trial-{self.count}"
        shutil.copytree(self.store, base / "store")
        case.prepare(base)
        return base

    def start(self, case: Case, base: Path, number: int) -> subprocess.Popen[str]:
        """Start the command; ``number`` is as in `killed_main`, -1 for no kill from inside."""
        words = [os.fspath(word) for word in case.words(base)]
        code = f"import command_kills as c; c.killed_main({str(base)!r}, {number}, {words!r})"
        os.environ["FEATX_CACHE"] = str(base / "cache")  # for the checks in this process, too
        path = f"{Path(__file__).parent}{os.pathsep}{self.environment['PYTHONPATH']}"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env={**self.environment, "PYTHONPATH": path, "FEATX_CACHE": str(base / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def undisturbed(self, case: Case) -> tuple[int, float]:
        """Return how often the command changes a file, and how many seconds it takes."""
        base = self.fresh(case)
        began = time.monotonic()
        process = self.start(case, base, 0)
        output, _ = process.communicate()
        seconds = time.monotonic() - began
        if process.returncode or not case.after_end(base):
            raise SystemExit(f"the undisturbed command ends with {process.returncode}: {output}")
        changes = int((base / "changes").read_text())
        shutil.rmtree(base)
        return changes, seconds

    def trial(self, case: Case, *, change: int = -1, delay: float = 0.0) -> dict[str, Any]:
        """Kill the command before one of its changes, or after a delay; look, repeat, look."""
        base = self.fresh(case)
        process = self.start(case, base, change)
        if change < 0:
            time.sleep(delay)
            process.kill()
        process.communicate()
        struck = process.returncode == -signal.SIGKILL
        kept = case.after_kill(base) if struck else True
        again = self.start(case, base, -1)
        output, _ = again.communicate()
        right = again.returncode in case.codes and case.after_end(base)
        told = {"change": change, "delay": round(delay, 3), "struck": struck, "kept": kept}
        told |= {"repeated": right, "good": kept and right}
        if not right:
            told["output"] = f"exit code {again.returncode}: {output[-400:]}"
        shutil.rmtree(base)
        return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("random", type=int, help="kills at random moments, per command")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stride", type=int, default=1, help="kill at every STRIDE-th change only")
    parser.add_argument("--only", choices=sorted(CASES), action="append")
    parser.add_argument("--json", type=Path, help="write every trial to this file")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    report: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="featx-kills-") as folder:
        trials = Trials(Path(folder).resolve())
        for name in options.only or CASES:
            changes, seconds = trials.undisturbed(CASES[name])
            moments = range(1, changes + 1, options.stride)
            results = [trials.trial(CASES[name], change=number) for number in moments]
            for _ in range(options.random):
                delay = rng.uniform(seconds * 0.3, seconds)
                results.append(trials.trial(CASES[name], delay=delay))
            report[name] = results
            bad = [told for told in results if not told["good"]]
            struck = sum(told["struck"] for told in results)
            print(f"{name:8} {changes:3} changes, {struck:3} kills, {len(bad)} bad", flush=True)
            for told in bad:
                print(json.dumps(told), flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    return 0 if all(told["good"] for results in report.values() for told in results) else 1


if __name__ == "__main__":
    sys.exit(main())
