"""The rules of featx, checked by its conformance kit."""

from __future__ import annotations

from featx.testing import check_loss


def test_conformance() -> None:
    check_loss("example-name")
