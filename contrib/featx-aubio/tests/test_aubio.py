"""The adapter gives what aubio gives."""

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
def aubio() -> Any:
    return pytest.importorskip("aubio", reason="aubio is not installed")


@pytest.fixture(scope="module")
def drums(data_dir: Path) -> Any:
    path = data_dir / "beats/mdbdrums/MusicDelta_Rock_MIX.flac"
    return featx.Audio.load(path, sr=SR, duration=10.0).y


def direct(detector: Any, y: Any, hop: int) -> list[float]:
    times = []
    for start in range(0, len(y), hop):
        block = np.zeros(hop, np.float32)
        block[: len(y[start : start + hop])] = y[start : start + hop]
        if detector(block):
            times.append(detector.get_last_s())
    return times


def features(name: str, y: Any) -> Any:
    with featx.open_extractor(name) as extractor:
        return extractor(y, SR)


@pytest.mark.slow
def test_extractor_conforms(aubio: Any) -> None:
    check_extractor("featx-aubio:aubio-onset")


@pytest.mark.data
def test_onsets_are_those_of_aubio(aubio: Any, drums: Any) -> None:
    expected = direct(aubio.onset("default", 512, 256, SR), drums, 256)
    found = features("aubio-onset", drums)["onsets"]
    np.testing.assert_array_equal(found[:, 0], expected)
    assert len(found) > 20


@pytest.mark.data
def test_beats_and_tempo_are_those_of_aubio(aubio: Any, drums: Any) -> None:
    detector = aubio.tempo("default", 1024, 512, SR)
    expected = direct(detector, drums, 512)
    found = features("aubio-beat", drums)
    np.testing.assert_array_equal(found["beats"][:, 0], expected)
    np.testing.assert_allclose(
        found["tempo"], [[expected[0], expected[-1], detector.get_bpm(), detector.get_confidence()]]
    )
    assert len(expected) > 5


@pytest.mark.parametrize("name", ["aubio-onset", "aubio-beat"])
def test_silence_has_no_events(aubio: Any, name: str) -> None:
    found = features(name, np.zeros(2 * SR, np.float32))
    assert all(len(found[feature]) == 0 for feature in found)


def test_missing_aubio_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "featx_aubio.extractor", raising=False)
    monkeypatch.setitem(sys.modules, "aubio", None)
    with pytest.raises(PluginError, match="pip install aubio"):
        featx.open_extractor("aubio-onset")
