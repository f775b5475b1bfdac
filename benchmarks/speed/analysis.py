"""Time medians, onset strength, YIN and best paths against librosa, interleaved in one process.

    python benchmarks/speed/analysis.py [--rounds N] [--only WORD] [--json]

Every round lets each contender do the whole job once, one after the other; the ratio is the median
over the rounds. Times are processor time of the one thread that works, so that neighbours count
less. Sound is 30 s at 22050 Hz: a glide, clicks and noise under a falling envelope. Models of
sequences have the size of those that extractors use: 170 chords, pYIN's 601 pitches voiced and
unvoiced, bars of beats by madmom's state space. The last has no peer that takes sparse transitions.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import librosa
import numpy as np
import scipy.ndimage

from featx.analysis import (
    Transitions,
    hpss,
    link_beats,
    median_filter,
    onset_strength,
    viterbi,
    yin,
)
from featx.frontend import spectrogram, stft

SR = 22050
RANGE = {"fmin": 65.0, "fmax": 2093.0}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One line of the table: contenders by name, featx first."""

    name: str
    contenders: dict[str, Callable[[], object]]


def clip(seconds: float, seed: int) -> np.ndarray:
    rng, n = np.random.default_rng(seed), int(seconds * SR)
    t = np.arange(n) / SR
    y = np.sin(2 * np.pi * (200 * t + 10 * t * t)) + 0.1 * rng.standard_normal(n)
    y[:: SR // 2] += 2.0
    return (0.3 * y * np.linspace(1.0, 0.01, n)).astype(np.float32)


# ---------------------------------------------------------------- jobs
def median_jobs(y: np.ndarray) -> Iterator[Job]:
    for name, S in (("magnitudes", spectrogram(y)), ("complex", stft(y))):
        turned = np.ascontiguousarray(S.T)
        peers = {"featx": partial(hpss, S), "librosa": partial(librosa.decompose.hpss, turned)}
        yield Job(name=f"HPSS, {name}", contenders=peers)
    S = spectrogram(y)
    over_time = partial(scipy.ndimage.median_filter, S, size=(31, 1), mode="reflect")
    peers = {"featx": partial(median_filter, S, kernel_size=31), "scipy": over_time}
    yield Job(name="median of 31 frames", contenders=peers)


def onset_jobs(y: np.ndarray) -> Iterator[Job]:
    theirs = partial(librosa.onset.onset_strength, sr=SR)
    options = {"lag": 2, "max_size": 3}
    S = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=SR))
    turned = np.ascontiguousarray(S.T)
    yield Job(
        name="onset strength",
        contenders={"featx": partial(onset_strength, y), "librosa": partial(theirs, y=y)},
    )
    peers = {
        "featx": partial(onset_strength, y, aggregate="median"),
        "librosa": partial(theirs, y=y, aggregate=np.median),
    }
    yield Job(name="onset strength, median", contenders=peers)
    peers = {
        "featx": partial(onset_strength, S=turned, **options),
        "librosa": partial(theirs, S=S, **options),
    }
    yield Job(name="of dB, lag 2, 3 bins", contenders=peers)


def pitch_jobs(y: np.ndarray) -> Iterator[Job]:
    for hop in (512, 256):
        options = {**RANGE, "sr": SR, "hop_length": hop}
        peers = {"featx": partial(yin, y, **options), "librosa": partial(librosa.yin, y, **options)}
        yield Job(name=f"YIN 2048 / {hop}", contenders=peers)


def observations(n_steps: int, n_states: int) -> tuple[np.ndarray, np.ndarray]:
    p = np.random.default_rng(n_states).dirichlet(np.ones(n_states), n_steps)
    return p.T.copy(), np.log(p).astype(np.float32)


def dense_job(name: str, transition: np.ndarray, n_steps: int) -> Job:
    p, log_p = observations(n_steps, len(transition))
    with np.errstate(divide="ignore"):
        transitions = Transitions.from_dense(np.log(transition))
    peers = {
        "featx": partial(viterbi, log_p, transitions=transitions),
        "librosa": partial(librosa.sequence.viterbi, p, transition),
    }
    return Job(name=name, contenders=peers)


def bar_pointer(shortest: int, longest: int) -> tuple[Transitions, np.ndarray]:
    """Return the transitions of madmom's beat states, and which column each sees."""
    intervals = np.arange(shortest, longest + 1)
    first = np.cumsum(intervals) - intervals
    n_states = int(intervals.sum())
    position = np.concatenate([np.arange(i) / i for i in intervals])
    inner = np.flatnonzero(position > 0)
    edges = [(inner - 1, inner, np.zeros(len(inner)))]
    for i, start in zip(intervals, first, strict=True):
        p = np.exp(-100.0 * np.abs(intervals / i - 1.0))
        p[p < np.finfo(float).eps] = 0.0
        ends = np.full(len(first), start + i - 1)
        with np.errstate(divide="ignore"):
            edges.append((ends, first, np.log(p / p.sum())))
    sources, targets, weights = (np.concatenate(column) for column in zip(*edges, strict=True))
    transitions = Transitions.from_edges(sources, targets, weights, n_states=n_states)
    return transitions, (position < 1 / 16).astype(np.int64)


def sequence_jobs() -> Iterator[Job]:
    rng = np.random.default_rng(0)
    yield dense_job("Viterbi, 170 chords", rng.dirichlet(np.ones(170), 170), 1000)
    local = librosa.sequence.transition_local(601, 51, window="triangle", wrap=False)
    pyin = np.kron(librosa.sequence.transition_loop(2, 0.99), local)
    yield dense_job("Viterbi, pYIN", pyin, 100)
    transitions, columns = bar_pointer(28, 109)
    activation = np.clip(rng.random(6000) ** 4, 1e-5, 1 - 1e-5)
    observed = np.log(np.stack([(1 - activation) / 15, activation], axis=1)).astype(np.float32)
    alone = partial(viterbi, observed, transitions=transitions, columns=columns)
    yield Job(name="Viterbi, bar pointer 60 s", contenders={"featx": alone})
    strength = rng.random(2584).astype(np.float32)
    program = getattr(librosa.beat, "__beat_track_dp")
    links, scores = np.zeros(2584, np.int32), np.zeros(2584, np.float32)
    theirs = partial(program, strength, np.array([22], np.int32), np.float32(100.0), links, scores)
    peers = {"featx": partial(link_beats, strength, period=22.0), "librosa": theirs}
    yield Job(name="beat links", contenders=peers)


# ---------------------------------------------------------------- timing
def once(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def run(job: Job, rounds: int) -> dict[str, object]:
    for work in job.contenders.values():
        work()
    times = np.array([[once(work) for work in job.contenders.values()] for _ in range(rounds)])
    ratios = np.median(times / times[:, :1], axis=0)
    return {
        "job": job.name,
        "featx_ms": round(1e3 * float(np.median(times[:, 0])), 3),
        "featx_fastest_ms": round(1e3 * float(times[:, 0].min()), 3),
        "ratios": dict(zip(job.contenders, ratios.round(2).tolist(), strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="jobs whose name contains this")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    y, rows = clip(30.0, 0), []
    if not options.json:
        print(f"load {os.getloadavg()[0]:.1f}")
        print(f"{'job':26} {'featx ms':>9} {'fastest':>8}  times slower")
    for job in (*median_jobs(y), *onset_jobs(y), *pitch_jobs(y), *sequence_jobs()):
        if options.only not in job.name:
            continue
        row = run(job, options.rounds)
        rows.append(row)
        if not options.json:
            told = ", ".join(f"{n} {r:.1f}" for n, r in row["ratios"].items() if n != "featx")
            times = f"{row['featx_ms']:9.3f} {row['featx_fastest_ms']:8.3f}"
            print(f"{row['job']:26} {times}  {told}", flush=True)
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
