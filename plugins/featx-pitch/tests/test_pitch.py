"""Pitch of signals whose pitch is known, kernels against numpy, and paths in pieces."""

from __future__ import annotations

import numpy as np
import pytest

import featx
from featx.testing import noise, silence
from featx_pitch import kernels, tracking
from featx_pitch.config import SR, PyinParams
from featx_pitch.tracking import PiecewisePath, Pyin, audible, frame_levels, local_transitions

#: Half a bin of CREPE; the others are exact to some cents.
CENTS = {"yin": 5.0, "pyin": 5.0, "crepe": 12.0}
NAMES = list(CENTS)
ROUNDING = 1e-5


@pytest.fixture
def rng():
    return np.random.default_rng(20_240_229)


@pytest.fixture(scope="module")
def extract():
    return {name: featx.open_extractor(name) for name in NAMES}


def voice(hertz, n_partials=12):
    """Return a tone whose frequency is given for every sample, its partials falling by 6 dB."""
    phase = 2 * np.pi * np.cumsum(hertz) / SR
    partials = [np.sin(k * phase) / k for k in range(1, n_partials + 1)]
    return np.float32(0.1 * np.sum(partials, axis=0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hertz", [82.4, 131.0, 220.0, 523.3, 987.8])
def test_tones_have_their_pitch(extract, name, hertz):
    found = extract[name](voice(np.full(SR, hertz)), SR)
    inside = slice(10, 90)
    assert (found["f0"][inside] > 0).all()
    cents = 1200 * np.log2(found["pitch"][inside, 0] / hertz)
    assert np.abs(cents).max() < CENTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_vibrato_is_followed(extract, name):
    times = np.arange(2 * SR) / SR
    hertz = 300 * 2 ** (0.5 * np.sin(2 * np.pi * 5.5 * times) / 12)
    found = extract[name](voice(hertz), SR)
    frames = np.arange(20, 180)
    truth = np.interp(found.times("f0")[frames], times, hertz)
    assert np.abs(1200 * np.log2(found["f0"][frames, 0] / truth)).max() < 20.0


@pytest.mark.parametrize("name", NAMES)
def test_noise_has_no_pitch(extract, name, rng):
    found = extract[name](noise(rng=rng, duration=1.0, sr=SR), SR)
    assert (found["f0"] == 0).mean() > 0.98
    assert len(found["notes"]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_silence_has_no_pitch_and_no_notes(extract, name):
    found = extract[name](silence(duration=1.0, sr=SR), SR)
    assert (found["f0"] == 0).all()
    assert (found["confidence"] == 0).all()
    assert found["notes"].shape == (0, 4)


def test_hum_does_not_hide_a_voice(extract):
    hum = 0.3 * np.sin(2 * np.pi * 50 * np.arange(SR) / SR)
    y = voice(np.full(SR, 277.2)) + np.float32(hum)
    f0 = extract["pyin"](y, SR)["f0"][10:90, 0]
    np.testing.assert_allclose(f0, 277.2, rtol=0.003)


@pytest.mark.parametrize("name", ["yin", "pyin"])
def test_pitch_does_not_depend_on_the_level(extract, name):
    y = voice(np.linspace(150, 400, SR))
    one, quarter = (extract[name](g * y, SR)["f0"] for g in (np.float32(1), np.float32(0.25)))
    np.testing.assert_allclose(one, quarter, rtol=1e-4)


def test_pyin_agrees_with_librosa_on_a_voice(extract):
    librosa = pytest.importorskip("librosa")
    times = np.arange(2 * SR) / SR
    y = voice(200 * 2 ** (0.4 * np.sin(2 * np.pi * 5 * times) / 12))
    y[SR // 2 : SR // 2 + 3200] = 0
    theirs, voiced, _ = librosa.pyin(
        y, sr=SR, fmin=65.0, fmax=1500.0, frame_length=1024, hop_length=160
    )
    ours = extract["pyin"](y, SR)["f0"][:, 0]
    both = voiced & (ours > 0)
    assert both.sum() > 150
    assert (voiced == (ours > 0)).mean() > 0.95
    assert np.median(np.abs(1200 * np.log2(ours[both] / theirs[both]))) < 10.0


def observe_reference(d, shortest, masses, decay, lowest, longest, per_octave, floor, n_bins):
    out = np.empty((len(d), n_bins + 1))
    for t, row in enumerate(d.astype(np.float64)):
        inside = np.arange(shortest, len(row) - 1)
        lags = inside[(row[inside] < row[inside - 1]) & (row[inside] <= row[inside + 1])]
        bend = row[lags - 1] + row[lags + 1] - 2 * row[lags]
        slope = 0.5 * (row[lags + 1] - row[lags - 1])
        shift = np.where(np.abs(slope) < np.abs(bend), -slope / bend, 0.0)
        heights, places = (
            row[lags] + 0.5 * slope * shift,
            per_octave * np.log2(longest / (lags + shift)),
        )
        probability = np.zeros(len(lags))
        for k, mass in enumerate(masses):
            below = np.flatnonzero(heights < (k + 1) / len(masses))[: len(decay)]
            if len(below):
                probability[below] += mass * decay[: len(below)] / decay[: len(below)].sum()
            elif len(lags):
                probability[heights.argmin()] += lowest * mass
        row_out = np.full(n_bins, floor)
        counted = (places >= -0.5) & (places <= n_bins - 0.5)
        for place, p in zip(
            np.clip(places[counted], 0, n_bins - 1), probability[counted], strict=True
        ):
            low = min(int(place), n_bins - 2)
            row_out[low] += p * (1 - place + low)
            row_out[low + 1] += p * (place - low)
        out[t, :-1] = row_out
        out[t, -1] = max(1 - probability[counted].sum(), floor) / n_bins
    return np.log(out)


@pytest.mark.parametrize("n_decay", [2, 32])
def test_observations_equal_their_reference(rng, n_decay):
    d = rng.uniform(0, 1.2, (20, 90)).astype(np.float32)
    d[3] = 1.0
    masses, decay = rng.dirichlet(np.ones(50)), np.exp(-2.0 * np.arange(n_decay))
    out = np.empty((20, 41), np.float32)
    rest = (0.01, 88.0, 12.0, 1e-8)
    kernels.observe_kernel(d, 9, masses, decay, *rest, np.empty((90, 3)), out)
    expected = observe_reference(d, 9, masses, decay, *rest, 40)
    np.testing.assert_allclose(np.exp(out), np.exp(expected), atol=ROUNDING)


def test_refined_lags_are_those_of_the_deepest_trough_near(rng):
    lags = np.array([20.0, 20.0, 20.0])
    d = np.ones((3, 60), np.float32)
    d[0, 20:23] = [0.5, 0.2, 0.4]  # a trough at 21
    d[1, 30] = 0.1  # too far away
    d[2, [19, 21]] = [0.3, 0.2]
    out = np.empty(3)
    kernels.refine_kernel(d, lags, 1.05, 30.0, out)
    shift = -0.5 * (0.4 - 0.5) / (0.5 + 0.4 - 2 * 0.2)
    np.testing.assert_allclose(out, [21 + shift, 20.0, 21.0], rtol=1e-6)


def test_short_periods_are_read_off_several():
    d = np.ones((1, 60), np.float32)
    d[0, 12], d[0, 49] = 0.2, 0.1  # four periods of 12.25
    out = np.empty(1)
    kernels.refine_kernel(d, np.array([12.0]), 1.05, 50.0, out)
    assert out[0] == 12.25


def test_high_pass_equals_a_butterworth_filter(rng):
    signal = pytest.importorskip("scipy.signal")
    y = rng.standard_normal(4000).astype(np.float32)
    b, a = signal.butter(2, 100.0, "high", fs=SR)
    forth = signal.lfilter(b, a, y.astype(np.float64))
    expected = signal.lfilter(b, a, forth[::-1])[::-1]
    np.testing.assert_allclose(tracking.without_hum(y), expected, atol=1e-4)


def test_levels_are_those_of_40_ms_around_every_frame(rng):
    y = rng.standard_normal(5000).astype(np.float32)
    padded = np.pad(y.astype(np.float64), (320, 1000))
    expected = [
        np.sqrt(np.mean(padded[160 * t : 160 * t + 640] ** 2)) for t in range(1 + 5000 // 160)
    ]
    np.testing.assert_allclose(frame_levels(y), expected, rtol=1e-6)


def test_a_path_in_pieces_equals_the_whole_path(rng, monkeypatch):
    monkeypatch.setattr(tracking, "_AHEAD", 30)
    observed = np.log(rng.dirichlet(np.full(12, 0.3), 400).astype(np.float32) + 1e-6)
    transitions = local_transitions(12, 2)
    whole = PiecewisePath(transitions).decide(observed, final=True)
    path, pieces, done = PiecewisePath(transitions), [], 0
    for stop in (100, 200, 220, 400):
        pieces.append(path.decide(observed[done:stop], final=stop == 400))
        done += len(pieces[-1])
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_long_recordings_are_tracked_as_short_ones(monkeypatch):
    y = voice(np.linspace(120, 480, 8 * SR))
    loud = audible(frame_levels(y))
    whole = Pyin(PyinParams()).track(y, loud)
    monkeypatch.setattr(tracking, "_BLOCK", 250)
    pieces = Pyin(PyinParams()).track(y, loud)
    np.testing.assert_allclose(pieces.pitch, whole.pitch, rtol=1e-6)
    np.testing.assert_array_equal(pieces.voiced, whole.voiced)


@pytest.mark.parametrize(
    ("name", "params"),
    [("pyin", {"fmin": 900, "fmax": 1000}), ("yin", {"trough": 0.0}), ("crepe", {"model": "big"})],
)
def test_parameters_that_break_their_rules_are_refused(name, params):
    with pytest.raises(featx.ParameterError, match="must be"):
        featx.open_extractor(name, params=params)
