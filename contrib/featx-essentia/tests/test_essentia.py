"""The adapter gives what Essentia gives."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featx
from featx.errors import PluginError
from featx.testing import check_extractor

SR = 44100


@pytest.fixture(scope="module")
def standard() -> Any:
    return pytest.importorskip("essentia.standard", reason="essentia is not installed")


@pytest.fixture(scope="module")
def music(data_dir: Path) -> Any:
    path = data_dir / "music/librosa/kevin_macleod__vibe_ace.ogg"
    return featx.Audio.load(path, sr=SR, offset=5.0, duration=10.0).y


def features(name: str, y: Any) -> Any:
    with featx.open_extractor(name) as extractor:
        return extractor(y, SR)


@pytest.mark.slow
def test_extractor_conforms(standard: Any) -> None:
    check_extractor("featx-essentia:essentia-key")


@pytest.mark.data
def test_onsets_are_those_of_essentia(standard: Any, music: Any) -> None:
    expected, _ = standard.OnsetRate()(music)
    found = features("essentia-onset", music)["onsets"]
    np.testing.assert_array_equal(found[:, 0].astype(np.float32), expected)
    assert len(found) > 10


@pytest.mark.data
def test_beats_and_tempo_are_those_of_essentia(standard: Any, music: Any) -> None:
    tempo, expected, confidence, _, _ = standard.RhythmExtractor2013(method="multifeature")(music)
    found = features("essentia-beat", music)
    np.testing.assert_array_equal(found["beats"][:, 0].astype(np.float32), expected)
    np.testing.assert_allclose(found["tempo"][0, 2:], [tempo, confidence / 5.32], rtol=1e-6)


@pytest.mark.data
def test_key_is_that_of_essentia(standard: Any, music: Any) -> None:
    root, mode, strength = standard.KeyExtractor()(music)
    key = features("essentia-key", music).events("key")
    flats = {"Ab": "G#", "Bb": "A#", "Db": "C#", "Eb": "D#", "Gb": "F#"}
    assert key.labels == (f"{flats.get(root, root)}:{mode}",)
    np.testing.assert_allclose(key.confidences, [strength], rtol=1e-6)


@pytest.mark.data
def test_melody_is_that_of_essentia(standard: Any, music: Any) -> None:
    expected, confidence = standard.PredominantPitchMelodia()(standard.EqualLoudness()(music))
    found = features("essentia-melodia", music)
    np.testing.assert_array_equal(found["f0"][:, 0], expected)
    np.testing.assert_array_equal(found["confidence"][:, 0], confidence)
    assert 0.2 < (expected > 0).mean() < 1


def test_silence_has_no_beats_and_no_key(standard: Any) -> None:
    silence = np.zeros(2 * SR, np.float32)
    found = features("essentia-beat", silence)
    assert [len(found["beats"]), len(found["tempo"])] == [0, 0]
    assert features("essentia-key", silence).events("key").labels == ("N",)


def test_missing_essentia_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "featx_essentia.extractor", raising=False)
    monkeypatch.setitem(sys.modules, "essentia", None)
    with pytest.raises(PluginError, match="pip install essentia"):
        featx.open_extractor("essentia-key")
