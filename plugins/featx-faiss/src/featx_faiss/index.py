"""The indexes: unit vectors under the inner product, which is the cosine."""

from __future__ import annotations

import contextlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import faiss
import numpy as np

from featx import DigestError, Index
from featx.index import unit_rows

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray

__all__ = ["HNSW", "IVF", "PQ", "Flat"]

_HEADER, _INDEX, _VECTORS = "faiss.json", "index.faiss", "vectors.npy"


class _FaissIndex(Index):
    """What the indexes share: ids, widening of a search that finds too few, and files."""

    #: Names of the attributes that are saved, beside the index of faiss.
    settings: ClassVar[tuple[str, ...]] = ()
    #: Threads of a build: with one, two builds of the same vectors are alike.
    threads = 1
    #: Whether a saved index is mapped into memory instead of read. faiss reads mapped pages one by
    #: one, which suits indexes that look at few of them.
    mapped: ClassVar[bool] = False

    ids: list[str]
    index: Any

    def build(self, vectors: FloatArray, ids: Sequence[str]) -> None:
        """See `featx.Index`."""
        self.ids = list(ids)
        with _threads(self.threads):
            self.index = self._built(unit_rows(vectors))

    def search(self, queries: FloatArray, k: int) -> tuple[list[list[str]], FloatArray]:
        """See `featx.Index`."""
        k = min(k, len(self.ids))
        if k == 0 or len(queries) == 0:
            return [[] for _ in queries], np.zeros((len(queries), k), np.float32)
        unit = unit_rows(queries)
        cosines, rows = self._nearest(unit, k)
        incomplete = np.flatnonzero((rows < 0).any(axis=1))
        if len(incomplete):
            cosines[incomplete], rows[incomplete] = self._complete(unit[incomplete], k)
        distances = np.clip(np.float32(1.0) - cosines, 0.0, 2.0)
        return [[self.ids[i] for i in row] for row in rows.tolist()], distances

    @abstractmethod
    def _built(self, unit: FloatArray) -> Any:
        """Return the index of faiss that holds the rows of ``unit``."""

    def _nearest(self, unit: FloatArray, k: int) -> tuple[FloatArray, AnyArray]:
        """Return cosines and rows ``(n_queries, k)``; row -1 where none was found."""
        cosines, rows = self.index.search(unit, k)
        return cosines, rows

    def _complete(self, unit: FloatArray, k: int) -> tuple[FloatArray, AnyArray]:
        """Return the same for queries that did not find ``k`` rows, by comparing with all."""
        cosines = unit @ self.index.reconstruct_n(0, len(self.ids)).T
        rows = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(cosines, rows, axis=1), rows

    def save(self, folder: Path, store_digest: str) -> None:
        """See `featx.Index`."""
        self._write(folder)
        settings = {name: getattr(self, name) for name in self.settings}
        header = {"digest": store_digest, "ids": self.ids, "settings": settings}
        (folder / _HEADER).write_text(json.dumps(header), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, store_digest: str) -> _FaissIndex:
        """See `featx.Index`."""
        header = json.loads((folder / _HEADER).read_text(encoding="utf-8"))
        if header["digest"] != store_digest:
            raise DigestError(
                f"index in {folder} must belong to store state {store_digest}, got "
                f"{header['digest']}. Build it again."
            )
        index = cls(**header["settings"])
        index.ids = header["ids"]
        index._read(folder)
        return index

    def _write(self, folder: Path) -> None:
        """Write the index of faiss."""
        faiss.write_index(self.index, str(folder / _INDEX))

    def _read(self, folder: Path) -> None:
        """Read what `_write` wrote."""
        flags = faiss.IO_FLAG_MMAP_IFC if self.mapped else 0
        self.index = faiss.read_index(str(folder / _INDEX), flags)


class Flat(_FaissIndex):
    """Every query against every vector; a loaded index maps the vectors."""

    def _built(self, unit: FloatArray) -> Any:
        return unit

    def _nearest(self, unit: FloatArray, k: int) -> tuple[FloatArray, AnyArray]:
        cosines, rows = faiss.knn(unit, self.index, k, metric=faiss.METRIC_INNER_PRODUCT)
        return cosines, rows

    def _write(self, folder: Path) -> None:
        np.save(folder / _VECTORS, self.index)

    def _read(self, folder: Path) -> None:
        self.index = np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False)


class IVF(_FaissIndex):
    """Cells around centres found by k-means; a query looks into the nearest ones."""

    settings = ("cells", "probes")
    mapped = True

    def __init__(self, *, cells: int = 0, probes: int = 64) -> None:
        self.cells, self.probes = cells, probes

    def _built(self, unit: FloatArray) -> Any:
        n, dim = unit.shape
        cells = max(1, min(self.cells or round(4 * n**0.5), n))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1  # or faiss prints a warning
        index.train(unit)
        index.add(unit)
        index.make_direct_map()
        return index

    def _nearest(self, unit: FloatArray, k: int) -> tuple[FloatArray, AnyArray]:
        self.index.nprobe = min(self.probes, self.index.nlist)
        cosines, rows = super()._nearest(unit, k)
        while (rows < 0).any() and self.index.nprobe < self.index.nlist:
            self.index.nprobe = min(4 * self.index.nprobe, self.index.nlist)
            few = np.flatnonzero((rows < 0).any(axis=1))
            cosines[few], rows[few] = super()._nearest(unit[few], k)
        return cosines, rows


class HNSW(_FaissIndex):
    """A layered graph of neighbours."""

    settings = ("links", "ef_build", "ef_search", "threads")
    mapped = True

    def __init__(
        self, *, links: int = 32, ef_build: int = 80, ef_search: int = 128, threads: int = 1
    ) -> None:
        self.links, self.ef_build, self.ef_search = links, ef_build, ef_search
        self.threads = threads

    def _built(self, unit: FloatArray) -> Any:
        index = faiss.IndexHNSWFlat(unit.shape[1], self.links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.ef_build
        index.add(unit)
        return index

    def _nearest(self, unit: FloatArray, k: int) -> tuple[FloatArray, AnyArray]:
        self.index.hnsw.efSearch = max(self.ef_search, 2 * k)
        return super()._nearest(unit, k)


class PQ(_FaissIndex):
    """Product quantisation; the candidates are compared again by their vectors.

    The vectors lie in a file that a loaded index maps, so that memory holds codes and what was
    compared lately.
    """

    settings = ("code_bytes", "rerank")

    def __init__(self, *, code_bytes: int = 0, rerank: int = 20) -> None:
        self.code_bytes, self.rerank = code_bytes, rerank
        self._unit: FloatArray = np.zeros((0, 1), np.float32)

    def _built(self, unit: FloatArray) -> Any:
        self._unit = unit
        n, dim = unit.shape
        self.code_bytes = self.code_bytes or max(32, -(-dim // 8))
        bits = max(1, min(8, n.bit_length() - 1))  # no more codewords than vectors
        padded = self._padded(unit)
        index = faiss.IndexPQ(padded.shape[1], self.code_bytes, bits, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.min_points_per_centroid = 1  # or faiss prints a warning
        index.train(padded)
        index.add(padded)
        return index

    def _padded(self, unit: FloatArray) -> FloatArray:
        """Return rows with zeros behind them, so that codes divide their length."""
        missing = -unit.shape[1] % self.code_bytes
        return np.ascontiguousarray(np.pad(unit, ((0, 0), (0, missing))))

    def _nearest(self, unit: FloatArray, k: int) -> tuple[FloatArray, AnyArray]:
        count = min(self.rerank * k, len(self.ids))
        _, candidates = self.index.search(self._padded(unit), count)
        cosines = np.zeros((len(unit), k), np.float32)
        rows = np.zeros((len(unit), k), np.int64)
        for n, (query, places) in enumerate(zip(unit, np.sort(candidates, axis=1), strict=True)):
            exact = self._unit[places] @ query
            best = np.argsort(-exact, kind="stable")[:k]
            cosines[n], rows[n] = exact[best], places[best]
        return cosines, rows

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        np.save(folder / _VECTORS, self._unit)

    def _read(self, folder: Path) -> None:
        super()._read(folder)
        self._unit = np.load(folder / _VECTORS, mmap_mode="r", allow_pickle=False)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
