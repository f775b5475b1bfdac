"""Vectors and ids in, neighbours out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from featx import DigestError, Index
from featx.index import unit_rows

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray


class ExampleName(Index):
    """Tracks in cells, each around the vector of one of them."""

    def __init__(self, *, n_cells: int = 0, n_probe: int = 12) -> None:
        self.n_cells, self.n_probe = n_cells, n_probe

    def build(self, vectors: FloatArray, ids: Sequence[str]) -> None:
        """Take vectors ``(n, dim)`` and their ids."""
        self.ids = list(ids)
        self.unit = unit_rows(vectors)  # length 1; zero rows stay zero
        n_cells = min(self.n_cells or round(len(ids) ** 0.5), len(ids))
        seeds = np.random.default_rng(0).choice(len(ids), n_cells, replace=False)
        self.centres = self.unit[seeds]
        self.cells = (self.unit @ self.centres.T).argmax(axis=1)

    def search(self, queries: FloatArray, k: int) -> tuple[list[list[str]], FloatArray]:
        """Return ids and distances ``(n_queries, min(k, n))``, nearest first."""
        k = min(k, len(self.ids))
        ids, distances = [], np.zeros((len(queries), k), np.float32)
        for row, query in enumerate(unit_rows(queries)):
            rows = self.candidates(query, k)
            far = np.clip(1.0 - self.unit[rows] @ query, 0.0, 2.0)
            nearest = np.argsort(far, kind="stable")[:k]
            distances[row] = far[nearest]
            ids.append([self.ids[i] for i in rows[nearest]])
        return ids, distances

    def candidates(self, query: FloatArray, k: int) -> AnyArray:
        """Return the rows of the nearest cells, of more than n_probe if they hold too few."""
        order = np.argsort(-(self.centres @ query), kind="stable")
        filled = np.cumsum(np.bincount(self.cells, minlength=len(order))[order])
        n_probe = max(self.n_probe, 1 + int(np.searchsorted(filled, k)))
        return np.flatnonzero(np.isin(self.cells, order[:n_probe]))

    def save(self, folder: Path, store_digest: str) -> None:
        """Write the index to ``folder``, bound to the state of the store."""
        np.savez(folder / "cells.npz", unit=self.unit, centres=self.centres, cells=self.cells)
        header = {"digest": store_digest, "ids": self.ids, "n_probe": self.n_probe}
        (folder / "cells.json").write_text(json.dumps(header), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, store_digest: str) -> ExampleName:
        """Read what `save` wrote for the same state of the store."""
        header = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
        if header["digest"] != store_digest:
            raise DigestError("cells.json must belong to this state of the store. Build it again.")
        index = cls(n_probe=header["n_probe"])
        index.ids = header["ids"]
        with np.load(folder / "cells.npz", allow_pickle=False) as arrays:
            index.unit, index.centres = arrays["unit"], arrays["centres"]
            index.cells = arrays["cells"]
        return index
