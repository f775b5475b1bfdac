"""The test signals are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from featx.errors import ParameterError
from featx.testing import chirp, click_train, constant, noise, silence, tone


def test_tone_peaks_at_its_frequency():
    y = tone(440.0, duration=1.0, sr=8000)
    assert np.abs(np.fft.rfft(y)).argmax() == 440


def test_tone_is_float32_of_given_length_and_amplitude():
    y = tone(1000.0, duration=0.5, sr=16000, amplitude=0.25)
    assert (y.shape, y.dtype) == ((8000,), np.float32)
    assert np.abs(y).max() == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize(("fmin", "fmax"), [(100.0, 3000.0), (3000.0, 100.0), (500.0, 500.0)])
def test_chirp_runs_from_first_to_last_frequency(fmin, fmax):
    y = chirp(fmin, fmax, duration=4.0, sr=8000)
    heads = [
        np.abs(np.fft.rfft(part * np.hanning(800))).argmax() * 10 for part in (y[:800], y[-800:])
    ]
    assert heads[0] == pytest.approx(fmin, rel=0.15)
    assert heads[1] == pytest.approx(fmax, rel=0.15)


def test_clicks_start_where_asked():
    y = click_train([0.25, 0.5], duration=1.0, sr=8000)
    assert np.flatnonzero(y)[0] == 2000
    assert y[4000] == pytest.approx(0.9)
    assert not y[2200:4000].any()


def test_click_beyond_the_end_is_cut_off():
    assert not click_train([2.0], duration=1.0).any()


def test_noise_repeats_with_the_seed_and_stays_in_range():
    first = noise(rng=np.random.default_rng(3), amplitude=0.1)
    second = noise(rng=np.random.default_rng(3), amplitude=0.1)
    assert np.array_equal(first, second)
    assert np.abs(first).max() <= 0.1


def test_silence_and_constant():
    assert not silence(duration=0.1).any()
    assert (constant(1.0, duration=0.1) == 1.0).all()


def test_tone_above_nyquist_is_refused():
    with pytest.raises(ParameterError, match="frequency"):
        tone(5000.0, sr=8000)


def test_negative_duration_is_refused():
    with pytest.raises(ParameterError, match="duration"):
        silence(duration=-1.0)
