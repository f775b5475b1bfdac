"""Compare featx's and librosa's constant-Q transforms with their definition.

    python benchmarks/constant_q.py [--data FOLDER] [--seconds S]

The definition is a sum over samples at the full rate in float64, zeros around the signal. Prints
the largest deviation from it as a share of the peak, over tones, noise, a chirp and clicks and over
recordings, all frames and those that see the signal only; exits with 1 if featx breaks its
tolerance. *whole* is librosa with ``sparsity=0``.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import librosa
import numpy as np

from featx import Audio
from featx.frontend import cqt
from featx.frontend.constantq.filters import C1, constant_q_filters, quality
from featx.testing.kernel_twins import constant_q_reference

#: Share of the peak.
TOLERANCE = 2e-4
RECORDINGS = 10
#: Name, rate and arguments.
TRANSFORMS: dict[str, tuple[int, dict[str, int]]] = {
    "cqt": (22050, {"hop_length": 512, "n_bins": 84, "bins_per_octave": 12}),
    "fe-btc": (22050, {"hop_length": 2048, "n_bins": 144, "bins_per_octave": 24}),
    "fe-hcqt": (44100, {"hop_length": 4096, "n_bins": 216, "bins_per_octave": 36}),
}


def synthetic(sr: int, seconds: float) -> Iterator[np.ndarray]:
    n = np.arange(int(seconds * sr))
    for frequency in (110.0, 440.0, 3001.5):
        yield (0.5 * np.sin(2 * np.pi * frequency / sr * n)).astype(np.float32)
    yield (0.5 * np.sin(2 * np.pi * (30 + 1000 * n / sr) * n / sr)).astype(np.float32)
    yield np.random.default_rng(7).uniform(-1, 1, len(n)).astype(np.float32)
    yield (n % 7001 == 50).astype(np.float32)


def recordings(data: Path, sr: int, seconds: float) -> Iterator[np.ndarray]:
    files = sorted(path for path in (data / "music").rglob("*") if path.suffix in (".ogg", ".mp3"))
    for path in files[:: max(1, len(files) // RECORDINGS)][:RECORDINGS]:
        yield Audio.load(path, sr=sr, duration=seconds).y


def deviations(y: np.ndarray, sr: int, what: dict[str, int]) -> list[float]:
    """Return those of featx and librosa, all frames; then featx, librosa, librosa whole, inside."""
    hop = what["hop_length"]
    filters = constant_q_filters(sr, fmin=C1, **what)
    exact = constant_q_reference(
        y, hop, sr,
        [item.frequency for item in filters], [item.length for item in filters],
        [item.width * 2**item.octave for item in filters],
        [2**item.octave / 2 for item in filters], 1 + len(y) // hop,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        default = librosa.cqt(y, sr=sr, **what).T[: len(exact)]
        whole = librosa.cqt(y, sr=sr, sparsity=0.0, **what).T[: len(exact)]
    margin = int(quality(what["bins_per_octave"]) * sr / C1 / 2 / hop) + 2
    inside = slice(margin, len(exact) - margin)
    peak = np.abs(exact).max()
    every = slice(None)
    return [
        float(np.abs(got[part] - exact[part]).max() / peak)
        for got, part in (
            (cqt(y, sr=sr, **what), every), (default, every),
            (cqt(y, sr=sr, **what), inside), (default, inside), (whole, inside),
        )
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("FEATX_TEST_DATA") or None)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    ok = True
    print(f"{'':19} {'all frames':^17} {'inside':^26}")
    print(f"{'':19} " + " ".join(f"{n:>8}" for n in ("featx", "librosa") * 2) + f" {'whole':>8}")
    for name, (sr, what) in TRANSFORMS.items():
        kinds = {"synthetic": synthetic(sr, options.seconds)}
        if options.data is not None:
            kinds["recordings"] = recordings(options.data, sr, options.seconds)
        for kind, signals in kinds.items():
            worst = np.max([deviations(y, sr, what) for y in signals], axis=0)
            ok = ok and worst[0] <= TOLERANCE
            print(f"{name:8} {kind:10} " + " ".join(f"{value:8.1e}" for value in worst), flush=True)
    print(f"librosa {librosa.__version__}, numpy {np.__version__}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
