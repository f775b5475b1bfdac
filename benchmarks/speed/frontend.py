"""Time featx's front end against its peers on the same sound, interleaved in one process.

    python benchmarks/speed/frontend.py [--rounds N] [--clips N] [--only WORD] [--json]

Every round lets each contender do the whole job once, one after the other, so that a busy machine
slows all of them; the ratio is the median over the rounds. Peers run on one thread (BLAS and torch
are held to it) unless the job says two. Clips are 30 s of noise under a falling envelope at 22050
Hz. The last column is the share of the core's FMA peak that featx reaches, counting 2.5 n log2 n
operations for a real transform, plus window, power, filter bank and logarithm.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import librosa
import numpy as np
import scipy.fft
import torch
from numba import njit

from featx import FrontEnd
from featx.frontend import (
    PRESETS,
    Bark,
    Framing,
    PowerLaw,
    chroma,
    compute,
    cqt,
    mel_filter_bank,
    n_frames,
    statistics,
    stft,
)
from featx.frontend import mfcc as featx_mfcc
from featx.frontend import spectrogram as featx_spectrogram
from featx.kernels.vector import lanes, marker, vfma, vload, vset, vstore

SR = 22050
N_FFT, HOP, N_MELS = 1024, 512, 128
LOG_MEL = PRESETS["fe-artist"]
BANK = mel_filter_bank(sr=SR, n_fft=N_FFT, n_mels=N_MELS).astype(np.float32)
WINDOW = librosa.filters.get_window("hann", N_FFT).astype(np.float32)
BARK = FrontEnd(
    name="bark", sr=SR, framing=Framing(pad_mode="constant"), bank=Bark(), compression=PowerLaw()
)
BARK_BANK = Bark().matrix(sr=SR, n_fft=2048).astype(np.float32)
TORCH_BANK, TORCH_WINDOW = torch.from_numpy(BANK), torch.from_numpy(WINDOW)

Work = Callable[[np.ndarray], object]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One line of the table: contenders by name, featx first, and what they work on."""

    name: str
    contenders: dict[str, Work]
    clips: list[np.ndarray]
    threads: int = 1
    lanes: str = ""
    flops: float = 0.0  # of one clip


# ---------------------------------------------------------------- contenders
def librosa_log_mel(y: np.ndarray) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=y, sr=SR, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS, power=1.0, pad_mode="reflect"
    )
    return np.log10(1.0 + 10.0 * mel)


def scipy_log_mel(y: np.ndarray) -> np.ndarray:
    padded = np.pad(y, N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    return np.log10(1.0 + 10.0 * (np.abs(scipy.fft.rfft(frames * WINDOW)) @ BANK.T))


def torch_log_mel(y: np.ndarray) -> torch.Tensor:
    X = torch.stft(
        torch.from_numpy(y), N_FFT, HOP, window=TORCH_WINDOW, return_complex=True,
        pad_mode="reflect",
    )  # fmt: skip
    return torch.log10(1.0 + 10.0 * (TORCH_BANK @ X.abs()))


def librosa_mfcc_deltas(y: np.ndarray) -> np.ndarray:
    static = librosa.feature.mfcc(y=y, sr=SR)
    return np.vstack([static, *(librosa.feature.delta(static, order=k) for k in (1, 2))])


def librosa_mel_statistics(y: np.ndarray) -> np.ndarray:
    S = librosa_log_mel(y)
    return np.stack([S.mean(axis=1), S.std(axis=1)])


def featx_mfcc_deltas(y: np.ndarray) -> np.ndarray:
    return featx_mfcc(y, sr=SR, deltas=2)


def librosa_bark(y: np.ndarray) -> np.ndarray:
    return (BARK_BANK @ np.abs(librosa.stft(y)) ** 2) ** (1 / 3)


def librosa_magnitude(y: np.ndarray) -> np.ndarray:
    return np.abs(librosa.stft(y, n_fft=2048, hop_length=512))


def torch_magnitude(y: np.ndarray) -> torch.Tensor:
    window = torch.hann_window(2048)
    return torch.stft(torch.from_numpy(y), 2048, 512, window=window, return_complex=True).abs()


def librosa_cqt(y: np.ndarray) -> np.ndarray:
    return librosa.cqt(y, sr=SR)


def librosa_btc(y: np.ndarray) -> np.ndarray:
    C = librosa.cqt(
        y, sr=SR, hop_length=2048, n_bins=144, bins_per_octave=24, pad_mode="reflect"
    )  # fmt: skip
    return np.log(np.abs(C) + 1e-6)


def librosa_chroma(y: np.ndarray) -> np.ndarray:
    return librosa.feature.chroma_stft(y=y, sr=SR)


# ---------------------------------------------------------------- jobs
def clip(seconds: float, seed: int) -> np.ndarray:
    n = int(seconds * SR)
    noise = np.random.default_rng(seed).uniform(-1, 1, n).astype(np.float32)
    return noise * np.linspace(1.0, 0.01, n, dtype=np.float32)


def spectrum_flops(n_samples: int, n_fft: int, hop: int) -> float:
    frames = 1 + n_samples // hop
    return frames * (2.5 * n_fft * math.log2(n_fft) + n_fft + 1.5 * n_fft)


def log_mel_flops(n_samples: int) -> float:
    frames = n_frames(n_samples, LOG_MEL)
    bank = 2.0 * np.count_nonzero(BANK) + 20.0 * N_MELS
    return spectrum_flops(n_samples, N_FFT, HOP) + frames * bank


def log_mel_jobs(clips: list[np.ndarray], track: list[np.ndarray]) -> Iterator[Job]:
    featx = partial(compute, front_end=LOG_MEL, sr=SR)
    kept = np.empty((n_frames(len(clips[0]), LOG_MEL), N_MELS), np.float32)
    pair: dict[str, Work] = {"featx": featx, "librosa": librosa_log_mel}
    flops = log_mel_flops(len(clips[0]))
    everybody = {**pair, "scipy": scipy_log_mel, "torch": torch_log_mel}
    yield Job(name="log-mel", contenders=everybody, clips=clips, flops=flops)
    reused = {**pair, "featx": partial(featx, out=kept)}
    yield Job(name="log-mel, out=", contenders=reused, clips=clips, flops=flops)
    again = [clips[0]] * len(clips)  # neither finds its samples or its memory anew
    yield Job(name="log-mel, same clip, out=", contenders=reused, clips=again, flops=flops)
    yield Job(name="log-mel, 2 threads", contenders=pair, clips=clips, threads=2)
    yield Job(name="log-mel, 8 lanes", contenders=pair, clips=clips, lanes="8")
    flops = log_mel_flops(len(track[0]))
    summed: dict[str, Work] = {
        "featx": partial(statistics, front_end=LOG_MEL, sr=SR), "librosa": librosa_mel_statistics,
    }  # fmt: skip
    yield Job(name="mel statistics", contenders=summed, clips=clips)
    yield Job(name="log-mel, 10 min", contenders=pair, clips=track, flops=flops)


def other_jobs(clips: list[np.ndarray]) -> Iterator[Job]:
    kept = np.empty((1 + len(clips[0]) // 512, 1025), np.float32)
    flops = spectrum_flops(len(clips[0]), 2048, 512)
    magnitude: dict[str, Work] = {
        "featx": featx_spectrogram, "librosa": librosa_magnitude, "torch": torch_magnitude,
    }  # fmt: skip
    yield Job(name="STFT magnitude", contenders=magnitude, clips=clips, flops=flops)
    reused = {**magnitude, "featx": partial(featx_spectrogram, out=kept)}
    yield Job(name="STFT magnitude, out=", contenders=reused, clips=clips, flops=flops)
    complex_stft: dict[str, Work] = {"featx": stft, "librosa": librosa.stft}
    yield Job(name="STFT complex", contenders=complex_stft, clips=clips)
    mfcc: dict[str, Work] = {"featx": featx_mfcc_deltas, "librosa": librosa_mfcc_deltas}
    yield Job(name="MFCC + deltas", contenders=mfcc, clips=clips)
    constant_q: dict[str, Work] = {"featx": partial(cqt, sr=SR), "librosa": librosa_cqt}
    bark: dict[str, Work] = {
        "featx": partial(compute, front_end=BARK, sr=SR), "librosa": librosa_bark,
    }  # fmt: skip
    yield Job(name="Bark, power law", contenders=bark, clips=clips)
    yield Job(name="CQT", contenders=constant_q, clips=clips)
    btc: dict[str, Work] = {
        "featx": partial(compute, front_end="fe-btc", sr=SR), "librosa": librosa_btc,
    }  # fmt: skip
    yield Job(name="fe-btc", contenders=btc, clips=clips)
    tuned: dict[str, Work] = {"featx": partial(chroma, sr=SR), "librosa": librosa_chroma}
    yield Job(name="chroma, tuned", contenders=tuned, clips=clips[: max(1, len(clips) // 4)])


# ---------------------------------------------------------------- timing
def once(work: Work, job: Job) -> float:
    start = time.perf_counter()
    if job.threads == 1:
        for y in job.clips:
            work(y)
    else:
        with ThreadPoolExecutor(job.threads) as pool:
            list(pool.map(work, job.clips))
    return (time.perf_counter() - start) / len(job.clips)


def run(job: Job, rounds: int, peak: float) -> dict[str, object]:
    before = os.environ.get("FEATX_LANES", "")
    if job.lanes:
        os.environ["FEATX_LANES"] = job.lanes
    for work in job.contenders.values():
        work(job.clips[0])
    times = np.array([[once(work, job) for work in job.contenders.values()] for _ in range(rounds)])
    share = job.flops / times[:, 0].min() / peak if job.flops else None
    if job.lanes:
        del os.environ["FEATX_LANES"]
        if before:
            os.environ["FEATX_LANES"] = before
    ratios = np.median(times / times[:, :1], axis=0)
    return {
        "job": job.name,
        "featx_ms": round(1e3 * float(np.median(times[:, 0])), 3),
        "featx_fastest_ms": round(1e3 * float(times[:, 0].min()), 3),
        "ratios": dict(zip(job.contenders, ratios.round(2).tolist(), strict=True)),
        "peak_share": None if share is None else round(share, 3),
    }


@njit(nogil=True)
def _fma(w, memory, n):
    a, b, c, d, e = (
        vload(w, memory, 0), vload(w, memory, 1), vload(w, memory, 2), vload(w, memory, 3),
        vload(w, memory, 4),
    )  # fmt: skip
    f, g, h, i, j = (
        vload(w, memory, 5), vload(w, memory, 6), vload(w, memory, 7), vload(w, memory, 8),
        vload(w, memory, 9),
    )  # fmt: skip
    x = vset(w, 0.999)
    for _ in range(n):
        a, b, c, d, e = vfma(a, x, x), vfma(b, x, x), vfma(c, x, x), vfma(d, x, x), vfma(e, x, x)
        f, g, h, i, j = vfma(f, x, x), vfma(g, x, x), vfma(h, x, x), vfma(i, x, x), vfma(j, x, x)
    vstore(memory, 0, a + b + c + d + e + f + g + h + i + j)


def fma_peak() -> float:
    """Return the floating-point operations per second of ten independent chains of FMA."""
    w, memory, n = marker(lanes()), np.ones(64, np.float32), 2_000_000
    _fma(w, memory, 10)
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        _fma(w, memory, n)
        best = min(best, time.perf_counter() - start)
    return 2.0 * 10.0 * n * len(w) / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--only", default="", help="jobs whose name contains this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips, track = [clip(30.0, seed) for seed in range(options.clips)], [clip(600.0, 99)]
    rows = []
    # a neighbour on the core halves what is measured: the best of a second counts
    peak = max(fma_peak() for _ in range(50))
    if not options.json:
        load = os.getloadavg()[0]
        print(f"{lanes()} lanes, FMA peak {peak / 1e9:.0f} GFLOP/s, load {load:.1f}")
        print(f"{'job':24} {'featx ms':>9} {'fastest':>8}  {'times slower':38} {'peak':>5}")
    for job in (*log_mel_jobs(clips, track), *other_jobs(clips)):
        if options.only not in job.name:
            continue
        row = run(job, options.rounds, peak)
        rows.append(row)
        if not options.json:
            told = ", ".join(f"{n} {r:.1f}" for n, r in row["ratios"].items() if n != "featx")
            share = "" if row["peak_share"] is None else f"{row['peak_share']:.0%}"
            times = f"{row['featx_ms']:9.3f} {row['featx_fastest_ms']:8.3f}"
            print(f"{row['job']:24} {times}  {told:38} {share:>5}", flush=True)
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
