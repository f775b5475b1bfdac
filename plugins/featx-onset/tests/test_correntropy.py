"""Correntropy: the properties of its definition, its kernels and their numpy twins."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.signal

from featx.testing import click_train, tone
from featx_onset import kernels
from featx_onset.correntropy import (
    adapted_width,
    autocorrentropy,
    compressed_bands,
    correntropy_change,
    gammatone_envelopes,
    silverman_width,
)

LAG = 8
#: One minus a Gaussian, rounded to float32.
ROUNDING = 1e-6


@pytest.fixture
def X(rng):
    return rng.uniform(0, 1, (60, 64)).astype(np.float32)


@pytest.fixture
def weights(rng):
    g = rng.uniform(0.1, 1, 64)
    return g / g.sum()


def change_reference(X, weights, lag, sigma, spread):
    X = X.astype(np.float64)
    out = np.zeros((len(X), 3))
    most = np.stack([X[:, max(0, c - spread) : c + spread + 1].max(axis=1) for c in range(64)], 1)
    for k, difference in ((1, X[lag:] - most[:-lag]), (2, X[:-lag] - most[lag:])):
        rise = np.maximum(difference, 0)
        out[lag // 2 : -lag // 2, k] = ((1 - np.exp(-(rise**2) / (2 * sigma**2))) * weights).sum(
            axis=1
        )
    out[:, 0] = out[:, 1] + out[:, 2]
    return out


@pytest.mark.parametrize("spread", [0, 1, 2])
def test_change_equals_its_reference(X, weights, spread):
    found = correntropy_change(X, weights, lag=LAG, sigma=0.2, spread=spread)
    np.testing.assert_allclose(found, change_reference(X, weights, LAG, 0.2, spread), atol=ROUNDING)


def test_change_is_symmetric(X, weights):
    forth = correntropy_change(X, weights, lag=LAG, sigma=0.2)
    back = correntropy_change(X[::-1].copy(), weights, lag=LAG, sigma=0.2)
    np.testing.assert_allclose(back[::-1], forth[:, [0, 2, 1]], atol=ROUNDING)


def test_change_is_0_only_for_equal_frames(X, weights):
    frames = np.repeat(X[:1], 20, axis=0)
    assert not correntropy_change(frames, weights, lag=LAG, sigma=0.2).any()
    frames[12:, 5] += 0.3
    d = correntropy_change(frames, weights, lag=LAG, sigma=0.2, spread=0)
    assert np.flatnonzero(d[:, 0]).tolist() == list(range(8, 16))


def test_change_tends_to_the_mean_square_for_wide_kernels(X, weights):
    sigma = 100.0
    d = correntropy_change(X, weights, lag=LAG, sigma=sigma, spread=0)[
        LAG // 2 : -LAG // 2, 0
    ].astype(np.float64)
    square = ((X[LAG:] - X[:-LAG]).astype(np.float64) ** 2 * weights).sum(axis=1)
    np.testing.assert_allclose(d * 2 * sigma**2, square, rtol=1e-3)


def test_correntropy_holds_all_even_moments(X, weights):
    sigma = 0.5
    d = correntropy_change(X, weights, lag=LAG, sigma=sigma, spread=0)[LAG // 2 : -LAG // 2, 0]
    u = (X[LAG:] - X[:-LAG]).astype(np.float64)
    series = sum(
        (-1) ** (k + 1) / (2**k * math.factorial(k)) * ((u / sigma) ** (2 * k) * weights).sum(1)
        for k in range(1, 20)
    )
    np.testing.assert_allclose(d, series, atol=ROUNDING)


@pytest.mark.parametrize(("spread", "neighbours"), [(0, 0), (1, 1)])
def test_an_odd_band_changes_no_more_than_its_weight(X, weights, rng, spread, neighbours):
    before = correntropy_change(X, weights, lag=LAG, sigma=0.2, spread=spread)
    for band in (0, 17, 63):
        odd = X.copy()
        odd[:, band] = rng.uniform(0, 5, len(X))
        after = correntropy_change(odd, weights, lag=LAG, sigma=0.2, spread=spread)
        limit = weights[max(0, band - neighbours) : band + neighbours + 1].sum()
        assert np.abs(after - before).max() <= limit + ROUNDING


def test_envelope_kernel_equals_filters_one_after_the_other(rng):
    y = rng.standard_normal(4000).astype(np.float32)
    found = gammatone_envelopes(y)
    centre = 1000.0
    c = 5
    from featx.frontend import erb_frequencies

    centre = erb_frequencies(64, fmin=80, fmax=7000)[c]
    width = 1.019 * 24.7 * (1 + 4.37e-3 * centre)
    pole = np.exp(2 * np.pi * (-width + 1j * centre) / 16000)
    band = y.astype(np.complex128)
    for _ in range(4):
        band = scipy.signal.lfilter([1], [1, -pole], band)
    rectified = np.maximum(band.real * 2 * (1 - abs(pole)) ** 4, 0)
    low = scipy.signal.lfilter(*scipy.signal.butter(2, 50, fs=16000), rectified)
    np.testing.assert_allclose(found[:50, c], np.maximum(low, 0)[::80], atol=1e-6)


def test_a_tone_is_loudest_in_its_band():
    from featx.frontend import erb_frequencies

    centres = erb_frequencies(64, fmin=80, fmax=7000)
    env = gammatone_envelopes(tone(centres[30], duration=0.5, sr=16000, amplitude=0.5))
    assert env[-20].argmax() == 30
    assert env[-20, 30] == pytest.approx(0.5 / np.pi, rel=0.01)


@pytest.mark.parametrize("n", [0, 1, 79, 80, 81])
def test_envelopes_have_a_frame_per_hop_and_one_more(n):
    assert gammatone_envelopes(np.ones(n, np.float32)).shape == (1 + n // 80, 64)


def test_bands_do_not_depend_on_the_level():
    y = click_train([0.2, 0.5], duration=1.0, sr=16000, amplitude=0.5)
    loud, quiet = (
        compressed_bands(gammatone_envelopes(gain * y), float(gain) * 0.05)[0]
        for gain in (np.float32(1), np.float32(0.1))
    )
    np.testing.assert_allclose(loud, quiet, atol=1e-4)


def test_plain_width_collapses_in_sustained_sound_and_the_adapted_one_does_not():
    frames = np.ones((400, 64), np.float32)
    frames[:100] = 0.0
    frames += np.random.default_rng(1).normal(0, 1e-3, frames.shape).astype(np.float32)
    assert silverman_width(frames, lag=LAG) < 0.001
    assert adapted_width(frames, np.full(64, 1 / 64), lag=LAG) == 0.1


def test_autocorrentropy_of_a_tone_is_1_at_its_period(rng):
    x = tone(200.0, duration=0.2, sr=16000)
    lags = np.array([0, 40, 80, 160])
    found = autocorrentropy(x, starts=np.array([200, 900]), width=800, lags=lags, sigma=0.2)
    assert found[:, [0, 2, 3]].min() > 1 - 1e-4
    assert found[:, 1].max() < 0.6
    expected = np.exp(-((x[200:1000] - x[160:960]).astype(np.float64) ** 2) / 0.08).mean()
    assert found[0, 1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_schedule_is_the_best_of_all_subsets(seed):
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 60, 9)
    pairs = np.stack([starts, starts + rng.integers(12, 40, 9)], axis=1)
    pairs = pairs[np.argsort(pairs[:, 1])]
    gains = rng.uniform(0.01, 1, 9)
    before = np.searchsorted(pairs[:, 1], pairs[:, 0] + 4, "right")
    chosen, best = np.empty(9, np.bool_), np.empty(10)
    kernels.schedule_kernel(gains, before, best, chosen)

    def allowed(subset):
        spans = pairs[list(subset)]
        return all(a[1] <= b[0] + 4 for a, b in itertools.pairwise(spans))

    subsets = [[k for k in range(9) if mask >> k & 1] for mask in range(512)]
    most = max(gains[subset].sum() for subset in subsets if allowed(subset))
    assert gains[chosen].sum() == pytest.approx(most)
    assert allowed(np.flatnonzero(chosen))
