"""The rules that every extractor keeps, checked in processes of their own."""

from __future__ import annotations

from featx.testing import check_extractor


def test_extractor_conforms() -> None:
    check_extractor("featx-contrastive:contrastive")
