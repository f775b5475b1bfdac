"""Kill a running extraction with SIGKILL at random moments, resume, and compare.

    python benchmarks/reliability/kills.py 200 --seed 1 [--plugin mfcc] [--json FILE]

A third of the trials kill the supervising process only, a third one worker, a third the whole
process group. After each: no process may be left at work, every committed unit must still be there
with the same bytes, the same command must finish what is left, and the digest of the store must be
that of an undisturbed run. Exit code 1 if any trial breaks a rule.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile

from featx import open_store, run
from featx.store import verify

MODES = ("parent", "worker", "group")
TOKEN = "FEATX_KILLS_TOKEN"
#: seconds within which everything must be gone after the supervising process is
ORPHAN_SECONDS = 5.0


def write_collection(folder: Path, *, count: int, seconds: float, seed: int) -> Path:
    """Write short files of seeded noise, of which every tenth is a copy of another."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        if number % 10 == 9:
            shutil.copy(folder / f"{number - 5:04d}.wav", folder / f"{number:04d}.wav")
            continue
        y = 0.1 * rng.standard_normal(int(seconds * 16000))
        soundfile.write(folder / f"{number:04d}.wav", y.clip(-1, 1), 16000, subtype="PCM_16")
    return folder


class Trials:
    """A collection, an undisturbed run over it, and trials that are compared with that."""

    def __init__(self, base: Path, *, plugin: str, count: int, seconds: float, jobs: int) -> None:
        self.base = base
        self.music = write_collection(base / "music", count=count, seconds=seconds, seed=7)
        self.command = [sys.executable, "-m", "featx.cli", "run", "-p", plugin, "-j", str(jobs)]
        self.count, self.plugin, self.jobs = count, plugin, jobs
        self.start("warm-up").wait()  # fills the caches of compiled kernels
        began = time.monotonic()
        code = self.start("undisturbed").wait()
        self.seconds = time.monotonic() - began
        if code != 0:
            raise SystemExit(f"the undisturbed run ended with exit code {code}")
        self.first = self.seconds * 0.2
        self.digest = digest(base / "undisturbed")

    def start(self, store: str, token: str = "") -> subprocess.Popen[bytes]:
        """Start ``featx run`` into ``store``, in a session of its own."""
        return subprocess.Popen(
            [*self.command, "-o", str(self.base / store), str(self.music)],
            env={**os.environ, TOKEN: token},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def resume(self, store: Path) -> bool:
        """Finish what is left, in this process; return whether every file is ok."""
        return run(self.music, store, extractors=self.plugin, jobs=self.jobs).ok == self.count

    def trial(self, number: int, mode: str, rng: random.Random) -> dict[str, Any]:
        """Run, kill, look, resume, compare; returns what happened."""
        store, token = self.base / f"trial-{number}", uuid.uuid4().hex
        delay = rng.uniform(self.first, self.seconds)
        process = self.start(store.name, token)
        time.sleep(delay)
        struck = strike(process, mode, token, rng)
        code = process.wait()
        if mode != "worker":
            struck = code == -signal.SIGKILL  # it may have ended while the signal was on its way
        orphans = wait_for_end(token)
        told: dict[str, Any] = {
            "trial": number,
            "mode": mode,
            "delay": round(delay, 3),
            "struck": struck,
            "exit": code,
            "orphan_seconds": orphans,
        }
        before = committed(store)
        resumed = code == 0 or self.resume(store)
        after = committed(store)
        told["committed"] = len(before)
        told["lost"] = sum(after.get(key) != value for key, value in before.items())
        told["missing"] = self.count - len(after)
        told["resumed"] = resumed
        told["digest_equal"] = digest(store) == self.digest == digest_of_copy(store)
        told["verified"] = verify(store, rebuild=False).intact
        expected = (0,) if mode == "worker" or not struck else (-signal.SIGKILL,)
        told["good"] = (
            code in expected
            and orphans is not None
            and resumed
            and not told["lost"]
            and not told["missing"]
            and told["digest_equal"]
            and told["verified"]
        )
        if told["good"]:
            shutil.rmtree(store)
        return told


def strike(process: subprocess.Popen[bytes], mode: str, token: str, rng: random.Random) -> bool:
    """Send SIGKILL; return whether there was something to kill."""
    if process.poll() is not None:
        return False
    if mode == "parent":
        process.kill()
        return True
    if mode == "group":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return True
    workers = [pid for pid in at_work(token) if pid != process.pid]
    if not workers:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(rng.choice(workers), signal.SIGKILL)
        return True
    return False


def at_work(token: str) -> list[int]:
    """Return the processes of one trial: they inherit a token in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(TOKEN) == token:
                found.append(process.pid)
    return sorted(found)


def wait_for_end(token: str) -> float | None:
    """Return after how many seconds no process of the trial is left; None if one stays."""
    began = time.monotonic()
    while at_work(token):
        if time.monotonic() - began > ORPHAN_SECONDS:
            return None
        time.sleep(0.01)
    return round(time.monotonic() - began, 3)


def committed(store: Path) -> dict[tuple[str, str, str], str]:
    """Return every committed unit with a hash of its values."""
    import hashlib

    if not (store / "featx-store.json").exists():
        return {}
    units = {}
    with open_store(store) as opened:
        for name, view in opened.items():
            for feature, values in view.items():
                for track_id, array in values.items():
                    key = (name, feature, track_id)
                    units[key] = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return units


def report(figures: dict[str, Any], path: Path | None) -> int:
    """Print the figures of a campaign, also write them to ``path``; return the exit code."""
    text = json.dumps(figures, indent=2)
    print(text)
    if path is not None:
        path.write_text(text + "\n")
    return 0 if figures["good"] else 1


def digest(store: Path) -> str:
    """Return the digest of a store."""
    with open_store(store) as opened:
        return opened.digest()


def digest_of_copy(store: Path) -> str:
    """Return the digest of a copy of a store, whose catalogue is made anew from the ledgers."""
    with tempfile.TemporaryDirectory(prefix="featx-copy-") as folder:
        return digest(Path(shutil.copytree(store, Path(folder) / "store")))


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures over all trials."""
    struck = [told for told in results if told["struck"]]
    return {
        "trials": len(results),
        "struck": {mode: sum(told["mode"] == mode for told in struck) for mode in MODES},
        "before_first_commit": sum(not told["committed"] for told in struck),
        "lost_or_damaged": sum(told["lost"] for told in results),
        "orphans": sum(told["orphan_seconds"] is None for told in results),
        "slowest_end": max((told["orphan_seconds"] or 0.0) for told in results),
        "digest_equal": sum(told["digest_equal"] for told in results),
        "good": sum(told["good"] for told in results),
    }


def main() -> int:
    """Run the trials that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trials", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plugin", default="mfcc")
    parser.add_argument("--tracks", type=int, default=240)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each track")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write every trial to this file")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    modes = [MODES[number % 3] for number in range(options.trials)]
    rng.shuffle(modes)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="featx-kills-") as folder:
        os.environ["FEATX_CACHE"] = str(Path(folder) / "cache")
        trials = Trials(
            Path(folder) / "work",
            plugin=options.plugin,
            count=options.tracks,
            seconds=options.seconds,
            jobs=options.jobs,
        )
        print(f"undisturbed: {trials.seconds:.2f} s, {options.tracks} tracks", flush=True)
        for number, mode in enumerate(modes):
            told = trials.trial(number, mode, rng)
            while not told["struck"]:  # the run was over before; another moment
                told = trials.trial(number, mode, rng)
            results.append(told)
            if not told["good"] or number % 20 == 19:
                print(json.dumps(told), flush=True)
    summary = summarise(results)
    print(json.dumps(summary, indent=2))
    if options.json:
        options.json.write_text(json.dumps({"summary": summary, "trials": results}, indent=1))
    return 0 if summary["good"] == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
