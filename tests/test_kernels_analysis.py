"""Kernels of medians, onsets, pitch and sequences equal their twins, compiled and interpreted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from featx.kernels.median import (
    median_columns_kernel,
    median_rows_kernel,
    soft_masks_kernel,
    sorted_median_kernel,
    weigh_kernel,
)
from featx.kernels.networks import network
from featx.kernels.onset import (
    detrend_kernel,
    flux_kernel,
    maximum_kernel,
    median_flux_kernel,
    pick_kernel,
)
from featx.kernels.pitch import (
    GROUP,
    difference_kernel,
    lane_difference_kernel,
    normalise_difference_kernel,
    yin_kernel,
)
from featx.kernels.sequence import beat_links_kernel, sparse_viterbi_kernel
from featx.kernels.vector import marker
from featx.testing import kernel_twins as reference

#: A few float32 roundings; twins compute in float64.
RTOL = 1e-6
#: Sums of some hundred float32 squares, of their largest.
SUMS = 1e-6

SIZES = [1, 2, 3, 4, 5, 6, 7, 9, 17, 31, 32, 63]
SHAPES = [(0, 3), (1, 1), (5, 3), (17, 40), (33, 32)]
LEVELS = ["noise", "silence", "steps"]
LANES = [4, 8, 16]

compiled = pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="vectors need the JIT")


def matrix(shape: tuple[int, int], level: str, rng) -> np.ndarray:
    if level == "silence":
        return np.zeros(shape, np.float32)
    if level == "steps":  # few values, many of them equal
        return rng.integers(0, 3, shape).astype(np.float32)
    return np.abs(rng.standard_normal(shape)).astype(np.float32)


# ---------------------------------------------------------------- medians
def sorted_medians(S: np.ndarray, size: int, rank: int) -> np.ndarray:
    out = np.empty_like(S)
    sorted_median_kernel(S, size, rank, np.empty(size, np.float32), out)
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", LEVELS)
def test_sorted_medians_equal_their_twin(size: int, shape, level: str, rng) -> None:
    S = matrix(shape, level, rng)
    if shape[1] * 2 < size:
        S = np.repeat(S, 11, axis=1)  # the twin's padding reaches no further than once around
    expected = reference.median_reference(S, size, size // 2)
    np.testing.assert_array_equal(sorted_medians(S, size, size // 2), expected)


@compiled
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", LEVELS)
def test_vector_medians_equal_the_sorted_ones(lanes, size, shape, level, rng) -> None:
    S, net, width = matrix(shape, level, rng), network(size, size // 2), 2 * lanes
    rows, columns = np.full_like(S, 7.0), np.full_like(S, 7.0)
    work, strips = (
        np.empty(net.n_rows * width, np.float32),
        np.empty((2, shape[1] * width), np.float32),
    )
    median_rows_kernel(marker(lanes), net.arrays, S, (strips[0], strips[1]), work, rows)
    median_columns_kernel(marker(lanes), net.arrays, S, work, columns)
    np.testing.assert_array_equal(rows, sorted_medians(S, size, size // 2))
    if len(S):
        turned = sorted_medians(np.ascontiguousarray(S.T), size, size // 2)
        np.testing.assert_array_equal(columns, turned.T)


@pytest.mark.parametrize("size", [1, 2, 8, 15])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_networks_select_any_rank(size: int, share: float, rng) -> None:
    rank = int(share * (size - 1))
    net, x = network(size, rank), rng.standard_normal(size + network(size, rank).tile - 1)
    rows = np.concatenate([x, np.full(net.n_rows - len(x), np.nan)])
    for _, a, b, low, high in net.steps:
        # unused results may share a row with used ones: write those last
        pair = sorted((rows[a], rows[b]))
        what = net.steps[(net.steps[:, 1:] == (a, b, low, high)).all(axis=1), 0][0]
        if what != 2:
            rows[low] = pair[0]
        if what != 1:
            rows[high] = pair[1]
    windows = np.lib.stride_tricks.sliding_window_view(x, size)
    np.testing.assert_array_equal(rows[net.results], np.sort(windows, axis=1)[:, rank])


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("margins", [(1.0, 1.0), (2.0, 3.0)])
def test_masks_equal_their_twin(power: float, margins, rng) -> None:
    harmonic, percussive = matrix((1, 60), "noise", rng)[0], matrix((1, 60), "noise", rng)[0]
    harmonic[:20] *= np.float32(1e-30)
    percussive[10:30] = harmonic[40:] = 0.0
    percussive[40:45] = 1e-39  # below the normal numbers
    harmonic[50:55] = percussive[50:55]
    masks = np.empty((2, 60), np.float32)
    weights = np.array(margins, np.float32)
    soft_masks_kernel(harmonic, percussive, weights, np.float32(power), np.float32(0.25), masks)
    expected = reference.soft_masks_reference(harmonic, percussive, weights, power, 0.25)
    np.testing.assert_allclose(masks, expected, rtol=RTOL, atol=1e-30)


@pytest.mark.parametrize("n", [0, 1, 37])
def test_weighed_spectra_equal_their_twin(n: int, rng) -> None:
    X = (rng.standard_normal(n) + 1j * rng.standard_normal(n)).astype(np.complex64)
    weights, out = rng.random((2, n)).astype(np.float32), np.empty((2, n), np.complex64)
    weigh_kernel(X, weights, out)
    np.testing.assert_array_equal(out, X * weights)


# ---------------------------------------------------------------- onsets
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 90])
@pytest.mark.parametrize("shape", SHAPES)
def test_maxima_equal_their_twin(size: int, shape, rng) -> None:
    S = rng.standard_normal(shape).astype(np.float32)
    out = np.empty_like(S)
    maximum_kernel(S, size, out)
    np.testing.assert_array_equal(out, reference.maximum_reference(S, size))


@pytest.mark.parametrize("lag", [1, 2, 5, 40])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", LEVELS)
def test_flux_equals_its_twin(lag: int, shape, level: str, rng) -> None:
    S, ref = matrix(shape, level, rng), matrix(shape, "noise", rng)
    out = np.full(len(S), 7.0, np.float32)
    flux_kernel(S, ref, lag, 1.0, out)
    expected = reference.flux_reference(S, ref, lag, np.sum)
    np.testing.assert_allclose(out, expected, rtol=RTOL)


@pytest.mark.parametrize("lag", [1, 2, 40])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", LEVELS)
def test_median_flux_equals_its_twin(lag: int, shape, level: str, rng) -> None:
    S, ref = matrix(shape, level, rng), matrix(shape, "noise", rng)
    out = np.full(len(S), 7.0, np.float32)
    median_flux_kernel(S, ref, lag, np.empty(shape[1], np.float32), out)
    np.testing.assert_array_equal(out, reference.flux_reference(S, ref, lag, np.median))


@pytest.mark.parametrize("n", [0, 1, 200])
def test_detrended_envelopes_equal_their_twin(n: int, rng) -> None:
    x = matrix((1, n), "noise", rng)[0]
    expected = reference.detrend_reference(x, 0.99)
    detrend_kernel(x, 0.99)
    np.testing.assert_allclose(x, expected, rtol=RTOL)


@pytest.mark.parametrize("n", [0, 1, 2, 200])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "windows", [(0, 1, 0, 1, 0), (3, 4, 10, 5, 3), (1, 1, 0, 1, 0), (2, 1, 30, 1, 6)]
)
def test_peaks_equal_their_twin(n: int, level: str, windows, rng) -> None:
    x, peaks, count = matrix((1, n), level, rng)[0], np.empty(n, np.int64), np.zeros(1, np.int64)
    pre_max, post_max, pre_avg, post_avg, wait = windows
    pick_kernel(x, pre_max, post_max, pre_avg, post_avg, 0.1, wait, peaks, count)
    expected = reference.pick_reference(x, pre_max, post_max, pre_avg, post_avg, 0.1, wait)
    np.testing.assert_array_equal(peaks[: count[0]], expected)


# ---------------------------------------------------------------- pitch
#: frame, window, hop, lags, frames
FRAMES = [
    (64, 64, 16, 20, 3), (64, 64, 100, 64, 3), (64, 30, 7, 33, 5), (300, 300, 64, 17, 4),
    (300, 172, 128, 128, 3), (300, 1, 50, 129, 2), (64, 64, 16, 20, 0), (700, 700, 33, 70, 3),
]  # fmt: skip


def frames(spec, level: str, rng) -> tuple:
    frame_length, win_length, hop, n_lags, n_frames = spec
    y = matrix((1, max(0, n_frames - 1) * hop + frame_length), level, rng)[0] - np.float32(0.8)
    if level == "silence":
        y[:] = 0.0
    expected = reference.difference_reference(y, hop, frame_length, win_length, n_frames, n_lags)
    return y, expected


@pytest.mark.parametrize("spec", FRAMES)
@pytest.mark.parametrize("level", LEVELS)
def test_differences_equal_their_twin(spec, level: str, rng) -> None:
    y, expected = frames(spec, level, rng)
    out = np.full(expected.shape, 7.0, np.float32)
    difference_kernel(y, spec[2], spec[0], spec[1], out)
    np.testing.assert_allclose(out, expected, rtol=RTOL)


@compiled
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("spec", FRAMES)
@pytest.mark.parametrize("level", LEVELS)
def test_vector_differences_equal_the_twin(lanes: int, spec, level: str, rng) -> None:
    frame_length, win_length, hop, n_lags, n_frames = spec
    y, expected = frames(spec, level, rng)
    group = GROUP * lanes
    out = np.full((n_frames, -(-n_lags // group) * group), 7.0, np.float32)
    pieces = np.full(2 * (n_frames + win_length // hop) * group, 7.0, np.float32)
    lane_difference_kernel(
        marker(lanes), y, hop, frame_length, win_length, pieces,
        np.full(2 * group, 7.0, np.float32), np.empty(n_frames), out,
    )  # fmt: skip
    scale = expected.max(initial=0.0)
    np.testing.assert_allclose(out[:, :n_lags], expected, atol=SUMS * scale)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", [(0, 3), (1, 2), (3, 1), (5, 60)])
def test_normalised_differences_equal_their_twin(level: str, shape, rng) -> None:
    d = matrix(shape, level, rng)
    expected = reference.normalise_difference_reference(d)
    normalise_difference_kernel(d, d)
    np.testing.assert_allclose(d, expected, rtol=RTOL)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("first", [1, 5, 28, 29])
@pytest.mark.parametrize("threshold", [0.05, 0.5, 5.0])
def test_yin_equals_its_twin(level: str, first: int, threshold: float, rng) -> None:
    d, out = matrix((40, 30), level, rng), np.empty(40, np.float32)
    yin_kernel(d, first, np.float32(threshold), 22050.0, out)
    expected = reference.yin_reference(d, first, np.float32(threshold), 22050.0)
    np.testing.assert_allclose(out, expected, rtol=RTOL)


# ---------------------------------------------------------------- sequences
@pytest.mark.parametrize("n_states", [1, 2, 7, 20])
@pytest.mark.parametrize("n_steps", [1, 2, 50])
@pytest.mark.parametrize("level", ["noise", "steps"])
def test_sparse_viterbi_equals_its_twin(n_states: int, n_steps: int, level: str, rng) -> None:
    log_transition = -matrix((n_states, n_states), level, rng)
    log_transition[rng.random((n_states, n_states)) < 0.5] = -np.inf
    np.fill_diagonal(log_transition, np.float32(-0.5))
    observed, initial = (
        -matrix((n_steps, n_states), level, rng),
        -matrix((1, n_states), level, rng)[0],
    )
    expected, expected_total = reference.viterbi_reference(observed, log_transition, initial)
    targets, sources = np.nonzero(-np.inf < log_transition.T)
    starts = np.searchsorted(targets, np.arange(n_states + 1))
    several = np.diff(starts) > 1
    choices = np.where(several, np.cumsum(several) - 1, -1)
    first = observed[0] + initial
    rows, total = np.stack([first - first.max()] * 2), np.array([first.max()], np.float64)
    path = np.empty(n_steps, np.int64)
    links = np.empty((n_steps, n_states), np.int32)
    sparse_viterbi_kernel(
        starts, sources, log_transition[sources, targets], choices, observed,
        np.arange(n_states), rows, links, path, total,
    )  # fmt: skip
    np.testing.assert_array_equal(path, expected)
    assert total[0] == expected_total


@pytest.mark.parametrize("n", [0, 1, 5, 300])
@pytest.mark.parametrize("level", LEVELS)
def test_beat_links_equal_their_twin(n: int, level: str, rng) -> None:
    strength, costs = matrix((1, n), level, rng)[0], matrix((1, 16), level, rng)[0].astype(float)
    strength[: n // 4] *= np.float32(1e-3)
    floor = 0.01 * float(strength.max(initial=0.0))
    scores, links = np.empty(n), np.empty(n, np.int64)
    beat_links_kernel(strength, costs, 5, floor, scores, links)
    expected_scores, expected_links = reference.beat_links_reference(strength, costs, 5, floor)
    np.testing.assert_array_equal(links, expected_links)
    np.testing.assert_array_equal(scores, expected_scores)


@compiled
def test_kernels_equal_their_twins_without_the_jit() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "twin",
         str(Path(__file__))],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:]
