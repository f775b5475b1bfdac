"""Does a training that is killed at any step reach the weights of an undisturbed one?

    python benchmarks/reliability/training_kills.py [--trials 10] [--seed 1] [--json]

Trains a small network on synthesised noise with the method of the tests: batch normalisation,
dropout, momentum, staged learning rates that go back to the best weights, validations and
checkpoints every few milliseconds. Each trial kills the process with SIGKILL at one to three
random steps, or at a random moment in between, goes on until it ends, and compares the bytes of
weights and logs with those of the undisturbed training.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

TESTS = Path(__file__).parents[2] / "tests"
SR, STEPS = 4000, 120
COMPARED = ("tiny.safetensors", "training.csv", "validation.csv")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What was done and what came of it."""

    seed: int
    kills: tuple[str, ...]
    resumed: int
    equal: bool


def write_songs(folder: Path) -> Path:
    """Write twelve songs of three artists, each with noise in another band."""
    rng = np.random.default_rng(0)
    lines = ["path,artist"]
    for number in range(12):
        spectrum = np.zeros(SR + 1, complex)
        band = slice(1 + number % 3 * 1200, 1 + (number % 3 + 1) * 1200)
        spectrum[band] = rng.normal(size=1200) + 1j * rng.normal(size=1200)
        y = np.fft.irfft(spectrum)
        soundfile.write(folder / f"{number:02d}.wav", 0.5 * y / np.abs(y).max(), SR)
        lines.append(f"{number:02d}.wav,artist {number % 3}")
    manifest = folder / "songs.csv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def command(manifest: Path, out: Path, kill_after: int) -> list[str]:
    arguments = [str(manifest), str(out), str(STEPS), str(kill_after)]
    return [sys.executable, str(TESTS / "training_method.py"), *arguments]


def run(manifest: Path, out: Path, *, kill_after: int = -1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(manifest, out, kill_after), capture_output=True, text=True, check=False
    )


def killed_between_steps(manifest: Path, out: Path, delay: float) -> None:
    """Kill ``delay`` seconds after the first checkpoint lies there, wherever it is then."""
    process = subprocess.Popen(
        command(manifest, out, -1), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    state = out / "state.safetensors"
    before = state.stat().st_mtime_ns if state.exists() else 0
    while process.poll() is None:
        if state.exists() and state.stat().st_mtime_ns != before:
            break
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def digests(out: Path) -> dict[str, str]:
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in COMPARED}


def trial(seed: int, manifest: Path, folder: Path, whole: dict[str, str]) -> Trial:
    rng = random.Random(seed)
    out = folder / f"trial-{seed}"
    kills: list[str] = []
    step = 0
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.5:
            delay = rng.uniform(0.0, 0.4)
            kills.append(f"{delay:.3f} s after a checkpoint")
            killed_between_steps(manifest, out, delay)
        else:
            step = rng.randint(min(step + 1, STEPS - 1), STEPS - 1)
            kills.append(f"step {step}")
            done = run(manifest, out, kill_after=step)
            # a kill between steps may have come later than this step: then it just ends
            if done.returncode not in (0, -signal.SIGKILL):
                raise SystemExit(done.stderr)
    last = run(manifest, out)
    if last.returncode != 0:
        raise SystemExit(f"trial {seed}, {kills}: {last.stderr}")
    resumed = int(last.stdout.split()[0])
    return Trial(seed=seed, kills=tuple(kills), resumed=resumed, equal=digests(out) == whole)


def main() -> None:
    """Run the undisturbed training, then every trial; exit code 1 if one differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    trials = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = write_songs(folder)
        done = run(manifest, folder / "whole")
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        whole = digests(folder / "whole")
        for seed in range(options.seed, options.seed + options.trials):
            trials.append(trial(seed, manifest, folder, whole))
            item = trials[-1]
            if not options.json:
                verdict = "equal" if item.equal else "DIFFERENT"
                at = f"went on after step {item.resumed}" if item.resumed >= 0 else "had finished"
                told = f"killed at {', '.join(item.kills)}; {at}"
                print(f"trial {seed}: {told}: {verdict}", flush=True)
    equal = sum(item.equal for item in trials)
    if options.json:
        print(json.dumps({"trials": [asdict(item) for item in trials], "equal": equal}, indent=1))
    else:
        print(f"{equal} of {len(trials)} have the weights and logs of the undisturbed training")
    sys.exit(equal < len(trials))


if __name__ == "__main__":
    main()
