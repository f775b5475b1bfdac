"""An hour of music through extractors of events: speed, and memory beyond the waveform.

    python benchmarks/speed/hour_of_extractors.py NAME[:KEY=VALUE…] … [--minutes 60]

Every line is a process of its own on one thread. *added* is the peak of its resident memory during
the work minus what it held before, the waveform included in the latter.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import subprocess
import sys

import numpy as np
from hour import Watch

import featx
from featx.testing import synthesise

SR = 44100


def child(text: str, minutes: float) -> None:
    """Print the figures of one extractor."""
    name, *settings = text.split(":")
    params = dict(item.split("=", 1) for item in settings)
    minute = synthesise(seed=1, duration=60.0, sr=SR).y
    outputs = featx.open_extractor(name, params=params)(minute[: 20 * SR], SR).specs.values()
    events = [spec.name for spec in outputs if spec.kind == "events"]
    extract = featx.open_extractor(name, params=params, features=events)
    extract(minute[: 20 * SR], SR)  # compiles
    y = np.resize(minute, round(minutes * 60 * SR))
    with Watch() as watch:
        extract(y, SR)
    speed, added = minutes * 60 / watch.seconds, watch.added / 2**20
    print(f"{text:32s} {speed:8.0f} x real time {added:8.0f} MiB added", flush=True)


def main() -> None:
    """Start a process per extractor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("extractors", nargs="+")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.extractors[0], options.minutes)
        return
    for text in options.extractors:
        command = [sys.executable, __file__, text, "--minutes", str(options.minutes), "--child"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
