"""The rules of featx, checked by its conformance kit."""

from __future__ import annotations

from featx.testing import check_extractor


def test_conformance() -> None:
    check_extractor("example-name")
