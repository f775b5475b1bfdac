"""The rules that every index keeps, checked in processes of their own."""

from __future__ import annotations

import pytest

from featx.testing import check_index


@pytest.mark.parametrize("name", ["faiss-flat", "faiss-ivf", "faiss-hnsw", "faiss-pq"])
def test_index_conforms(name: str) -> None:
    check_index(name)
