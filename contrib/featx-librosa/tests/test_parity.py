"""The adapter gives what librosa gives, and says where silence and chords end."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import librosa
import numpy as np
import pytest

import featx
from featx.errors import PluginError

SR = 22050


@pytest.fixture(scope="module")
def cadence() -> np.ndarray:
    """C, F, G and C major for two seconds each, of partials, then two seconds of silence."""
    t = np.arange(2 * SR) / SR
    parts = []
    for root in (60, 65, 67, 60):
        notes = [440.0 * 2.0 ** ((root + step - 69) / 12) for step in (0, 4, 7)]
        tones = [np.sin(2 * np.pi * note * k * t) / k for note in notes for k in (1, 2, 3)]
        parts.append(np.sum(tones, axis=0) * np.exp(-t) / 8)
    return np.concatenate([*parts, np.zeros(2 * SR)]).astype(np.float32)


def features(name: str, y: np.ndarray, **params: Any) -> Any:
    with featx.open_extractor(name, params=params) as extractor:
        return extractor(y, SR)


@pytest.mark.data
def test_onsets_are_those_of_librosa(vibraphone: Any) -> None:
    expected = librosa.onset.onset_detect(y=vibraphone.y, sr=SR, units="time")
    found = features("librosa-onset", vibraphone.y)["onsets"]
    np.testing.assert_array_equal(found[:, 0], expected)
    assert len(found) > 10
    assert 0 < found[:, 1].min() <= found[:, 1].max() <= 1


@pytest.mark.data
def test_beats_and_tempo_are_those_of_librosa(vibraphone: Any) -> None:
    tempo, expected = librosa.beat.beat_track(y=vibraphone.y, sr=SR, units="time")
    found = features("librosa-beat", vibraphone.y)
    np.testing.assert_array_equal(found["beats"][:, 0], expected)
    np.testing.assert_array_equal(found["tempo"], [[expected[0], expected[-1], tempo[0], 1.0]])


@pytest.mark.data
def test_pitch_is_that_of_librosa(vibraphone: Any) -> None:
    y = vibraphone.y[: 2 * SR]
    expected, voiced, probability = librosa.pyin(y, fmin=65.0, fmax=1500.0, sr=SR)
    found = features("librosa-pyin", y)
    np.testing.assert_allclose(found["f0"][:, 0], np.nan_to_num(expected), rtol=1e-6)
    np.testing.assert_allclose(found["confidence"][:, 0], probability, atol=1e-6)
    assert voiced.any()
    assert (found["pitch"] > 0).all()


def test_pitch_stands_where_the_sound_is() -> None:
    """Clicks, by which the conformance check judges this, have no pitch."""
    y = np.zeros(3 * SR, np.float32)
    t = np.arange(SR // 2) / SR
    y[2 * SR :][: len(t)] = 0.2 * sum(np.sin(2 * np.pi * 220 * k * t) / k for k in (1, 2, 3))
    voiced = np.flatnonzero(features("librosa-pyin", y)["f0"][:, 0])
    np.testing.assert_allclose(voiced[[0, -1]] * 512 / SR, [2.0, 2.5], atol=0.05)


@pytest.mark.data
def test_mfcc_are_those_of_librosa(vibraphone: Any) -> None:
    mfcc = librosa.feature.mfcc(y=vibraphone.y, sr=SR, n_mfcc=20)
    found = features("librosa-mfcc", vibraphone.y)["summary"]
    np.testing.assert_allclose(found, np.r_[mfcc.mean(axis=1), mfcc.std(axis=1)], rtol=1e-6)


def test_chords_are_named_without_gaps(cadence: np.ndarray) -> None:
    chords = features("librosa-chords", cadence).events("chords")
    assert chords.labels == ("C:maj", "F:maj", "G:maj", "C:maj", "N")
    np.testing.assert_allclose(chords.starts, [0, 2, 4, 6, 8], atol=0.1)
    np.testing.assert_array_equal(chords.starts[1:], chords.ends[:-1])
    assert chords.ends[-1] == len(cadence) / SR


def test_key_is_named(cadence: np.ndarray) -> None:
    key = features("librosa-key", cadence).events("key")
    assert key.labels == ("C:major",)
    assert features("librosa-key", np.zeros(SR, np.float32)).events("key").labels == ("N",)


@pytest.mark.parametrize("name", ["onset", "beat"])
def test_silence_has_no_events(name: str) -> None:
    found = features(f"librosa-{name}", np.zeros(SR, np.float32))
    assert all(len(found[feature]) == 0 for feature in found)


def test_missing_librosa_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "featx_librosa.extractor", raising=False)
    monkeypatch.setitem(sys.modules, "librosa", None)
    importlib.invalidate_caches()
    with pytest.raises(PluginError, match="pip install librosa"):
        featx.open_extractor("librosa-mfcc")
