"""Auditory saliency: onsets where sounds begin, and none in what stays the same."""

from __future__ import annotations

import numpy as np
import pytest

import featx
from featx import Blocks
from featx.testing import click_train, noise, silence, tone
from featx_onset.saliency import adaptive_peaks, saliency_map

SR = 22050
TIMES = [0.5, 1.0, 1.25, 2.0]
#: Half of the window, which sees a sound before its beginning is in the middle.
CLOSE = 0.024


@pytest.fixture(scope="module")
def salonset():
    return featx.open_extractor("salonset")


def test_clicks_are_found_where_they_are(salonset):
    found = salonset(click_train(TIMES, duration=3.0, sr=SR), SR)["onsets"]
    np.testing.assert_allclose(found[:, 0], TIMES, atol=CLOSE)


def test_a_new_note_stands_out_without_a_pause(salonset):
    y = np.concatenate([silence(duration=0.5), tone(440), tone(550)])
    found = salonset(y, SR)["onsets"][:, 0]
    np.testing.assert_allclose(found[:2], [0.5, 1.5], atol=CLOSE)


def test_silence_has_no_onset(salonset):
    assert salonset(silence(duration=1.0), SR)["onsets"].shape == (0, 2)


def test_steady_noise_has_hardly_any(salonset):
    y = noise(rng=np.random.default_rng(5), duration=10, sr=SR)
    assert len(salonset(y, SR)["onsets"]) <= 5


def blocks(x, rows=4096):
    return Blocks(len(x), lambda: (x[k : k + rows] for k in range(0, max(len(x), 1), rows)))


def by_definition(power):
    """Return the saliency map of all frames at once, by loops over the frames."""
    loudness = np.maximum(
        (power / (np.percentile(power.sum(axis=1), 95) * 1e-6)).astype(np.float64) ** 0.23 - 1, 0
    )
    keep, memory = np.exp(-1 / 15), np.zeros_like(loudness)
    for t in range(1, len(power)):
        memory[t] = keep * memory[t - 1] + (1 - keep) * loudness[t - 1]
    masked = np.maximum(loudness - 0.5 * memory, 0)

    def mean(x, first, stop):
        places = np.clip(np.arange(len(x))[:, np.newaxis] + np.arange(first, stop), 0, len(x) - 1)
        return x[places].mean(axis=1)

    maps = []
    for width in (2, 5, 12):
        rise = np.maximum(mean(masked, -1, width - 1) - mean(masked, -2 * width, 0), 0)
        for bands in (1, 3):
            sides = mean(rise.T, -2 * bands, 2 * bands + 1).T
            maps += [rise, np.maximum(rise - sides, 0)]
    units = [item / item.max() for item in maps]
    return np.mean([(unit * (unit - unit.mean()) ** 2).mean(axis=1) for unit in units], axis=0)


def test_saliency_is_that_of_its_definition(rng):
    power = rng.uniform(0, 1, (3000, 40)).astype(np.float32) ** 4
    # relative to 0.05; the mean of squares is taken apart into moments
    np.testing.assert_allclose(saliency_map(blocks(power)), by_definition(power), atol=1e-7)


@pytest.mark.parametrize("rows", [1, 7, 250])
def test_lengths_of_blocks_do_not_change_saliency(rng, rows):
    power = rng.uniform(0, 1, (500, 40)).astype(np.float32) ** 4
    np.testing.assert_array_equal(saliency_map(blocks(power, rows)), saliency_map(blocks(power)))


@pytest.mark.parametrize("n", [0, 1])
def test_rounding_errors_have_no_saliency(n):
    power = np.full((n, 40), 0.1, np.float32) * np.arange(1, 41, dtype=np.float32)
    assert saliency_map(blocks(power)).tolist() == n * [0.0]


def test_saliency_does_not_depend_on_the_level(rng):
    power = rng.uniform(0, 1, (200, 40)).astype(np.float32) ** 4
    quieter = saliency_map(blocks(0.01 * power))
    np.testing.assert_allclose(saliency_map(blocks(power)), quieter, rtol=1e-4)


def test_an_onset_masks_weaker_ones_for_a_while():
    saliency = np.zeros(200)
    saliency[[50, 60, 120]] = [1.0, 0.3, 0.3]
    assert adaptive_peaks(saliency, threshold=0.05, merge=0.05).tolist() == [50, 120]


def test_onsets_within_the_merged_span_count_once():
    saliency = np.zeros(100)
    saliency[[50, 54]] = [1.0, 0.95]
    assert adaptive_peaks(saliency, threshold=0.05, merge=0.05).tolist() == [50]
    assert adaptive_peaks(saliency, threshold=0.05, merge=0.03).tolist() == [50, 54]
