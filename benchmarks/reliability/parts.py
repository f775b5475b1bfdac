"""Run a collection in parts at once, some twice and some killed, and compare with one run.

    python benchmarks/reliability/parts.py 100 --seed 1 [--at-once 10] [--plugin mfcc] [--json FILE]

Parts start in random order. A fifth of them is run twice, and every third start is killed with its
children by SIGKILL at a random moment; what was killed is started again. One file in twenty has the
content of another one, and some are no audio. Afterwards the store must be intact, hold everything
that was committed at any kill, and have the digest of an undisturbed run over all files, also with
a new catalogue and as a merged file. Exit code 1 if it breaks a rule.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kills import committed, digest, report, write_collection

from featx import plan
from featx.store import merge, verify

#: Exit codes of a part that ended by itself: all ok, or some files failed.
ENDED = (0, 3)
IN_USE = 4
FIRST_SECONDS = 1.5


@dataclass
class Started:
    """A part in work, and when it is to be killed."""

    part: int
    process: subprocess.Popen[bytes]
    began: float
    kill_at: float = float("inf")


class Campaign:
    """One collection, its undisturbed run, and the same in parts."""

    def __init__(self, base: Path, options: argparse.Namespace) -> None:
        self.base, self.count, self.at_once = base, options.parts, options.at_once
        self.rng = random.Random(options.seed)
        self.plugin = options.plugin
        self.music = write_collection(
            base / "music", count=options.tracks, seconds=options.seconds, seed=options.seed
        )
        files = sorted(self.music.iterdir())
        for number, path in enumerate(files[::20]):
            shutil.copy(path, path.with_stem(f"copy-{number:04d}"))
        for number in range(3):
            (self.music / f"text-{number}.wav").write_text(f"no audio {number}")
        self.tracks = len(list(self.music.iterdir()))
        self.times: list[float] = []
        self.figures = {"starts": 0, "killed": 0, "refused": 0, "ended": 0}

    def command(self, store: str, *more: str) -> list[str]:
        """Return the command line of a run with one worker."""
        featx = [sys.executable, "-m", "featx.cli", "run", "-p", self.plugin, "-j", "1"]
        return [*featx, *more, "-o", str(self.base / store), str(self.music)]

    def start(self, part: int, *, may_kill: bool) -> Started:
        """Start one part in a session of its own."""
        self.figures["starts"] += 1
        began = time.monotonic()
        process = subprocess.Popen(
            self.command("parts", "--part", f"{part}/{self.count}"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        started = Started(part, process, began)
        if may_kill and self.figures["starts"] % 3 == 0:
            usual = statistics.median(self.times) if self.times else FIRST_SECONDS
            started.kill_at = began + self.rng.uniform(0.2, 1.0) * usual
        return started

    def run_parts(self) -> dict[tuple[str, str, str], str]:
        """Run every part until it has ended; return what was committed when one was killed."""
        queue = [*range(1, self.count + 1)]
        queue += self.rng.sample(queue, self.count // 5)
        self.rng.shuffle(queue)
        held: dict[tuple[str, str, str], str] = {}
        working: list[Started] = []
        while queue or working:
            while queue and len(working) < self.at_once:
                working.append(self.start(queue.pop(), may_kill=True))
            time.sleep(0.02)
            for started in [*working]:
                code = started.process.poll()
                if code is None and time.monotonic() < started.kill_at:
                    continue
                working.remove(started)
                if code is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(started.process.pid, signal.SIGKILL)
                    code = started.process.wait()
                if self.is_over(started, code):
                    continue
                queue.insert(self.rng.randrange(len(queue) + 1), started.part)
                if code == -signal.SIGKILL and self.figures["killed"] % 10 == 0:
                    held |= committed(self.base / "parts")
        return held

    def is_over(self, started: Started, code: int) -> bool:
        """Count how a part ended; return whether it need not be started again."""
        assert started.process.stderr is not None
        text = started.process.stderr.read().decode()
        if code in ENDED:
            self.figures["ended"] += 1
            self.times.append(time.monotonic() - started.began)
            return True
        if code == -signal.SIGKILL:
            self.figures["killed"] += 1
            return False
        if code == IN_USE and "in use by process" in text:  # the same part is in work
            self.figures["refused"] += 1
            return False
        raise SystemExit(f"part {started.part} ended with exit code {code}: {text}")

    def result(self) -> dict[str, Any]:
        """Run everything and return the figures."""
        code = subprocess.run(
            self.command("single"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
        if code not in ENDED:
            raise SystemExit(f"the undisturbed run ended with exit code {code}")
        expected = digest(self.base / "single")
        began = time.monotonic()
        held = self.run_parts()
        seconds = time.monotonic() - began
        store = self.base / "parts"
        final = committed(store)
        counts = plan(self.music, store, extractors=self.plugin).counts()
        equal = [digest(store) == expected]
        os.environ["FEATX_CACHE"] = str(self.base / "another-cache")
        equal.append(digest(store) == expected)
        merge(store, self.base / "merged.h5")
        equal.append(digest(self.base / "merged.h5") == expected)
        verified = verify(store, clean=True)
        figures = {
            "parts": self.count,
            "tracks": self.tracks,
            **self.figures,
            "seconds": round(seconds, 1),
            "ledgers": len(list((store / "ledger").iterdir())),
            "shards": verified.shards,
            "failed": verified.failed,
            "lost": sum(final.get(key) != value for key, value in held.items()),
            "to_do": counts.to_do,
            "digests_equal": equal,
            "intact": verified.intact,
        }
        whole = not figures["lost"] and not counts.to_do
        figures["good"] = whole and all(equal) and verified.intact
        return figures


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", type=int)
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plugin", default="mfcc")
    parser.add_argument("--tracks", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.1, help="length of each track")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featx-parts-") as folder:
        os.environ["FEATX_CACHE"] = str(Path(folder) / "cache")
        figures = Campaign(Path(folder), options).result()
    return report(figures, options.json)


if __name__ == "__main__":
    sys.exit(main())
