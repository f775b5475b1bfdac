"""The adapter gives what openSMILE gives."""

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
    pytest.importorskip("opensmile", reason="opensmile is not installed")
    check_extractor("featx-opensmile:opensmile-egemaps")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "feature_set", "column"),
    [
        ("opensmile-egemaps", "eGeMAPSv02", "loudness_sma3_amean"),
        ("opensmile-compare", "ComParE_2016", "pcm_RMSenergy_sma_amean"),
    ],
)
def test_functionals_are_those_of_opensmile(
    vibraphone: Any, name: str, feature_set: str, column: str
) -> None:
    opensmile = pytest.importorskip("opensmile", reason="opensmile is not installed")
    smile = opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, feature_set),
        feature_level=opensmile.FeatureLevel.Functionals,
    )
    y = vibraphone.y[: 2 * 22050]
    expected = smile.process_signal(y, 22050)
    found = featx.open_extractor(name, params={"sr": 22050})(y, 22050)["functionals"]
    np.testing.assert_array_equal(found, expected.to_numpy()[0].astype(np.float32))
    assert found[smile.feature_names.index(column)] > 0


def test_missing_opensmile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "featx_opensmile.extractor", raising=False)
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(PluginError, match="pip install opensmile"):
        featx.open_extractor("opensmile-egemaps")
