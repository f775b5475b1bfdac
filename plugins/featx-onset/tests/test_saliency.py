"""Auditory saliency: onsets where sounds begin, and none in what stays the same."""

from __future__ import annotations

import numpy as np
import pytest

import featx
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


def test_saliency_does_not_depend_on_the_level(rng):
    power = rng.uniform(0, 1, (200, 40)).astype(np.float32) ** 4
    np.testing.assert_allclose(saliency_map(power), saliency_map(0.01 * power), rtol=1e-4)


def test_an_onset_masks_weaker_ones_for_a_while():
    saliency = np.zeros(200)
    saliency[[50, 60, 120]] = [1.0, 0.3, 0.3]
    assert adaptive_peaks(saliency, threshold=0.05, merge=0.05).tolist() == [50, 120]


def test_onsets_within_the_merged_span_count_once():
    saliency = np.zeros(100)
    saliency[[50, 54]] = [1.0, 0.95]
    assert adaptive_peaks(saliency, threshold=0.05, merge=0.05).tolist() == [50]
    assert adaptive_peaks(saliency, threshold=0.05, merge=0.03).tolist() == [50, 54]
