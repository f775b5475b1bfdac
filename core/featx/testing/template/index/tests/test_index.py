"""What the neighbours must be."""

from __future__ import annotations

import numpy as np

from featx_example_name.index import ExampleName


def test_looking_into_all_cells_finds_all_true_neighbours() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    index = ExampleName(n_cells=5, n_probe=5)
    index.build(vectors, [str(row) for row in range(50)])
    ids, distances = index.search(vectors[:3], 4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit[:3] @ unit.T
    assert ids == [[str(i) for i in np.argsort(-row)[:4]] for row in cosines]
    np.testing.assert_allclose(distances[:, 0], 0.0, atol=1e-6)
