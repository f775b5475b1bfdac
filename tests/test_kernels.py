"""Every kernel equals its plain numpy twin, compiled and interpreted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from featx.kernels.cepstrum import (
    derivative_kernel,
    lane_cosine_kernel,
    lane_derivative_kernel,
)
from featx.kernels.compression import (
    lane_power_law_kernel,
    log_kernel,
    normalise_kernel,
    power_law_kernel,
)
from featx.kernels.fft import rfft_rows
from featx.kernels.framing import condition_kernel, frame_kernel
from featx.kernels.moments import (
    LEAST,
    MEAN,
    MOST,
    RISE_MEAN,
    RISE_SPREAD,
    ROWS,
    SPREAD,
    fold_kernel,
    moments_kernel,
)
from featx.kernels.peaks import lane_peaks_kernel
from featx.kernels.spectrum import banded_kernel, magnitude_kernel, peaks_kernel, power_kernel
from featx.kernels.vector import marker
from featx.testing import kernel_twins as reference

#: One float32 rounding; twins compute in float64.
RTOL = 3e-7
#: Sums of a dozen float32 products, and logarithms around zero.
ATOL = 3e-6

#: Sums of a hundred products in float32.
SUMS = 2e-5
#: Relative: a logarithm in float32, times an exponent.
POWER_LAW = 1e-5

compiled = pytest.mark.skipif(
    "NUMBA_DISABLE_JIT" in os.environ, reason="an intrinsic has no Python form"
)
each_width = pytest.mark.parametrize("lanes", [4, 8, 16])

FRAME = 16
SHAPES = [(0, 9), (1, 9), (7, 9), (3, 1)]
LEVELS = ["noise", "silence", "full scale"]


def spectrum(shape: tuple[int, int], level: str, rng) -> np.ndarray:
    if level == "silence":
        return np.zeros(shape, np.float32)
    if level == "full scale":
        return np.full(shape, 512.0, np.float32)
    return np.abs(rng.standard_normal(shape)).astype(np.float32)


def near(got: np.ndarray, expected: np.ndarray) -> None:
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65])
@pytest.mark.parametrize(("hop_num", "hop_den"), [(5, 1), (7, 2), (16, 1)])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("reflect", [True, False])
def test_frames_equal_their_twin(n, hop_num, hop_den, centred, reflect, rng) -> None:
    y = rng.standard_normal(n).astype(np.float32)
    window = rng.standard_normal(FRAME).astype(np.float32)
    left = FRAME // 2 if centred else 0
    reflect = reflect and centred and n > left
    frames = 1 + n * hop_den // hop_num if centred else 1 + (n - FRAME) * hop_den // hop_num
    out = np.full((max(frames, 0), FRAME), 7.0, np.float32)
    frame_kernel(y, 0, hop_num, hop_den, left, reflect, window, out)
    twin = reference.frame_reference(y, 0, hop_num, hop_den, left, reflect, window, len(out))
    np.testing.assert_array_equal(out, twin)


@pytest.mark.parametrize("first", [0, 3, 12])
def test_frames_of_a_later_block_are_the_same_frames(first: int, rng) -> None:
    y, window = rng.standard_normal(100).astype(np.float32), np.ones(FRAME, np.float32)
    whole = reference.frame_reference(y, 0, 7, 2, 8, True, window, 20)
    out = np.empty((5, FRAME), np.float32)
    frame_kernel(y, first, 7, 2, 8, True, window, out)
    np.testing.assert_array_equal(out, whole[first : first + 5])


@pytest.mark.parametrize("remove_dc", [True, False])
@pytest.mark.parametrize("preemphasis", [0.0, 0.97])
@pytest.mark.parametrize("rows", [0, 1, 4])
def test_conditioned_frames_equal_their_twin(remove_dc, preemphasis, rows, rng) -> None:
    frames = rng.standard_normal((rows, FRAME)).astype(np.float32)
    window = np.hanning(12).astype(np.float32)
    expected = reference.condition_reference(frames, remove_dc, preemphasis, window)
    condition_kernel(frames, remove_dc, np.float32(preemphasis), window)
    near(frames, expected)


@pytest.mark.parametrize("n_fft", [1, 2, 9, 16, 729])
def test_spectra_equal_the_definition(n_fft: int, rng) -> None:
    frames = rng.standard_normal((3, n_fft)).astype(np.float32)
    out = np.empty((3, n_fft // 2 + 1), np.complex64)
    rfft_rows(frames, out)
    k, n = np.arange(n_fft // 2 + 1), np.arange(n_fft)
    expected = frames @ np.exp(-2j * np.pi * np.outer(n, k) / n_fft)
    np.testing.assert_allclose(out, expected, atol=2e-6 * np.sqrt(n_fft) * np.abs(frames).max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("kernel", "twin"),
    [
        (magnitude_kernel, reference.magnitude_reference),
        (power_kernel, reference.power_reference),
    ],
)
def test_magnitudes_equal_their_twin(shape, kernel, twin, rng) -> None:
    X = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    X[:1] = 0
    out = np.empty(shape, np.float32)
    kernel(X, np.float32(0.25), out)
    near(out, twin(X, 0.25))


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 8, 9])
@pytest.mark.parametrize("level", LEVELS)
def test_banded_sums_equal_their_twin(rows: int, level: str, rng) -> None:
    starts, lengths = np.array([0, 2, 0, 3, 8]), np.array([1, 4, 0, 6, 1])
    offsets = np.cumsum(lengths) - lengths
    weights = rng.random(int(lengths.sum())).astype(np.float32)
    S = spectrum((rows, 9), level, rng)
    out = np.empty((rows, 5), np.float32)
    banded_kernel(S, starts, lengths, offsets, weights, out)
    near(out, reference.banded_reference(S, starts, lengths, offsets, weights))
    assert not out[:, 2].any()


@pytest.mark.parametrize("shape", [(0, 9), (1, 9), (7, 40), (3, 1), (3, 2)])
@pytest.mark.parametrize("level", LEVELS)
def test_peaks_equal_their_twin(shape, level: str, rng) -> None:
    S = spectrum(shape, level, rng)
    floors = np.float32(0.1) * S.max(axis=1, initial=0.0)
    places, heights = np.full(S.size + 3, 7.0, np.float32), np.full(S.size + 3, 7.0, np.float32)
    count = np.array([3])
    peaks_kernel(S, 2, 30, floors, places, heights, count)
    expected_places, expected_heights = reference.peaks_reference(S, 2, 30, floors)
    assert count[0] == 3 + len(expected_places)
    near(places[3 : count[0]], expected_places)
    near(heights[3 : count[0]], expected_heights)
    assert (np.delete(places, np.s_[3 : count[0] + 1]) == 7.0).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("gain", "offset", "amin", "factor"),
    [(10, 1, 1e-10, 1), (1, 0, 1e-5, np.log(10)), (1, 0, 1e-10, 10), (1, 0.06, 1e-10, 1)],
)
def test_logarithms_equal_their_twin(shape, level, gain, offset, amin, factor, rng) -> None:
    S = spectrum(shape, level, rng)
    expected = reference.log_reference(S, gain, offset, amin, factor)
    log_kernel(S, *(np.float32(value) for value in (gain, offset, amin, factor)))
    assert np.isfinite(S).all()
    np.testing.assert_allclose(S, expected, rtol=RTOL, atol=ATOL * factor)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("use_max", [True, False])
def test_norms_equal_their_twin(shape, level, use_max, rng) -> None:
    S = spectrum(shape, level, rng)
    S[:1] = 0
    expected = reference.normalise_reference(S, use_max, 1e-30)
    normalise_kernel(S, use_max, 1e-30)
    near(S, expected)


@pytest.mark.parametrize("width", [3, 5, 9])
@pytest.mark.parametrize("extra", [0, 1, 20])
def test_derivatives_equal_their_twin(width: int, extra: int, rng) -> None:
    x = rng.standard_normal((width + extra, 3)).astype(np.float32)
    weights = rng.standard_normal(width)
    out = np.empty_like(x)
    derivative_kernel(x, weights, out)
    near(out, reference.derivative_reference(x, weights))


@compiled
@each_width
@pytest.mark.parametrize("shape", [(9, 1), (9, 13), (10, 3), (40, 20), (200, 1)])
def test_derivatives_on_vectors_equal_their_twin(lanes: int, shape, rng) -> None:
    x, weights = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(9)
    out = np.empty_like(x)
    lane_derivative_kernel(marker(lanes), x, weights, out)
    near(out, reference.derivative_reference(x, weights))


@compiled
@each_width
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 20])
@pytest.mark.parametrize("dim", [1, 13, 16, 20, 40])
def test_cosine_transforms_equal_their_twin(lanes: int, rows: int, dim: int, rng) -> None:
    bands = rng.standard_normal((rows, 100)).astype(np.float32)
    basis = np.zeros((100, -(-dim // lanes) * lanes), np.float32)
    basis[:, :dim] = rng.standard_normal((100, dim))
    out = np.empty((rows, dim), np.float32)
    lane_cosine_kernel(marker(lanes), bands, basis, np.empty(8 * lanes, np.float32), out)
    np.testing.assert_allclose(out, reference.cosine_reference(bands, basis)[:, :dim], atol=SUMS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("exponent", [0.1, 0.5, 1.0])
def test_power_laws_equal_their_twin(shape, level: str, exponent: float, rng) -> None:
    S = spectrum(shape, level, rng)
    expected = reference.power_law_reference(S, 2.0, exponent)
    power_law_kernel(S, np.float32(2.0), exponent)
    near(S, expected)


@compiled
@each_width
@pytest.mark.parametrize("shape", [*SHAPES, (5, 37)])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("exponent", [0.1, 0.5, 1.0])
def test_power_laws_on_vectors_equal_their_twin(lanes, shape, level, exponent, rng) -> None:
    S = spectrum(shape, level, rng)
    S[:, :1] = 0.0
    expected = reference.power_law_reference(S, 2.0, exponent)
    tile = np.empty(lanes, np.float32)
    lane_power_law_kernel(marker(lanes), S, np.float32(2.0), np.float32(exponent), tile)
    np.testing.assert_allclose(S, expected, rtol=POWER_LAW, atol=0)


@compiled
@each_width
@pytest.mark.parametrize("frames", [1, 2, 31, 32, 33, 50])
@pytest.mark.parametrize("level", LEVELS)
def test_peaks_in_blocks_equal_their_twin(lanes: int, frames: int, level: str, rng) -> None:
    rows, bins = -(-frames // (2 * lanes)), 40
    S = spectrum((rows * 2 * lanes, bins), level, rng)
    blocks = np.ascontiguousarray(S.reshape(rows, lanes, 2, bins).transpose(0, 3, 2, 1))
    places, heights = np.zeros((2, S.size), np.float32)
    count = np.array([3])
    lane_peaks_kernel(
        marker(lanes), blocks.reshape(rows, -1), frames, bins, 2, 30, np.float32(0.1), places,
        heights, count,
    )  # fmt: skip
    S = S[:frames]
    expected = reference.peaks_reference(S, 2, 30, np.float32(0.1) * S.max(axis=1))
    for got, twin in zip((places, heights), expected, strict=True):
        near(np.sort(got[3 : count[0]]), np.sort(twin))


@pytest.mark.parametrize("cuts", [(), (1,), (4, 5), (3, 6, 9)])
@pytest.mark.parametrize("level", LEVELS)
def test_statistics_equal_their_twin(cuts: tuple[int, ...], level: str, rng) -> None:
    x = spectrum((11, 5), level, rng)
    total, piece = np.zeros((ROWS, 5)), np.empty((ROWS, 5))
    for part in np.split(x, cuts):
        moments_kernel(part, True, True, piece)
        fold_kernel(piece, total)
    spread, rise_spread = np.sqrt(total[SPREAD] / 11), np.sqrt(total[RISE_SPREAD] / 10)
    got = [total[MEAN], spread, total[LEAST], total[MOST], total[RISE_MEAN], rise_spread]
    np.testing.assert_allclose(got, reference.statistics_reference(x), rtol=1e-12, atol=1e-15)


def test_twins_do_not_import_numba() -> None:
    code = "import sys, featx.testing.kernel_twins; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="is the inner run")
def test_kernels_equal_their_twins_without_the_jit() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "twin",
         str(Path(__file__))],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-2000:]
