"""Indexes for the tests of the kit: one per defect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

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


class Dividing(ExactIndex):
    """Divides by the length of an all-zero query."""

    def search(self, queries: Any, k: int) -> tuple[list[list[str]], Any]:
        ids, distances = super().search(queries, k)
        distances[~queries.any(axis=1)] = np.nan
        return ids, distances


class Random(ExactIndex):
    """Draws anew for every build."""

    def build(self, vectors: Any, ids: Sequence[str]) -> None:
        noise = np.random.default_rng().standard_normal(vectors.shape).astype(np.float32)
        super().build(vectors + noise / 100, ids)


class InPlace(ExactIndex):
    """Scales what it is given."""

    def build(self, vectors: Any, ids: Sequence[str]) -> None:
        vectors *= 0.5
        super().build(vectors, ids)


class Few(ExactIndex):
    """Returns one neighbour too few."""

    def search(self, queries: Any, k: int) -> tuple[list[list[str]], Any]:
        return super().search(queries, k - 1)


class WrongError(ExactIndex):
    """Refuses another state of the store with another error."""

    @classmethod
    def load(cls, folder: Path, store_digest: str) -> Any:
        if store_digest != "digest-1":
            raise KeyError(store_digest)
        return super().load(folder, store_digest)


class Unbound(ExactIndex):
    """Forgets the decorator."""

    def load(self, folder: Path, store_digest: str) -> Any:  # type: ignore[override]
        return ExactIndex.load(folder, store_digest)


def index_spec(factory: type[ExactIndex] = ExactIndex) -> IndexSpec:
    return IndexSpec(
        name="subject",
        summary="A subject of the tests",
        version="1",
        factory=f"{factory.__module__}:{factory.__name__}",
        api=API_VERSION,
        exact=True,
    )
