"""Loudness of signals whose readings the standards state, and beside pyloudnorm."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
import soxr

import featx
from featx_spectral.config import LOUDNESS_SR as SR
from featx_spectral.loudness import true_peak


def tone(dbfs: float, seconds: float, *, hz: float = 997.0) -> np.ndarray:
    """A sine whose peak is ``dbfs``."""
    t = np.arange(round(seconds * SR)) / SR
    return (10.0 ** (dbfs / 20.0) * np.sin(2 * np.pi * hz * t)).astype(np.float32)


@pytest.fixture(scope="module")
def loudness():
    """Return the features of a waveform at 48 kHz."""
    with featx.open_extractor("loudness") as extractor:
        yield lambda y: extractor(y, sr=SR)


def test_sine_at_full_scale_reads_what_the_standard_says(loudness):
    features = loudness(tone(0.0, 20.0))
    assert features["summary"][0] == pytest.approx(-3.01, abs=0.01)
    assert features["summary"][1] == pytest.approx(0.0, abs=0.01)
    assert features["momentary"].mean() == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [  # EBU Tech 3341, cases 3 and 5 (in one channel 3.01 lower), and Tech 3342, cases 1 to 4
        ([(-36, 10), (-23, 60), (-36, 10)], (-26.0, None)),
        ([(-26, 20), (-20, 20.1), (-26, 20)], (-26.0, None)),
        ([(-20, 20), (-30, 20)], (None, 10.0)),
        ([(-20, 20), (-15, 20)], (None, 5.0)),
        ([(-40, 20), (-20, 20)], (None, 20.0)),
        ([(-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)], (None, 15.0)),
    ],
)
def test_gates_and_range(loudness, levels, expected):
    y = np.concatenate([tone(dbfs, seconds) for dbfs, seconds in levels])
    for found, wanted, tolerance in zip(loudness(y)["summary"], expected, (0.1, 1.0), strict=False):
        if wanted is not None:
            assert found == pytest.approx(wanted, abs=tolerance)


def test_silence_and_short_input(loudness):
    for n in (1, 100, SR):
        features = loudness(np.zeros(n, np.float32))
        assert features["summary"].tolist() == [-70.0, 0.0, -70.0, -70.0, -70.0]
        assert len(features["momentary"]) == max(n // 4800 - 3, 1)


def test_peaks_between_the_samples_are_found():
    y = tone(0.0, 1.0, hz=SR / 4)  # the phase decides what the samples see
    t = np.arange(SR) / SR
    between = np.sin(2 * np.pi * SR / 4 * t + np.pi / 4).astype(np.float32)
    fade = np.minimum(1.0, np.minimum(np.arange(SR), np.arange(SR)[::-1]) / 4800).astype(np.float32)
    assert np.abs(between).max() == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert true_peak(between * fade) == pytest.approx(0.0, abs=0.1)
    assert true_peak(y * fade) == pytest.approx(0.0, abs=0.1)


class Meter(pyloudnorm.Meter):
    """The meter of pyloudnorm, which adds silence before it takes the range."""

    def _append_silence(self, data: np.ndarray, **_: float) -> np.ndarray:
        return data


def test_real_music_reads_as_in_pyloudnorm(loudness):
    folder = os.environ.get("FEATX_TEST_DATA")
    if not folder:
        if os.environ.get("FEATX_CI"):
            pytest.fail("FEATX_TEST_DATA must name the folder of recordings.")
        pytest.skip("FEATX_TEST_DATA is not set: no recordings.")
    paths = sorted((Path(folder) / "music").rglob("*.ogg"))[:4]
    assert paths
    meter = Meter(SR)
    for path in paths:
        y, sr = soundfile.read(path, dtype="float32", always_2d=True)
        at_rate = soxr.resample(np.ascontiguousarray(y.mean(axis=1))[: 30 * sr], sr, SR)
        found = loudness(at_rate)["summary"]
        assert found[0] == pytest.approx(meter.integrated_loudness(at_rate), abs=0.1)
        assert found[1] == pytest.approx(meter.loudness_range(at_rate), abs=0.5)
