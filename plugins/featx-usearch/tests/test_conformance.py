"""The rules that every index keeps, checked in processes of their own."""

from __future__ import annotations

from featx.testing import check_index


def test_index_conforms() -> None:
    check_index("usearch")
