"""The rules that every loss keeps, checked in processes of their own."""

from __future__ import annotations

from typing import Any

import pytest

from featx.testing import check_loss


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("multi-negative-hinge", {}),
        ("triplet-euclidean", {}),
        ("triplet-euclidean", {"normalise": False, "negatives": "hardest"}),
        ("triplet-cosine", {}),
        ("batch-triplet", {}),
        ("batch-triplet", {"distance": "cosine", "negatives": "hardest", "reducer": "rows"}),
        ("cross-entropy", {}),
        ("binary-cross-entropy", {}),
        ("nt-xent", {}),
        ("info-nce", {"dim": 6, "queue_size": 10}),
        ("proxy-bce", {"dim": 6, "n_classes": 5}),
    ],
)
def test_loss_conforms(name: str, params: dict[str, Any]) -> None:
    check_loss(f"featx-losses:{name}", params=params)
