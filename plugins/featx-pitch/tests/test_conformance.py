"""The rules that every extractor keeps, checked in processes of their own."""

from __future__ import annotations

import pytest

from featx.testing import check_extractor


@pytest.mark.timeout(1200)  # CREPE hears some minutes of sound at a few times real time
@pytest.mark.parametrize("name", ["yin", "pyin", "crepe"])
def test_conformance(name):
    check_extractor(f"featx-pitch:{name}", timeout=1100.0)
