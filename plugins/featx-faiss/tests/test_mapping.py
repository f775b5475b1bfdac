"""A saved index is mapped: opening it reads little, whatever its size."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from featx.index import choose_index

N, DIM = 500, 16


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["faiss-flat", "faiss-ivf", "faiss-hnsw", "faiss-pq"])
def test_a_loaded_index_maps_its_file_and_answers_alike(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors, ids = rng.normal(size=(N, DIM)).astype(np.float32), [f"{row:03d}" for row in range(N)]
    choice = choose_index(name)
    built = choice.build(vectors, ids)
    built.save(tmp_path / "i", "digest")
    loaded = choice.load(tmp_path / "i", "digest", ids)
    assert str(tmp_path / "i") in Path("/proc/self/maps").read_text()
    queries = rng.normal(size=(30, DIM)).astype(np.float32)
    for batch in (queries, queries[:1]):
        (names, distances), (expected, true) = loaded.search(batch, 5), built.search(batch, 5)
        assert names == expected
        np.testing.assert_array_equal(distances, true)
