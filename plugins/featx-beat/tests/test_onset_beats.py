"""Beats from onset strength: exact times, no beats where there is no rhythm."""

from __future__ import annotations

import numpy as np
import pytest

import featx
from featx_beat.config import FPS
from featx_beat.tempo import periodicity, tempo_candidates, tempo_of_beats

SR = 22050
#: A quarter of a frame: frames are 20 ms apart, and the peak between them is a parabola's.
EXACT = 0.008

decoders = pytest.mark.parametrize("decoder", ["dp", "bar-pointer"])


def run(y, decoder="dp", **params):
    with featx.open_extractor("onset-beats", params={"decoder": decoder, **params}) as extractor:
        return extractor(y, SR)


@decoders
@pytest.mark.parametrize("start", [0.5, 0.507, 0.513])
def test_strokes_are_beats(strokes, decoder, start):
    times = start + 0.5 * np.arange(22)
    features = run(strokes(times, 12.0), decoder)
    found = features.events("beats").times
    distances = np.abs(times[:, None] - found).min(axis=1)
    assert distances.max() < EXACT
    assert features["tempo"][0, 2] == pytest.approx(120.0, abs=0.1)


@decoders
def test_silence_and_noise_have_no_beats(rng, decoder):
    for y in (np.zeros(5 * SR), 0.1 * rng.standard_normal(20 * SR)):
        features = run(y.astype(np.float32), decoder)
        assert len(features["beats"]) == len(features["tempo"]) == 0


def test_limits_choose_among_tempi(strokes):
    y = strokes(0.5 + 0.25 * np.arange(44), 12.0)
    assert run(y, max_bpm=150)["tempo"][0, 2] == pytest.approx(120.0, abs=0.5)
    assert run(y, min_bpm=180, max_bpm=300)["tempo"][0, 2] == pytest.approx(240.0, abs=0.5)


def test_limits_too_close_are_refused():
    with pytest.raises(featx.ParameterError, match="max_bpm"):
        featx.open_extractor("onset-beats", params={"min_bpm": 100.0, "max_bpm": 110.0})


def test_periodicity_of_a_sine_is_that_of_its_period():
    strength = (1 + np.sin(2 * np.pi * np.arange(1000) / 30)).astype(np.float32)
    similar = periodicity(strength, fps=FPS)
    assert similar[30] == pytest.approx(1.0, abs=0.01)
    tempi = tempo_candidates(similar, fps=FPS, min_bpm=40, max_bpm=200)
    assert tempi[0] == pytest.approx(100.0, abs=0.5)


def test_periodicity_of_a_constant_is_zero():
    assert not periodicity(np.ones(100, np.float32), fps=FPS).any()
    assert not periodicity(np.empty(0, np.float32), fps=FPS).any()


def test_confidences_are_shares():
    strength = (1 + np.sin(2 * np.pi * np.arange(1000) / 30)).astype(np.float32)
    similar = periodicity(strength, fps=FPS)
    tempi, shares = tempo_of_beats(0.6 * np.arange(20), similar, fps=FPS)
    assert tempi[0] == pytest.approx(100.0)
    assert shares.sum() == pytest.approx(1.0)
    assert len(tempo_of_beats(np.array([1.0]), similar, fps=FPS)[0]) == 0


def test_tempo_of_the_beats_comes_first_whatever_its_support():
    similar = np.zeros(400)
    similar[60], similar[120] = 0.5, 1.0  # at 100 frames per second
    tempi, shares = tempo_of_beats(0.6 * np.arange(20), similar, fps=100.0)
    assert tempi.tolist() == pytest.approx([100.0, 50.0])
    assert shares.tolist() == pytest.approx([1 / 3, 2 / 3])
