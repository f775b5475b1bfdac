"""Aspect weights through an approximate index, without building it again."""

from __future__ import annotations

import numpy as np
import pytest

from featx.index import AspectIndex, AspectQuery, ExactIndex, aspect_rows, choose_index
from featx_faiss.index import PQ

ASPECTS = {"genre": (0, 24), "mood": (24, 48), "tempo": (48, 64)}
N, N_QUERIES, K = 3000, 50, 10


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Music clusters: sixty groups with some spread in every notion, groups of their own each."""
    rng = np.random.default_rng(20_240_229)
    parts = []
    for start, stop in ASPECTS.values():
        centres = rng.normal(size=(60, stop - start))
        parts.append(centres[rng.integers(60, size=N)] + 0.5 * rng.normal(size=(N, stop - start)))
    return np.concatenate(parts, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def exact(vectors: np.ndarray) -> AspectIndex:
    index = ExactIndex()
    index.build(aspect_rows(vectors, ASPECTS), [f"{row:04d}" for row in range(N)])
    return AspectIndex(ASPECTS, index, dim=64)


WEIGHTS = (
    {"genre": 1.0, "mood": 1.0, "tempo": 1.0},
    {"genre": 2.0, "mood": 1.0, "tempo": 0.0},
    {"genre": 0.0, "mood": 0.0, "tempo": 1.0},
)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("faiss-flat", {}),
        ("faiss-ivf", {"probes": 128}),  # cells are those of whole rows, not of one notion
        ("faiss-hnsw", {}),
        ("faiss-pq", {"code_bytes": 16}),
    ],
)
def test_weighted_search_finds_what_exact_search_finds(
    name: str, params: dict[str, int], vectors: np.ndarray, exact: AspectIndex
) -> None:
    rows, ids = aspect_rows(vectors, ASPECTS), [f"{row:04d}" for row in range(N)]
    index = AspectIndex(ASPECTS, choose_index(name, params).build(rows, ids), dim=64)
    for weights in WEIGHTS:
        queries = [
            AspectQuery(parts=dict.fromkeys(ASPECTS, vector), weights=weights)
            for vector in vectors[:N_QUERIES]
        ]
        _, true = exact.search(queries, K)
        _, far = index.search(queries, K)
        assert (far <= true[:, -1:] + 1e-5).mean() >= 0.95, weights


@pytest.mark.parametrize(("dim", "code_bytes"), [(16, 32), (256, 32), (513, 65)])
def test_codes_grow_with_the_dimension(dim: int, code_bytes: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(64, dim)).astype(np.float32)
    index = PQ()
    index.build(vectors, [f"{row:02d}" for row in range(64)])
    assert index.code_bytes == index.index.pq.M == code_bytes
