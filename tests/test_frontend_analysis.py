"""Medians, onset strength and YIN: known answers, properties, and librosa's numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from featx.analysis import (
    hpss,
    median_filter,
    onset_strength,
    overlap_lag,
    peak_pick,
    separation,
    spectral_flux,
    superflux,
    yin,
    yin_difference,
    yin_normalised_difference,
)
from featx.errors import ParameterError
from featx.frontend import PRESETS, compute, melspectrogram, n_frames, spectrogram, stft

SR = 22050
#: Masks of equal medians: a few float32 roundings of a share.
SHARE = 1e-6
#: Two float32 mel spectrograms in dB, and a mean over their bands.
DECIBEL = 1e-3
#: librosa takes the difference by float32 transforms; a parabola then moves by this much.
CENTS = 0.05
#: What the zeros behind a frame move YIN's trough by, up to a sixth of a frame being one period.
BIAS_CENTS = 20.0


def tone(frequency: float, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(int(SR * seconds)) / SR
    return (0.5 * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def music(rng, seconds: float = 2.0) -> np.ndarray:
    """Return a glide, clicks and noise."""
    n = int(SR * seconds)
    t = np.arange(n) / SR
    y = 0.4 * np.sin(2 * np.pi * (200 * t + 80 * t * t)) + 0.01 * rng.standard_normal(n)
    y[:: SR // 4] += 0.9
    return y.astype(np.float32)


def cents(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(1200.0 * np.log2(a / b))


# ---------------------------------------------------------------- medians
@pytest.fixture(params=["", "0"])
def lanes(request, monkeypatch) -> str:
    """With vectors and without."""
    if request.param:
        monkeypatch.setenv("FEATX_LANES", request.param)
    return request.param


@pytest.mark.parametrize("kernel_size", [1, 2, 9, 31, 60])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (7, 20), (70, 33)])
def test_medians_are_scipys(kernel_size: int, axis: int, shape, lanes, rng) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    S = rng.standard_normal(shape).astype(np.float32)
    found = median_filter(S, kernel_size=kernel_size, axis=axis)
    np.testing.assert_array_equal(found, sorted_middle(S, kernel_size, axis))
    if kernel_size <= shape[axis]:  # scipy 1.17 reads foreign memory where it reflects many times
        size = [1, 1]
        size[axis] = kernel_size
        expected = ndimage.median_filter(S, size=tuple(size), mode="reflect")
        np.testing.assert_array_equal(found, expected)


def sorted_middle(S: np.ndarray, kernel_size: int, axis: int) -> np.ndarray:
    half = kernel_size // 2
    widths = [(half, kernel_size - 1 - half) if k == axis else (0, 0) for k in (0, 1)]
    padded = np.pad(S, widths, mode="symmetric")
    frames = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, axis=axis)
    return np.sort(frames, axis=-1)[..., half]


def test_windows_too_large_for_a_network_give_the_same(monkeypatch, rng) -> None:
    S = rng.standard_normal((50, 20)).astype(np.float32)
    expected = median_filter(S, kernel_size=9)
    monkeypatch.setattr(separation, "_LARGEST_NETWORK", 8)
    np.testing.assert_array_equal(median_filter(S, kernel_size=9), expected)


def test_medians_of_nothing_are_nothing() -> None:
    assert median_filter(np.empty((0, 5), np.float32)).shape == (0, 5)
    assert hpss(np.empty((5, 0), np.complex64))[0].shape == (5, 0)


def test_medians_leave_their_input_as_it_is(rng) -> None:
    S = rng.random((40, 40)).astype(np.float32)
    before = S.copy()
    S.flags.writeable = False
    hpss(S)
    np.testing.assert_array_equal(S, before)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mask": True},
        {"kernel_size": (17, 9), "margin": (1.5, 4.0)},
        {"power": 1.0},
        {"margin": 2.0, "mask": True},
    ],
)
@pytest.mark.parametrize("transform", [stft, spectrogram])
def test_harmonic_and_percussive_parts_are_librosas(options, transform, lanes, rng) -> None:
    librosa = pytest.importorskip("librosa")
    S = transform(music(rng))
    got, expected = hpss(S, **options), librosa.decompose.hpss(np.abs(S).T, **options)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.dtype == (np.float32 if options.get("mask") else S.dtype)
        scale = 1.0 if options.get("mask") else np.abs(S).max()
        np.testing.assert_allclose(np.abs(ours), theirs.T, atol=SHARE * scale)


def test_hard_masks_are_librosas(lanes, rng) -> None:
    librosa = pytest.importorskip("librosa")
    S = spectrogram(music(rng))
    got = hpss(S, power=math.inf)
    np.testing.assert_array_equal(got, np.swapaxes(librosa.decompose.hpss(S.T, power=np.inf), 1, 2))


def test_parts_add_up_to_the_whole(rng) -> None:
    X = stft(music(rng))
    harmonic, percussive = hpss(X)
    np.testing.assert_allclose(harmonic + percussive, X, atol=SHARE * np.abs(X).max())


def test_tones_are_harmonic_and_clicks_percussive() -> None:
    click = np.zeros(SR, np.float32)
    click[SR // 2] = 1.0
    harmonic, percussive = hpss(spectrogram(tone(440.0)))
    assert harmonic[10:30].sum() > 20 * percussive[10:30].sum()
    harmonic, percussive = hpss(spectrogram(click))
    assert percussive.sum() > 20 * harmonic.sum()


def test_silence_is_shared_evenly() -> None:
    silence = np.zeros((40, 40), np.float32)
    assert (hpss(silence, mask=True)[0] == 0.5).all()
    assert not hpss(silence, mask=True, margin=2.0)[0].any()
    assert not hpss(silence)[1].any()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kernel_size": 0}, "kernel_size must"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size must"),
        ({"margin": 0.5}, "margin must"),
        ({"margin": math.nan}, "margin must"),
        ({"power": 0.0}, "power must"),
    ],
)
def test_separation_refuses_bad_options(options, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        hpss(np.ones((4, 4), np.float32), **options)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_separation_refuses_bad_magnitudes(value: float) -> None:
    S = np.ones((4, 4), np.float32)
    S[2, 2] = value
    with pytest.raises(ParameterError, match="S must be finite, and >= 0"):
        hpss(S)


def test_medians_refuse_bad_input() -> None:
    with pytest.raises(ParameterError, match="S must be two-dimensional float32"):
        median_filter(np.ones(4, np.float32))
    with pytest.raises(ParameterError, match="axis must"):
        median_filter(np.ones((4, 4), np.float32), axis=2)
    with pytest.raises(ParameterError, match="S must be free of NaN"):
        median_filter(np.full((4, 4), np.nan, np.float32))


# ---------------------------------------------------------------- onsets
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lag": 2, "max_size": 3},
        {"lag": 3, "max_size": 4, "center": False},
        {"detrend": True},
        {"aggregate": "median"},
        {"n_fft": 1024, "hop_length": 256},
    ],
)
def test_onset_strength_is_librosas(options, rng) -> None:
    librosa = pytest.importorskip("librosa")
    theirs = {**options, "aggregate": getattr(np, options.get("aggregate", "mean"))}
    y = music(rng)
    sizes = {key: value for key, value in options.items() if key in ("n_fft", "hop_length")}
    expected = librosa.onset.onset_strength(y=y, sr=SR, **theirs)
    np.testing.assert_allclose(onset_strength(y, sr=SR, **options), expected, atol=DECIBEL)
    S = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=SR, **sizes))
    expected = librosa.onset.onset_strength(S=S, sr=SR, **theirs)
    np.testing.assert_allclose(
        onset_strength(S=np.ascontiguousarray(S.T), **options), expected, atol=1e-5 * S.max() + 1e-4
    )


def test_own_references_are_compared_with(rng) -> None:
    S, ref = rng.random((9, 5)).astype(np.float32), rng.random((9, 5)).astype(np.float32)
    expected = np.r_[0.0, np.maximum(S[1:] - ref[:-1], 0.0).sum(axis=1)]
    np.testing.assert_allclose(spectral_flux(S, ref=ref), expected, rtol=1e-6)


@pytest.mark.parametrize("n_samples", [0, 1, 511, 512, 5000])
def test_onset_strength_has_a_value_per_frame(n_samples: int) -> None:
    envelope = onset_strength(np.zeros(n_samples, np.float32))
    assert envelope.shape == (n_frames(n_samples, PRESETS["librosa"]),)
    assert not envelope.any()


def test_lags_follow_the_overlap_of_windows() -> None:
    # symmetric Hann of 2048: above half of its peak from sample 512 on, 512 / 220.5 hops
    assert overlap_lag("fe-superflux") == 2
    assert overlap_lag("fe-superflux", ratio=0.0) == 5
    assert overlap_lag("fe-sample-mel-729") == 1


def test_superflux_is_its_definition(rng) -> None:
    y = music(rng)
    S = compute(y, "fe-superflux", sr=44100)
    padded = np.pad(S, ((0, 0), (1, 1)), mode="edge")
    widest = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    expected = np.r_[0.0, 0.0, np.maximum(S[2:] - widest[:-2], 0.0).sum(axis=1, dtype=float)]
    np.testing.assert_allclose(superflux(y, sr=44100), expected, rtol=1e-6)


def test_vibrato_raises_superflux_less_than_plain_flux() -> None:
    t = np.arange(44100) / 44100
    phase = 2 * np.pi * 440 * t + 5.0 * np.sin(2 * np.pi * 6 * t)
    S = compute((0.5 * np.sin(phase)).astype(np.float32), "fe-superflux", sr=44100)
    inner = slice(20, 180)
    plain, filtered = spectral_flux(S, lag=2), spectral_flux(S, lag=2, max_size=3)
    assert filtered[inner].mean() < 0.2 * plain[inner].mean()


def test_superflux_peaks_are_the_clicks() -> None:
    clicks = 44100 * np.arange(1, 8) // 4
    y = np.zeros(2 * 44100, np.float32)
    y[clicks] = 1.0
    fps = 200
    peaks = peak_pick(
        superflux(y), pre_max=fps // 100, post_max=fps // 20 + 1, pre_avg=3 * fps // 20,
        post_avg=1, delta=1.1, wait=3 * fps // 100,
    )  # fmt: skip
    # a window of 9.3 hops sees a click from 5 frames before it on, the lag is 2
    assert len(peaks) == len(clicks)
    assert np.abs(peaks - clicks / 220.5).max() <= 5


@pytest.mark.parametrize("delta", [0.0, 0.07, 0.3])
@pytest.mark.parametrize("windows", [(0, 1, 0, 1, 0), (2, 1, 4, 5, 2), (5, 3, 20, 1, 8)])
def test_peaks_are_librosas(delta: float, windows, rng) -> None:
    librosa = pytest.importorskip("librosa")
    x = rng.random(500).astype(np.float32)
    names = ("pre_max", "post_max", "pre_avg", "post_avg", "wait")
    options = {**dict(zip(names, windows, strict=True)), "delta": delta}
    np.testing.assert_array_equal(peak_pick(x, **options), librosa.util.peak_pick(x, **options))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lag": 0}, "lag must"),
        ({"max_size": 0}, "max_size must"),
        ({"aggregate": "sum"}, "aggregate must"),
        ({"ref": np.zeros((3, 5), np.float32)}, "ref must have the shape"),
        ({"hop_length": 0}, "hop_length must"),
        ({"y": np.zeros(9, np.float32)}, "only one of y and S"),
        ({"S": None}, "y or S must"),
        ({"S": np.full((4, 5), np.nan, np.float32)}, "S must be finite"),
        ({"S": np.zeros((4, 5))}, "S must be two-dimensional float32"),
    ],
)
def test_onset_strength_refuses_bad_arguments(options, match: str) -> None:
    arguments = {"S": np.zeros((4, 5), np.float32), **options}
    with pytest.raises(ParameterError, match=match):
        onset_strength(**arguments)


@pytest.mark.parametrize("name", ["pre_max", "post_max", "pre_avg", "post_avg", "delta", "wait"])
def test_peaks_refuse_bad_windows(name: str) -> None:
    good = {"pre_max": 1, "post_max": 1, "pre_avg": 1, "post_avg": 1, "delta": 0.0, "wait": 0}
    with pytest.raises(ParameterError, match=name):
        peak_pick(np.zeros(4, np.float32), **{**good, name: -1})


def test_mel_and_onset_strength_share_their_defaults(rng) -> None:
    y = music(rng)
    power = melspectrogram(y)
    S = 10.0 * np.log10(np.maximum(power, 1e-10))
    S = np.maximum(S, S.max() - 80.0).astype(np.float32)
    np.testing.assert_allclose(onset_strength(S=S), onset_strength(y), atol=DECIBEL)


# ---------------------------------------------------------------- pitch
@pytest.mark.parametrize("frequency", [70.0, 110.0, 220.0, 441.3, 1000.0, 2000.0])
def test_yin_finds_tones(frequency: float, lanes) -> None:
    f0 = yin(tone(frequency), fmin=60.0, fmax=2100.0, center=False)
    assert cents(f0, frequency).max() < BIAS_CENTS


@pytest.mark.parametrize("win_length", [1024, 1500])
def test_windows_within_the_frame_have_no_bias(win_length: int) -> None:
    f0 = yin(tone(220.0), fmin=60.0, fmax=2000.0, win_length=win_length, center=False)
    assert cents(f0, 220.0).max() < 0.2


def test_tones_above_the_range_are_found_at_a_sub_multiple() -> None:
    f0 = yin(tone(900.0), fmin=60.0, fmax=800.0, center=False)
    assert cents(f0, 450.0).max() < BIAS_CENTS


def test_silence_has_the_highest_pitch() -> None:
    assert (yin(np.zeros(5000, np.float32), fmin=60.0, fmax=2000.0) == SR / (SR // 2000)).all()
    assert (yin_normalised_difference(np.zeros(5000, np.float32), max_lag=9) == 1.0).all()


def test_loudness_changes_no_pitch(rng) -> None:
    y = music(rng)
    loud, quiet = (yin(g * y, fmin=60.0, fmax=2000.0) for g in np.float32([1.0, 2.0**-20]))
    np.testing.assert_array_equal(loud, quiet)


@pytest.mark.parametrize("hop_length", [100, 512, 3000])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("kind", ["tone", "glide", "noise"])
def test_yin_is_librosas(hop_length: int, center: bool, kind: str, lanes, rng) -> None:
    librosa = pytest.importorskip("librosa")
    y = {"tone": tone(330.0), "glide": music(rng), "noise": rng.standard_normal(SR)}[kind]
    options = {"fmin": 65.0, "fmax": 2093.0, "hop_length": hop_length, "center": center}
    got = yin(y.astype(np.float32), sr=SR, **options)
    expected = librosa.yin(y.astype(np.float32), sr=SR, **options)
    assert got.shape == expected.shape
    # at a jump, either of two lags is right
    assert np.mean(cents(got, expected) > CENTS) < 0.01


@pytest.mark.data
@pytest.mark.parametrize("number", [1, 10, 14])
def test_yin_of_singing_is_librosas(number: int, data_dir: Path) -> None:
    librosa = pytest.importorskip("librosa")
    soundfile = pytest.importorskip("soundfile")
    path = data_dir / "singing" / "vocadito" / f"vocadito_{number}.flac"
    y, sr = soundfile.read(path, dtype="float32", frames=10 * 44100)
    options = {"fmin": 65.0, "fmax": 1200.0, "sr": sr, "frame_length": 4096}
    got, expected = yin(y, **options), librosa.yin(y, **options)
    # frames of silence and breath have many equal troughs
    assert np.mean(cents(got, expected) > 1.0) < 0.01


@pytest.mark.parametrize("n_samples", [0, 1, 255, 256, 2047, 2048, 70000])
@pytest.mark.parametrize("center", [True, False])
def test_differences_have_a_row_per_frame(n_samples: int, center: bool, rng) -> None:
    y = rng.standard_normal(n_samples).astype(np.float32)
    d = yin_difference(y, max_lag=50, hop_length=256, center=center)
    expected = 1 + (n_samples if center else n_samples - 2048) // 256
    assert d.shape == (max(0, expected) if n_samples else 0, 51)
    assert not d[:, 0].any()
    assert np.isfinite(d).all()


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@pytest.mark.parametrize("n_samples", [100, 1500, 30000])
def test_padding_is_numpys(pad_mode: str, n_samples: int, rng) -> None:
    y = rng.standard_normal(n_samples).astype(np.float32)
    mode = pad_mode if n_samples > 512 else "constant"
    padded = np.pad(y, 512, mode=mode)
    options = {"max_lag": 70, "frame_length": 1024, "hop_length": 64}
    got = yin_difference(y, pad_mode=pad_mode, **options)
    np.testing.assert_array_equal(got, yin_difference(padded, center=False, **options))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fmin": 0.0}, "fmin and fmax"),
        ({"fmin": 900.0}, "fmin and fmax"),
        ({"fmax": 20000.0}, "fmin and fmax"),
        ({"sr": 0}, "sr must"),
        ({"trough_threshold": 0.0}, "trough_threshold"),
        ({"frame_length": 300}, "frame_length must exceed a period"),
        ({"hop_length": 0}, "hop_length"),
        ({"win_length": 3000}, "win_length"),
        ({"pad_mode": "wrap"}, "pad_mode"),
    ],
)
def test_yin_refuses_bad_options(options, match: str) -> None:
    arguments = {"fmin": 60.0, "fmax": 800.0, **options}
    with pytest.raises(ParameterError, match=match):
        yin(tone(220.0), **arguments)


def test_yin_refuses_bad_samples() -> None:
    with pytest.raises(ParameterError, match="y must be finite"):
        yin(np.full(3000, np.nan, np.float32), fmin=60.0, fmax=800.0)
    with pytest.raises(ParameterError, match="max_lag"):
        yin_difference(tone(220.0), max_lag=2048)
