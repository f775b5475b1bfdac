"""Indexes for the tests of the kit: one per defect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featx import API_VERSION, IndexSpec
from featx.index import ExactIndex


class Forgetful(ExactIndex):
    """Takes whatever it finds, and loses the second half of the vectors."""

    def build(self, vectors: Any, ids: Sequence[str]) -> None:
        half = max(1, len(vectors) // 2)
        super().build(vectors[:half], ids[:half])


class Squared(ExactIndex):
    """Gives another distance."""

    def search(self, queries: Any, k: int) -> tuple[list[list[str]], Any]:
        ids, distances = super().search(queries, k)
        return ids, distances**2


class Trusting(ExactIndex):
    """Loads for any state of the store."""

    @classmethod
    def load(cls, folder: Path, store_digest: str) -> Any:
        return super().load(folder, "digest-1")


def index_spec(factory: type[ExactIndex] = ExactIndex) -> IndexSpec:
    return IndexSpec(
        name="subject",
        summary="A subject of the tests",
        version="1",
        factory=f"{factory.__module__}:{factory.__name__}",
        api=API_VERSION,
        exact=True,
    )
