"""Time featx's log-mel against librosa's on the same 30 s of noise, interleaved in one process.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/speed/mel.py [--rounds N]

Prints the fastest and the median time of both and the median of the ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import librosa
import numpy as np

from featx import FrontEnd
from featx.frontend import PRESETS, compute

SECONDS = 30.0


def by_librosa(y: np.ndarray, fe: FrontEnd) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=y, sr=fe.sr, n_fft=fe.n_fft, hop_length=fe.hop_length, pad_mode=fe.pad_mode,
        power=fe.power, n_mels=fe.n_bands, fmin=fe.fmin, fmax=fe.fmax, htk=fe.scale == "htk",
        norm=None if fe.norm == "none" else "slaney",
    )  # fmt: skip
    return (
        librosa.power_to_db(mel, top_db=None) if fe.compression == "db" else np.log10(1 + 10 * mel)
    )


def timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    print(f"{'front end':12} {'featx ms':>17} {'librosa ms':>17} {'librosa/featx':>14}")
    for name in ("fe-artist", "fe-won-96"):
        fe = PRESETS[name]
        y = np.random.default_rng(1).uniform(-1, 1, int(SECONDS * (fe.sr or 0))).astype("f4")
        pair = (partial(compute, y, fe, sr=fe.sr), partial(by_librosa, y, fe))
        for function in pair:
            function()
        times = np.array([[timed(function) for function in pair] for _ in range(rounds)]) * 1e3
        cells = [f"{t.min():7.2f} / {np.median(t):7.2f}" for t in times.T]
        ratio = np.median(times[:, 1] / times[:, 0])
        print(f"{name:12} {cells[0]:>17} {cells[1]:>17} {ratio:14.2f}")


if __name__ == "__main__":
    main()
