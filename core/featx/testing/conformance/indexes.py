"""The battery of checks that an index runs through, against an exact referee in numpy."""

from __future__ import annotations

import dataclasses
import inspect
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import DigestError, PluginError
from featx.index.hosting import HostedIndex, IndexChoice
from featx.interfaces import Index
from featx.params import parse_params
from featx.registry import import_object
from featx.registry.specs import spec_from_json
from featx.testing.conformance.recording import CheckFailed, CheckSkipped, Recorder
from featx.testing.conformance.target import Target

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

N, DIM, K = 400, 24, 10

#: Rounding of a float32 cosine.
_ROUNDING = 1e-5

#: Share of true neighbours that an index may miss which does not claim to be exact.
_RECALL = 0.9


def run_battery(target: Target, recorder: Recorder) -> None:
    """Run every behavioural check of an index."""
    battery: _Battery | None = None
    with recorder.check("open"):
        battery = _Battery(target)
    if battery is not None:
        for name, check in battery.checks().items():
            with recorder.check(name):
                check()


def referee(vectors: FloatArray, queries: FloatArray) -> DoubleArray:
    """Return cosine distances ``(n_queries, n)`` in float64; zero rows have distance 1."""

    def unit(x: FloatArray) -> DoubleArray:
        wide = x.astype(np.float64)
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        return wide / np.where(lengths > 0, lengths, 1.0)

    distances: DoubleArray = 1.0 - unit(queries) @ unit(vectors).T
    return distances


class _Battery:
    """The checks of one index."""

    def __init__(self, target: Target) -> None:
        self.spec = spec_from_json("index", target.spec)
        self.settings = dataclasses.asdict(parse_params(self.spec.params, target.params))
        self.factory: Any = import_object(self.spec.factory)
        self.choice = IndexChoice(full_name=target.full_name, spec=self.spec, params=self.settings)
        self.defaults = not target.params
        rng = np.random.default_rng(12)
        self.vectors = _frozen(rng.standard_normal((N, DIM)))
        self.queries = _frozen(rng.standard_normal((20, DIM)))
        self.ids = [f"track-{n:03d}" for n in rng.permutation(N)]
        self.index = self.build(self.vectors, self.ids)

    def checks(self) -> dict[str, Any]:
        return {
            "search": self.check_search,
            "order": self.check_order,
            "ties": self.check_ties,
            "zero-vectors": self.check_zeros,
            "large-k": self.check_large_k,
            "input": self.check_input,
            "repeatable": self.check_repeatable,
            "save-load": self.check_save,
            "digest": self.check_digest,
        }

    def build(self, vectors: FloatArray, ids: Sequence[str]) -> Index:
        index: Index = self.factory(**self.settings)
        try:
            index.build(vectors, ids)
        except ValueError as error:
            if "read-only" in str(error):
                raise CheckFailed("build must not modify vectors. Copy them first.") from error
            raise
        return index

    def ask(
        self, index: Index, ids: Sequence[str], queries: FloatArray, k: int
    ) -> tuple[list[list[str]], FloatArray]:
        """Search, and check the form of the answers as the host does."""
        try:
            return HostedIndex(self.choice, index, ids).search(queries, k)
        except PluginError as error:
            if "read-only" in str(error):
                raise CheckFailed("search must not modify queries. Copy them first.") from error
            raise CheckFailed(str(error)) from error

    def check_search(self) -> None:
        ids, distances = self.ask(self.index, self.ids, self.queries, K)
        true = referee(self.vectors, self.queries)
        place = {name: n for n, name in enumerate(self.ids)}
        hits = 0
        for row, (names, row_distances) in enumerate(zip(ids, distances, strict=True)):
            real = np.array([true[row, place[name]] for name in names])
            if np.abs(real - row_distances).max() > _ROUNDING:
                raise CheckFailed(
                    f"distances must be 1 - cosine, got {row_distances[0]:.6f} for {real[0]:.6f}."
                )
            limit = np.sort(true[row])[K - 1] + _ROUNDING
            hits += int((real <= limit).sum())
        recall = hits / (K * len(self.queries))
        least = 1.0 if self.spec.exact else _RECALL
        if recall < least:
            params = "default parameters" if self.defaults else f"parameters {self.settings}"
            raise CheckFailed(
                f"recall at {K} must be at least {least}, got {recall:.3f} with {params}, "
                f"n={N}, dim={DIM}."
            )

    def check_order(self) -> None:
        _, distances = self.ask(self.index, self.ids, self.queries, K)
        if (np.diff(distances, axis=1) < 0).any():
            raise CheckFailed("distances must ascend, got a step back.")
        if distances.min() < 0 or distances.max() > 2:
            raise CheckFailed(
                f"distances must lie within 0..2, got {distances.min()}..{distances.max()}."
            )

    def check_ties(self) -> None:
        if not self.spec.exact:
            raise CheckSkipped("only exact indexes promise an order among equals")
        twins = _frozen(np.repeat(self.vectors[:4], 5, axis=0))
        names = [f"twin-{n:02d}" for n in np.random.default_rng(3).permutation(20)]
        ids, _ = self.ask(self.build(twins, names), names, twins[:1], 5)
        if ids[0] != sorted(names[:5]):
            raise CheckFailed(
                f"equal distances must come in the order of ids, got {ids[0]} for "
                f"{sorted(names[:5])}."
            )

    def check_zeros(self) -> None:
        vectors = self.vectors[:6].copy()
        vectors[2] = 0.0
        index = self.build(_frozen(vectors), self.ids[:6])
        ids, distances = self.ask(index, self.ids[:6], self.queries[:1], 6)
        by_id = dict(zip(ids[0], distances[0], strict=True))
        if abs(by_id.get(self.ids[2], np.inf) - 1.0) > _ROUNDING:
            raise CheckFailed("an all-zero vector must have distance 1 to every query.")
        _, distances = self.ask(index, self.ids[:6], np.zeros((1, DIM), dtype=np.float32), 6)
        if np.abs(distances - 1.0).max() > _ROUNDING:
            raise CheckFailed("an all-zero query must have distance 1 to every vector.")

    def check_large_k(self) -> None:
        ids, distances = self.ask(self.index, self.ids, self.queries[:2], N + 5)
        if distances.shape != (2, N) or any(sorted(row) != sorted(self.ids) for row in ids):
            raise CheckFailed(
                f"k beyond the number of vectors must give all {N}, got distances "
                f"{distances.shape}."
            )

    def check_input(self) -> None:
        vectors, queries = self.vectors.copy(), self.queries.copy()
        self.ask(self.build(vectors, self.ids), self.ids, queries, K)
        if not (np.array_equal(vectors, self.vectors) and np.array_equal(queries, self.queries)):
            raise CheckFailed("vectors and queries must be left unmodified. Copy them first.")

    def check_repeatable(self) -> None:
        again = self.build(self.vectors, self.ids)
        first, second = (
            self.ask(index, self.ids, self.queries, K) for index in (self.index, again)
        )
        if first[0] != second[0] or not np.array_equal(first[1], second[1]):
            raise CheckFailed(
                "two indexes of the same vectors must give the same answers. Draw random numbers "
                "with a fixed seed."
            )

    def load(self, folder: Path, digest: str) -> Index:
        if not isinstance(inspect.getattr_static(type(self.index), "load"), classmethod):
            raise CheckFailed("load must be a class method. Decorate it with @classmethod.")
        index: Index = type(self.index).load(folder, digest)
        return index

    def check_save(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.index.save(Path(folder), "digest-1")
            loaded = self.load(Path(folder), "digest-1")
            first, second = (
                self.ask(index, self.ids, self.queries, K) for index in (self.index, loaded)
            )
        if first[0] != second[0] or not np.array_equal(first[1], second[1]):
            raise CheckFailed("a loaded index must give the same answers as the saved one.")

    def check_digest(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.index.save(Path(folder), "digest-1")
            try:
                self.load(Path(folder), "digest-2")
            except DigestError:
                return
            except CheckFailed:
                raise
            except Exception as error:
                raise CheckFailed(
                    "loading for another digest must raise featx.DigestError, got "
                    f"{type(error).__name__}: {error}"
                ) from error
        raise CheckFailed("loading for another digest must raise featx.DigestError, got no error.")


def _frozen(values: Any) -> FloatArray:
    array = np.asarray(values, dtype=np.float32)
    return np.frombuffer(array.tobytes(), dtype=np.float32).reshape(array.shape)
