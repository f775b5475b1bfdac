"""The rules that every extractor keeps, checked in processes of their own."""

from __future__ import annotations

import pytest

from featx.testing import check_extractor


@pytest.mark.parametrize("name", ["singonset", "superflux", "salonset"])
def test_extractor_conforms(name: str) -> None:
    check_extractor(f"featx-onset:{name}")


def test_the_method_of_the_paper_conforms() -> None:
    check_extractor("featx-onset:singonset", params={"method": "correntropy"})
