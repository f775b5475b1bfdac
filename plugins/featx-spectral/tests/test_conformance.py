"""The rules that every extractor keeps, checked in processes of their own."""

from __future__ import annotations

import pytest

from featx.testing import check_extractor


@pytest.mark.parametrize(
    "name", ["melspectrogram", "mfcc", "chroma", "spectral", "dynamics", "loudness"]
)
def test_extractor_conforms(name: str) -> None:
    check_extractor(f"featx-spectral:{name}")
