"""The index: unit vectors under the inner product, which is the cosine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import usearch.index

from featx import DigestError, Index, StoreError
from featx.index import unit_rows

if TYPE_CHECKING:
    from featx.types import FloatArray

__all__ = ["USearch"]

_HEADER, _INDEX = "usearch.json", "index.usearch"


class USearch(Index):
    """A layered graph of neighbours; see `featx.Index`."""

    def __init__(
        self, *, links: int = 32, ef_build: int = 128, ef_search: int = 128, threads: int = 1
    ) -> None:
        self.links, self.ef_build, self.ef_search = links, ef_build, ef_search
        self.threads = threads
        self.ids: list[str] = []
        self.index: Any = None

    def build(self, vectors: FloatArray, ids: Sequence[str]) -> None:
        """See `featx.Index`."""
        self.ids = list(ids)
        self.index = usearch.index.Index(
            ndim=vectors.shape[1],
            metric="ip",
            dtype="f32",
            connectivity=self.links,
            expansion_add=self.ef_build,
            expansion_search=self.ef_search,
        )
        if len(ids):
            keys = np.arange(len(ids), dtype=np.uint64)
            self.index.add(keys, unit_rows(vectors), threads=self.threads)

    def search(self, queries: FloatArray, k: int) -> tuple[list[list[str]], FloatArray]:
        """See `featx.Index`."""
        k = min(k, len(self.ids))
        distances = np.zeros((len(queries), k), np.float32)
        if k == 0 or len(queries) == 0:
            return [[] for _ in queries], distances
        self.index.expansion_search = max(self.ef_search, 2 * k)
        rows = np.zeros(distances.shape, np.int64)
        unit = unit_rows(queries)
        found = self.index.search(unit, k)
        # one query gets a plain list, as long as what was found
        many = isinstance(found, usearch.index.BatchMatches)
        counts = np.asarray(found.counts) if many else np.array([len(found)])
        for row in np.flatnonzero(counts < k):  # the graph does not lead everywhere
            every = self.index.search(unit[row], k, exact=True)
            rows[row], distances[row] = every.keys, every.distances
        full = counts == k
        if full.any():
            rows[full] = np.atleast_2d(found.keys)[full]
            distances[full] = np.atleast_2d(found.distances)[full]
        return [[self.ids[i] for i in row] for row in rows.tolist()], distances.clip(0.0, 2.0)

    def save(self, folder: Path, store_digest: str) -> None:
        """See `featx.Index`."""
        self.index.save(str(folder / _INDEX))
        header = {
            "digest": store_digest,
            "ids": self.ids,
            "settings": {
                name: getattr(self, name) for name in ("links", "ef_build", "ef_search", "threads")
            },
        }
        (folder / _HEADER).write_text(json.dumps(header), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, store_digest: str) -> USearch:
        """See `featx.Index`; the graph is mapped, not read."""
        header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
        if header["digest"] != store_digest:
            raise DigestError(
                f"index in {folder} must belong to store state {store_digest}, got "
                f"{header['digest']}. Build it again."
            )
        index = cls(**header["settings"])
        index.ids = header["ids"]
        index.index = usearch.index.Index.restore(str(folder / _INDEX), view=True)
        if index.index is None:
            raise StoreError(f"{folder / _INDEX} must be an index of usearch. Build it again.")
        return index
