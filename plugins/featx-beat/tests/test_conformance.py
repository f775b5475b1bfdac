"""The conformance check of every extractor."""

from __future__ import annotations

import pytest

from featx.testing import check_extractor


@pytest.mark.parametrize("name", ["beats", "onset-beats"])
def test_conformance(name):
    check_extractor(name)
