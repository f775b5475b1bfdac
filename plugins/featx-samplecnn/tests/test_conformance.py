"""The rules that every extractor keeps, checked in processes of their own."""

from __future__ import annotations

from featx.testing import check_extractor


def test_small_member_of_the_family_conforms() -> None:
    check_extractor("featx-samplecnn:samplecnn", params={"model": "sr2000"})
