"""The rules that every extractor keeps, checked in processes of their own.

`make peers` checks the other extractors of the adapters, which takes minutes.
"""

from __future__ import annotations

import pytest

from featx.testing import check_extractor


@pytest.mark.slow
def test_extractor_conforms() -> None:
    check_extractor("featx-librosa:librosa-onset")
