"""The nearest codewords: vector kernel, scalar kernel and numpy agree to the last label."""

from __future__ import annotations

import numpy as np
import pytest

from featx_vqmfcc.codebook import BLOCK, Codebook
from featx_vqmfcc.kernels import nearest_kernel


def reference(frames: np.ndarray, codewords: np.ndarray, count: int = 1) -> np.ndarray:
    """Numbers of the nearest codewords, from distances in float64."""
    wide = codewords.astype(np.float64)
    distances = np.array([((x - wide) ** 2).sum(axis=1) for x in frames.astype(np.float64)])
    return np.argsort(distances.reshape(len(frames), len(wide)), axis=1, kind="stable")[:, :count]


def lanes_of(width: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take so many lanes, 0 for the scalar kernel, or what the machine has."""
    if width is None:
        monkeypatch.delenv("FEATX_LANES", raising=False)
    else:
        monkeypatch.setenv("FEATX_LANES", width)


def music_like(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """Coefficients with a large offset, as the level gives them, where float32 scores are poor."""
    spread = 200.0 / np.arange(1, dim + 1)
    return (rng.normal(0, spread, (n, dim)) - 3 * spread).astype(np.float32)


@pytest.mark.parametrize("width", ["0", "4", None])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 31, 32, 33, 100])
@pytest.mark.parametrize("k", [1, 3, 4, 50])
def test_labels_equal_the_reference(width, n, k, rng, monkeypatch) -> None:
    lanes_of(width, monkeypatch)
    frames, codewords = music_like(rng, n, 39), music_like(rng, k, 39)
    labels = Codebook(codewords).nearest(frames)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, reference(frames, codewords).reshape(-1))


@pytest.mark.parametrize("width", ["0", "4", None])
def test_scores_that_float32_cannot_part_are_decided_exactly(width, rng, monkeypatch) -> None:
    """Codewords one unit in the last place apart, on top of a large offset."""
    lanes_of(width, monkeypatch)
    base = music_like(rng, 1, 39)
    codewords = np.repeat(base, 64, axis=0)
    codewords[:, 5] = np.nextafter(codewords[:, 5], np.linspace(-1e3, 1e3, 64), dtype=np.float32)
    codewords[:, 7] += np.float32(1e-5) * rng.permutation(64).astype(np.float32)
    frames = (base + rng.normal(0, 1e-4, (200, 39))).astype(np.float32)
    np.testing.assert_array_equal(
        Codebook(codewords).nearest(frames), reference(frames, codewords)[:, 0]
    )


@pytest.mark.parametrize("width", ["0", None])
def test_equals_go_to_the_lowest_number(width, rng, monkeypatch) -> None:
    lanes_of(width, monkeypatch)
    codewords = np.tile(music_like(rng, 5, 39), (4, 1))
    labels = Codebook(codewords).nearest(music_like(rng, 300, 39))
    assert labels.max() < 5


def test_blocks_do_not_change_labels(rng) -> None:
    frames, codewords = music_like(rng, BLOCK + 5, 39), music_like(rng, 16, 39)
    labels = Codebook(codewords).nearest(frames)
    np.testing.assert_array_equal(labels[BLOCK - 3 :], Codebook(codewords).nearest(frames[-8:]))


@pytest.mark.parametrize("count", [1, 4, 9])
def test_several_nearest_come_in_order(count, rng) -> None:
    frames = music_like(rng, 40, 13)
    codewords = np.concatenate([music_like(rng, 6, 13)] * 2)
    np.testing.assert_array_equal(
        Codebook(codewords).several(frames, count), reference(frames, codewords, count)
    )


def test_kernel_equals_its_python_form(rng) -> None:
    frames, codewords = music_like(rng, 5, 3), music_like(rng, 4, 3)
    results = []
    for function in (nearest_kernel, nearest_kernel.py_func):
        distances, labels = np.zeros((5, 3)), np.zeros((5, 3), np.int32)
        function(frames, codewords, distances, labels)
        results.append((distances, labels))
    np.testing.assert_array_equal(results[0][1], results[1][1])
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)


def test_arrays_are_left_unmodified(rng) -> None:
    frames, codewords = music_like(rng, 50, 39), music_like(rng, 8, 39)
    copies = frames.copy(), codewords.copy()
    Codebook(codewords).nearest(frames)
    np.testing.assert_array_equal(frames, copies[0])
    np.testing.assert_array_equal(codewords, copies[1])
