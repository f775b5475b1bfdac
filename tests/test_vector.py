"""Vectors of float32 inside numba: every intrinsic, on every number of lanes, against numpy."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numba import njit

from featx import ParameterError
from featx.kernels import butterflies, vector
from featx.kernels.vector import (
    lowest_bit,
    marker,
    prefetch,
    prefetch_far,
    transpose_block,
    transpose_seen,
    vatleast,
    vexp2,
    vfma,
    vgreater,
    vload,
    vlog2,
    vmax,
    vmin,
    vpeak,
    vroot,
    vset,
    vspread,
    vsqrt,
    vstore,
)

compiled = pytest.mark.skipif(
    "NUMBA_DISABLE_JIT" in os.environ, reason="an intrinsic has no Python form"
)
each_width = pytest.mark.parametrize("lanes", [4, 8, 16])

#: Units in the last place by which the logarithm may be off, near 1 absolutely.
LOG_ATOL, LOG_RTOL = 1e-7, 1.2e-7
#: A polynomial in float32 and one rounding, relative.
EXP_RTOL = 2e-7


@njit
def _arithmetic(w, a, b, out):
    n = len(w)
    x, y = vload(w, a, 1), vload(w, b, 2)
    vstore(out, 0, x + y)
    vstore(out, n, x - y)
    vstore(out, 2 * n, x * y)
    vstore(out, 3 * n, x / y)
    vstore(out, 4 * n, vfma(x, y, x))
    vstore(out, 5 * n, vmax(x, y))
    vstore(out, 6 * n, vmin(x, y))
    vstore(out, 7 * n, vsqrt(y))
    vstore(out, 8 * n, vset(w, 2.5))
    vstore(out, 9 * n, vset(w, n))


@compiled
@each_width
def test_arithmetic_is_numpys(lanes: int, rng) -> None:
    a, b = (rng.uniform(0.5, 2.0, lanes + 3).astype(np.float32) for _ in range(2))
    out = np.zeros(10 * lanes, np.float32)
    _arithmetic(marker(lanes), a, b, out)
    x, y = a[1 : 1 + lanes], b[2 : 2 + lanes]
    exact = [x + y, x - y, x * y, x / y, np.maximum(x, y), np.minimum(x, y), np.sqrt(y)]
    got = out.reshape(10, lanes)
    np.testing.assert_array_equal(got[[0, 1, 2, 3, 5, 6, 7]], exact)
    fused = (x.astype(np.float64) * y + x).astype(np.float32)
    np.testing.assert_array_equal(got[4], fused)
    assert (got[8] == 2.5).all()
    assert (got[9] == lanes).all()


@njit
def _logarithms(w, x):
    for i in range(0, len(x), len(w)):
        vstore(x, i, vlog2(vload(w, x, i)))


@compiled
@each_width
def test_logarithms_are_numpys_over_the_whole_range(lanes: int) -> None:
    tiny, huge = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    x = np.geomspace(tiny, huge, 4096).astype(np.float32)
    x = np.concatenate([x[:-1], np.linspace(0.5, 2.0, 4097, dtype=np.float32)])
    expected = np.log2(x.astype(np.float64))
    _logarithms(marker(lanes), x)
    np.testing.assert_allclose(x, expected, rtol=LOG_RTOL, atol=LOG_ATOL)


@compiled
@each_width
def test_the_logarithm_of_one_is_zero(lanes: int) -> None:
    x = np.ones(lanes, np.float32)
    _logarithms(marker(lanes), x)
    assert not x.any()


@njit
def _powers(w, x):
    for i in range(0, len(x), len(w)):
        vstore(x, i, vexp2(vload(w, x, i)))


@compiled
@each_width
def test_powers_of_two_are_numpys_over_the_whole_range(lanes: int) -> None:
    x = np.concatenate([np.linspace(-126, 127, 4096), np.linspace(-1, 1, 4096)]).astype(np.float32)
    expected = np.exp2(x.astype(np.float64))
    _powers(marker(lanes), x)
    np.testing.assert_allclose(x, expected, rtol=EXP_RTOL, atol=0)


@compiled
@each_width
def test_whole_powers_of_two_are_exact_and_end_where_float32_does(lanes: int) -> None:
    x = np.array([0, 1, -1, 10, -126, 127, 500, -np.inf] * 2, np.float32)
    _powers(marker(lanes), x)
    expected = np.exp2(np.clip([0, 1, -1, 10, -126, 127, 127, -126] * 2, -126, 127))
    np.testing.assert_array_equal(x, expected.astype(np.float32))


@njit
def _compare(w, a, b, out):
    x, y = vload(w, a, 0), vspread(w, b, 3)
    out[0], out[1] = vgreater(x, y), vatleast(x, y)
    out[2] = lowest_bit(out[1])


@compiled
@each_width
def test_comparisons_are_bits(lanes: int) -> None:
    a, b = np.arange(lanes, dtype=np.float32), np.full(5, np.nan, np.float32)
    b[3] = 2.0
    out = np.zeros(3, np.int64)
    _compare(marker(lanes), a, b, out)
    whole = (1 << lanes) - 1
    assert out.tolist() == [whole & ~0b111, whole & ~0b11, 2]


@njit
def _transpose(w, source, i, stride, out, j, out_stride):
    prefetch(source, i)
    prefetch_far(source, 10**9)
    transpose_block(w, source, i, stride, out, j, out_stride, 0)


@njit
def _peaks(w, source, out):
    n = len(w)
    peak = vset(w, 0.0)
    for i in range(0, len(source), n):
        peak = vpeak(peak, vload(w, source, i))
    vstore(out, 0, peak)
    vstore(out, n, transpose_seen(w, source, 0, n, out, 2 * n, n, 0, vset(w, 1.0)))


@compiled
@each_width
@pytest.mark.parametrize("bad", [-3.5, np.inf, -np.inf, np.nan])
def test_peaks_are_largest_magnitudes_and_keep_what_is_no_number(lanes: int, bad, rng) -> None:
    source = rng.uniform(-1.0, 1.0, (lanes, lanes)).astype(np.float32)
    source[1, 2] = bad
    out = np.zeros((lanes + 2) * lanes, np.float32)
    _peaks(marker(lanes), source.ravel(), out)
    peak, floored, *turned = out.reshape(-1, lanes)
    np.testing.assert_array_equal(peak, np.abs(source).max(axis=0))
    np.testing.assert_array_equal(floored, np.maximum(peak, 1.0))
    np.testing.assert_array_equal(turned, source.T)


@njit
def _roots(w, x):
    vstore(x, 0, vroot(vload(w, x, 0)))


@compiled
@each_width
def test_fast_roots_are_roots(lanes: int) -> None:
    exact = np.concatenate([np.geomspace(1.2e-38, 3e38, 3 * lanes - 2), [0.0, 1.0]])
    for part in exact.reshape(-1, lanes):
        x = part.astype(np.float32)
        expected = np.sqrt(x.astype(np.float64))
        _roots(marker(lanes), x)
        np.testing.assert_allclose(x, expected, rtol=3e-7, atol=0)


@compiled
@each_width
def test_blocks_are_transposed_in_place_of_their_neighbours(lanes: int) -> None:
    source = np.arange(100 * lanes, dtype=np.float32)
    out = np.full(100 * lanes, -1.0, np.float32)
    stride, out_stride = lanes + 5, lanes + 3
    _transpose(marker(lanes), source, 7, stride, out, 2, out_stride)
    rows = np.arange(lanes)
    expected = np.full_like(out, -1.0)
    places = 2 + rows[:, None] * out_stride + rows[None, :]
    expected[places] = 7 + rows[None, :] * stride + rows[:, None]
    np.testing.assert_array_equal(out, expected)


# ---------------------------------------------------------------- how many lanes
@compiled
@pytest.mark.parametrize("value", ["0", "4", "8", "16"])
def test_lanes_can_be_forced(value: str, monkeypatch) -> None:
    monkeypatch.setenv("FEATX_LANES", value)
    assert vector.lanes() == int(value)


@compiled
def test_lanes_follow_the_machine(monkeypatch) -> None:
    monkeypatch.delenv("FEATX_LANES", raising=False)
    assert vector.lanes() in (4, 8, 16)


def test_other_numbers_of_lanes_are_refused(monkeypatch) -> None:
    monkeypatch.setenv("FEATX_LANES", "5")
    with pytest.raises(ParameterError, match="FEATX_LANES must be 0, 4, 8 or 16, got '5'"):
        vector.lanes()


def test_no_lanes_without_the_compiler(monkeypatch) -> None:
    monkeypatch.setattr(vector.config, "DISABLE_JIT", 1)
    assert vector.lanes() == 0


# ---------------------------------------------------------------- butterflies
@pytest.mark.parametrize("radix", butterflies.RADICES)
def test_butterflies_are_small_fourier_transforms(radix: int, rng) -> None:
    x = rng.standard_normal((radix, 5)) + 1j * rng.standard_normal((radix, 5))
    out = butterflies.dft([(row.real, row.imag) for row in x])
    got = np.array([real + 1j * imag for real, imag in out])
    np.testing.assert_allclose(got, np.fft.fft(x, axis=0), atol=1e-13)
