"""Does a pool of processes that share their pipes survive a SIGKILL of one of them?

    python benchmarks/reliability/pool_kills.py [--trials 30]

Each trial gives 400 short tasks to a `pebble.ProcessPool` of two workers and kills one of them at a
random moment. A trial is stuck if tasks are left 15 s later. See docs/decisions/0020.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pebble
import psutil

TASKS = 400
PATIENCE = 15.0


def work(number: int) -> bytes:
    """Take four milliseconds and return a message of some size."""
    time.sleep(0.004)
    return bytes([number % 256]) * 20_000


def trial(seed: int) -> int:
    """Return how many tasks were left."""
    rng = random.Random(seed)
    pool = pebble.ProcessPool(max_workers=2, context=multiprocessing.get_context("spawn"))
    futures = [pool.schedule(work, args=(number,)) for number in range(TASKS)]
    while sum(future.done() for future in futures) < 5:
        time.sleep(0.01)
    time.sleep(rng.random() * 0.5)
    workers = [
        child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())
    ]
    os.kill(rng.choice(workers).pid, signal.SIGKILL)
    left = len(concurrent.futures.wait(futures, timeout=PATIENCE).not_done)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()
    return left


def main() -> None:
    """Run every trial in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--one", type=int, help="run the trial of this seed, here")
    options = parser.parse_args()
    if options.one is not None:
        print(trial(options.one), flush=True)
        os._exit(0)  # a stuck pool would not let go
    left = []
    for seed in range(1, options.trials + 1):
        command = [sys.executable, __file__, "--one", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        left.append(int(done.stdout))
        if left[-1]:
            print(f"trial {seed}: {left[-1]} of {TASKS} tasks left", flush=True)
    print(f"{sum(map(bool, left))} of {len(left)} trials stuck")


if __name__ == "__main__":
    main()
