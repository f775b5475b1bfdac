"""Pitch by SwiftF0 is what its package gives, in the frames of featx."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import featx
from featx.errors import PluginError
from featx.testing import check_extractor


@pytest.mark.slow
def test_extractor_conforms() -> None:
    pytest.importorskip("swift_f0", reason="swift-f0 is not installed")
    check_extractor("featx-onnx:swift-f0")


@pytest.mark.data
def test_pitch_is_that_of_the_package(data_dir: Any) -> None:
    swift_f0 = pytest.importorskip("swift_f0", reason="swift-f0 is not installed")
    path = data_dir / "singing/vocadito/vocadito_1.flac"
    y = featx.Audio.load(path, sr=16000, duration=5.0).y
    expected = swift_f0.SwiftF0(threads=1).detect(y, 16000)
    with featx.open_extractor("swift-f0") as extractor:
        found = extractor(y, 16000)
    np.testing.assert_allclose(found["pitch"][:, 0], expected.pitch_hz, rtol=1e-5)
    voiced = expected.confidence >= 0.5
    np.testing.assert_array_equal(found["f0"][:, 0] > 0, voiced)
    assert 0.2 < voiced.mean() < 1
    assert 80 < np.median(expected.pitch_hz[voiced]) < 500


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "featx_onnx.swift_f0", raising=False)
    monkeypatch.setitem(sys.modules, "swift_f0", None)
    with pytest.raises(PluginError, match="pip install swift_f0"):
        featx.open_extractor("swift-f0")
