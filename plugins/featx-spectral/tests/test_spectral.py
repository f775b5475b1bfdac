"""Outputs, columns, edges, and agreement with librosa."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from featx import ParameterError
from featx.frontend import PRESETS, compute
from featx.params import parse_params
from featx_spectral import config, descriptors, featx_extractors

SR = 22050
#: Those that describe frames and summarise them; test_dynamics.py has the other one.
NAMES = [spec.name for spec in featx_extractors() if "extractor:" in spec.factory]

#: librosa computes its descriptors in float32, ours are float64 on float32 spectra.
RTOL = 2e-5
#: Decibels of float32 means.
ATOL_DB = 1e-3
#: Decibels of the quietest bins, where the rounding of float32 transforms is largest.
VALLEY_DB = 5e-3


@pytest.fixture
def music(rng) -> np.ndarray:
    """Three notes with harmonics, rests and a little noise."""
    n = np.arange(3 * SR)
    y = 1e-3 * rng.standard_normal(len(n))
    for start, f0 in ((0.1, 220.0), (1.0, 330.0), (1.9, 1046.5)):
        t = np.maximum(n / SR - start, 0.0)
        for k in range(1, 6):
            y += 0.2 / k * np.sin(2 * np.pi * k * f0 * t) * np.exp(-4 * t) * (t > 0)
    return y.astype(np.float32)


def column(features, name: str) -> np.ndarray:
    return features["frames"][:, features.specs["frames"].column_names.index(name)]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_have_the_declared_shapes(name: str, extract, music) -> None:
    features = extract(name, music)
    frames, summary = features.specs["frames"], features.specs["summary"]
    assert features["frames"].shape[1] == frames.dim == len(frames.column_names)
    assert features["summary"].shape == (summary.dim,) == (len(summary.column_names),)
    assert features["frames"].dtype == features["summary"].dtype == np.float32
    assert len(features.times("frames")) == len(features["frames"])


@pytest.mark.parametrize("name", NAMES)
def test_summary_holds_the_named_statistics(name: str, extract, music) -> None:
    features = extract(name, music)
    spec, x = features.specs["summary"], features["frames"].astype(np.float64)
    for statistic in config.STATISTICS:
        expected = getattr(np, statistic)(x, axis=0)
        got = features["summary"][spec.aspect(statistic)]
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    last = spec.column_names.index(f"{features.specs['frames'].column_names[-1]}_median")
    assert features["summary"][last] == pytest.approx(np.median(x[:, -1]), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2, 511, 512, 513, 1024, 2047, 2048, 2049])
@pytest.mark.parametrize("silent", [False, True])
def test_short_and_silent_input_is_finite(name: str, n: int, silent: bool, extract, rng) -> None:
    y = np.zeros(n, np.float32) if silent else rng.standard_normal(n).astype(np.float32)
    features = extract(name, y)
    assert len(features["frames"]) >= 1
    assert np.isfinite(features["frames"]).all()
    assert np.isfinite(features["summary"]).all()


@pytest.mark.parametrize("name", NAMES)
def test_only_the_wanted_features_are_made(name: str, extract, music) -> None:
    assert list(extract(name, music, features=("summary",))) == ["summary"]


def test_a_front_end_without_frames_has_a_zero_summary(extract) -> None:
    features = extract("melspectrogram", np.ones(100, np.float32), front_end="kaldi")
    assert features["frames"].shape == (0, 23)
    assert not features["summary"].any()


def test_n_mfcc_and_deltas_change_the_columns(extract, music) -> None:
    assert extract("mfcc", music)["frames"].shape[1] == 13
    assert extract("mfcc", music, n_mfcc="20")["frames"].shape[1] == 20
    features = extract("mfcc", music, front_end="fe-mfcc-vq")
    np.testing.assert_array_equal(features["frames"], compute(music, "fe-mfcc-vq", sr=SR))
    assert features.specs["frames"].column_names[13] == "mfcc_0_delta"
    assert extract("mfcc", music, deltas="1")["frames"].shape[1] == 26


def test_melspectrogram_shares_the_preset_when_nothing_is_changed(extract, music) -> None:
    resolved = config.resolve_melspectrogram(parse_params(config.MelParams, {}), None)
    assert resolved.front_ends == (PRESETS["fe-artist"],)
    features = extract("melspectrogram", music)
    np.testing.assert_array_equal(features["frames"], compute(music, "fe-artist", sr=SR))
    changed = extract("melspectrogram", music, n_mels="40", compression="db")
    assert changed["frames"].shape[1] == 40
    assert changed.specs["frames"].unit == "dB"


@pytest.mark.parametrize("name", config._PLAIN_MEL)
def test_every_mel_preset_can_be_chosen(name: str) -> None:
    resolved = config.resolve_melspectrogram(parse_params(config.MelParams, {"front_end": name}), 1)
    assert resolved.output("frames").dim == PRESETS[name].n_bands()


@pytest.mark.parametrize(
    ("cls", "given", "message"),
    [
        (config.MelParams, {"front_end": "fe-raw"}, "front_end must be one of"),
        (config.MfccParams, {"n_mfcc": "0"}, "n_mfcc must be >= 1, got 0"),
        (config.MfccParams, {"deltas": "3"}, "deltas must be one of"),
        (config.SpectralParams, {"roll_percent": "1.5"}, "roll_percent must be < 1"),
        (config.SpectralParams, {"sr": "8000"}, "sr must be > 12800"),
    ],
)
def test_bad_parameters_are_named(cls, given, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        parse_params(cls, given)


def test_more_coefficients_than_bands_are_refused() -> None:
    params = parse_params(config.MfccParams, {"n_mfcc": "60", "n_mels": "40"})
    with pytest.raises(ParameterError, match="n_mfcc must be <= the 40 bands, got 60"):
        config.resolve_mfcc(params, None)


def test_n_fft_of_a_preset_with_a_shorter_window_is_refused() -> None:
    params = parse_params(config.MelParams, {"front_end": "kaldi", "n_fft": "1024"})
    with pytest.raises(ParameterError, match="n_fft must be None for front_end 'kaldi'"):
        config.resolve_melspectrogram(params, None)


# ---------------------------------------------------------------- analytic
def test_a_tone_sits_where_it_must(extract) -> None:
    y = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(SR) / SR)).astype(np.float32)
    features = extract("spectral", y)
    middle = slice(5, -5)
    assert column(features, "centroid")[middle] == pytest.approx(1000.0, abs=2.0)
    assert column(features, "rolloff")[middle] == pytest.approx(1000.0, abs=2 * SR / 2048)
    assert column(features, "bandwidth")[middle].max() < 60.0
    assert column(features, "flatness")[middle].max() < 1e-4
    assert column(features, "zero_crossing_rate")[middle] == pytest.approx(2000 / SR, rel=0.02)
    assert column(features, "rms")[middle] == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)


def test_a_starting_sine_adds_its_amplitude_to_the_flux(extract) -> None:
    n = np.arange(3 * SR)
    rise_and_fall = np.sin(np.pi * n / len(n)) ** 2
    y = (0.25 * rise_and_fall * np.sin(2 * np.pi * 86 * n / 2048)).astype(np.float32)
    assert column(extract("spectral", y), "flux").sum() == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize("pitch_class", [0, 4, 9])
def test_chroma_peaks_at_the_note(pitch_class: int, extract) -> None:
    f0 = 440.0 * 2 ** ((pitch_class - 9) / 12)
    t = np.arange(2 * SR) / SR
    y = sum(0.2 / k * np.sin(2 * np.pi * k * f0 * t) for k in (1, 2)).astype(np.float32)
    features = extract("chroma", y)
    assert features["frames"][5:-5].argmax(axis=1).tolist() == [pitch_class] * (
        len(features["frames"]) - 10
    )
    assert np.linalg.norm(features["frames"], axis=1) == pytest.approx(1.0, abs=1e-6)


# ---------------------------------------------------------------- parity
def test_descriptors_agree_with_librosa(extract, music) -> None:
    librosa = pytest.importorskip("librosa")
    features, S = extract("spectral", music), np.abs(librosa.stft(music))
    of = librosa.feature
    for name, theirs in {
        "centroid": of.spectral_centroid(S=S, sr=SR),
        "bandwidth": of.spectral_bandwidth(S=S, sr=SR),
        "rolloff": of.spectral_rolloff(S=S, sr=SR),
        "flatness": of.spectral_flatness(S=S),
        "zero_crossing_rate": of.zero_crossing_rate(music),
        "rms": of.rms(y=music),
    }.items():
        ours = column(features, name)
        np.testing.assert_allclose(ours, theirs[0], rtol=RTOL, atol=1e-7, err_msg=name)
    contrast = of.spectral_contrast(S=S, sr=SR).T
    ours = features["frames"][:, 4:11]
    np.testing.assert_allclose(ours, contrast, atol=VALLEY_DB)


def test_mfcc_and_chroma_agree_with_librosa(extract, music) -> None:
    librosa = pytest.importorskip("librosa")
    theirs = librosa.feature.mfcc(y=music, sr=SR, n_mfcc=13).T
    np.testing.assert_allclose(extract("mfcc", music)["frames"], theirs, atol=2e-3)
    theirs = librosa.feature.chroma_stft(y=music, sr=SR).T
    ours = extract("chroma", music, front_end="librosa-chroma")["frames"]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


# ---------------------------------------------------------------- blocks and imports
def test_blocks_do_not_change_the_descriptors(extract, music, monkeypatch) -> None:
    whole = extract("spectral", music)["frames"]
    monkeypatch.setattr("featx.frontend.blocks.BLOCK_SAMPLES", 7 * 2048)
    np.testing.assert_allclose(extract("spectral", music)["frames"], whole, rtol=1e-6)


def test_contrast_without_frames_is_empty() -> None:
    empty = np.zeros((0, 7), np.float32)
    assert descriptors.contrast_db(empty, empty).shape == (0, 7)


def test_listing_and_resolving_import_nothing_heavy() -> None:
    code = (
        "import sys, featx_spectral\n"
        "from featx_spectral import config\n"
        "for spec in featx_spectral.featx_extractors():\n"
        "    getattr(config, spec.resolve.split(':')[1])(spec.params(), None)\n"
        "assert not {'numpy', 'numba', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
