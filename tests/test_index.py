"""Exact search against brute force; ties, zeros, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import featx.index.exact
from featx import API_VERSION, DigestError, IndexSpec, ParameterError, StoreError
from featx.index import ExactIndex, fuse_mean, fuse_nearest, prototype, unit_rows
from featx.testing import check_index


def names(n: int) -> list[str]:
    return [f"track-{i:04d}" for i in range(n)]


def built(vectors: np.ndarray, ids: list[str] | None = None) -> ExactIndex:
    index = ExactIndex()
    index.build(vectors.astype(np.float32), names(len(vectors)) if ids is None else ids)
    return index


def brute(
    vectors: np.ndarray, ids: list[str], query: np.ndarray, k: int
) -> tuple[list[str], list[float]]:
    """One pair at a time in float64."""
    found = []
    for name, vector in zip(ids, vectors.astype(np.float64), strict=True):
        length = np.linalg.norm(vector) * np.linalg.norm(query.astype(np.float64))
        cosine = vector @ query / length if length > 0 else 0.0
        found.append((round(1 - cosine, 6), name, 1 - cosine))
    found.sort()
    return [name for _, name, _ in found[:k]], [distance for _, _, distance in found[:k]]


@pytest.mark.parametrize("dim", [1, 2, 17, 512])
def test_search_equals_brute_force(dim: int, rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(200, dim)).astype(np.float32)
    queries = rng.normal(size=(5, dim)).astype(np.float32)
    ids, distances = built(vectors).search(queries, 7)
    assert distances.shape == (5, 7)
    assert distances.dtype == np.float32
    for query, found, distance in zip(queries, ids, distances, strict=True):
        expected, exact = brute(vectors, names(200), query, 7)
        assert found == expected
        np.testing.assert_allclose(distance, exact, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    vectors=st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=1, max_size=30),
    query=st.lists(st.integers(-2, 2), min_size=3, max_size=3),
    k=st.integers(1, 40),
    scale=st.sampled_from([1.0, 1e-20, 3.7, 1e18]),
)
def test_search_equals_brute_force_where_most_distances_tie(
    vectors: list[list[int]], query: list[int], k: int, scale: float
) -> None:
    """Integer vectors are full of zeros, duplicates and scaled copies."""
    gallery = np.array(vectors, np.float32)
    ids = names(len(gallery))[::-1]
    found, distances = built(gallery * np.float32(scale), ids).search(
        np.array([query], np.float32), k
    )
    expected, exact = brute(gallery, ids, np.array(query, np.float32), k)
    assert found[0] == expected
    np.testing.assert_allclose(distances[0], exact, atol=1e-6)


def test_ties_are_in_order_of_ids_whatever_the_order_of_rows(rng: np.random.Generator) -> None:
    vectors = np.tile(rng.normal(size=(1, 33)), (50, 1))
    ids = names(50)
    rng.shuffle(ids)
    found, _ = built(vectors, ids).search(vectors[:1].astype(np.float32), 50)
    assert found[0] == sorted(ids)


def test_scaled_copies_tie(rng: np.random.Generator) -> None:
    vector = rng.normal(size=33).astype(np.float32)
    vectors = np.stack([vector * scale for scale in (3.0, 0.1, 7.0, 1.0)])
    ids, distances = built(vectors, ["d", "b", "c", "a"]).search(vector[None], 4)
    assert ids[0] == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(distances[0], np.zeros(4, np.float32))


def test_the_distance_to_itself_is_plain_zero(rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(200, 5)).astype(np.float32)
    _, distances = built(vectors).search(vectors, 1)
    assert not np.signbit(distances).any()
    np.testing.assert_array_equal(distances, np.zeros((200, 1), np.float32))


def test_zero_vectors_have_distance_one() -> None:
    index = built(np.array([[1, 0], [0, 0], [-1, 0]]))
    ids, distances = index.search(np.array([[2, 0], [0, 0]], np.float32), 3)
    assert ids == [["track-0000", "track-0001", "track-0002"]] * 2
    np.testing.assert_array_equal(distances, [[0, 1, 2], [1, 1, 1]])


def test_k_beyond_the_gallery_gives_everything() -> None:
    ids, distances = built(np.eye(3)).search(np.eye(3, dtype=np.float32)[:1], 10)
    assert len(ids[0]) == 3
    assert distances.shape == (1, 3)


def test_an_empty_gallery_has_no_neighbours() -> None:
    ids, distances = built(np.zeros((0, 4))).search(np.ones((2, 4), np.float32), 3)
    assert ids == [[], []]
    assert distances.shape == (2, 0)


def test_no_queries_give_no_answers() -> None:
    ids, distances = built(np.eye(4)).search(np.ones((0, 4), np.float32), 3)
    assert ids == []
    assert distances.shape == (0, 3)


def test_answers_do_not_depend_on_the_other_queries(rng: np.random.Generator) -> None:
    index = built(rng.normal(size=(300, 20)))
    queries = rng.normal(size=(40, 20)).astype(np.float32)
    ids, distances = index.search(queries, 9)
    for i in range(40):
        alone, distance = index.search(queries[i : i + 1], 9)
        assert alone[0] == ids[i]
        np.testing.assert_array_equal(distance[0], distances[i])


def test_answers_do_not_depend_on_the_block_size(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = built(rng.normal(size=(50, 20)))
    queries = rng.normal(size=(11, 20)).astype(np.float32)
    ids, distances = index.search(queries, 5)
    monkeypatch.setattr(featx.index.exact, "_BLOCK", 120)
    again, same = index.search(queries, 5)
    assert again == ids
    np.testing.assert_array_equal(same, distances)


def test_inputs_are_left_unmodified(rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(10, 4)).astype(np.float32)
    copy = vectors.copy()
    built(vectors).search(vectors, 2)
    np.testing.assert_array_equal(vectors, copy)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_unit_rows_survive_extreme_sizes(scale: float) -> None:
    unit = unit_rows(np.array([[3, 4], [0, 0]], np.float32) * np.float32(scale))
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0, 0]], atol=1e-7)


@pytest.mark.parametrize(
    ("vectors", "ids", "message"),
    [
        (np.zeros((2, 3), np.float32), ["a"], "ids must name all 2 vectors, got 1"),
        (np.zeros((2, 3), np.float32), ["a", "a"], "ids must be distinct, got 'a'"),
        (np.array([[np.nan, 1]], np.float32), ["a"], "vectors must be finite"),
        (np.zeros(3, np.float32), ["a"], r"vectors must be .* got shape \(3,\)"),
        (np.zeros((1, 3), np.int64), ["a"], "dtype int64"),
    ],
)
def test_build_refuses(vectors: np.ndarray, ids: list[str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ExactIndex().build(vectors, ids)


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (np.zeros((1, 3), np.float32), 0, "k must be an integer > 0, got 0"),
        (np.zeros((1, 4), np.float32), 1, "queries must have 3 columns"),
        (np.zeros(3, np.float32), 1, "queries must be a float array"),
        (np.full((1, 3), np.inf, np.float32), 1, "queries must be finite"),
    ],
)
def test_search_refuses(queries: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        built(np.eye(3)).search(queries, k)


def test_saved_index_answers_alike(tmp_path: Path, rng: np.random.Generator) -> None:
    index = built(rng.normal(size=(40, 6)), [f"Ünïcode/{i}" for i in range(40)])
    queries = rng.normal(size=(3, 6)).astype(np.float32)
    index.save(tmp_path / "index", "digest")
    loaded = ExactIndex.load(tmp_path / "index", "digest")
    assert loaded.ids == index.ids
    for one, two in zip(index.search(queries, 5), loaded.search(queries, 5), strict=True):
        np.testing.assert_array_equal(one, two)


def test_index_of_another_store_state_is_refused(tmp_path: Path) -> None:
    built(np.eye(3)).save(tmp_path, "before")
    with pytest.raises(DigestError, match="must belong to store state after, got before"):
        ExactIndex.load(tmp_path, "after")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def damage_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"ids"', b'"ads"'))


def no_json(path: Path) -> None:
    path.write_text("{")


def other_shape(path: Path) -> None:
    np.save(path, np.eye(4, dtype=np.float32))


def other_type(path: Path) -> None:
    np.save(path, np.eye(3))


def other_format(path: Path) -> None:
    path.write_text(json.dumps({"format": 99}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("exact.npy", cut),
        ("exact.npy", other_shape),
        ("exact.npy", other_type),
        ("exact.npy", Path.unlink),
        ("exact.json", cut),
        ("exact.json", damage_header),
        ("exact.json", no_json),
        ("exact.json", other_format),
        ("exact.json", Path.unlink),
    ],
)
def test_damaged_index_is_refused(name, damage, tmp_path: Path) -> None:
    built(np.eye(3)).save(tmp_path, "digest")
    damage(tmp_path / name)
    with pytest.raises(StoreError, match="must hold an exact index of format"):
        ExactIndex.load(tmp_path, "digest")


def test_save_leaves_no_temporary_files(tmp_path: Path) -> None:
    built(np.eye(3)).save(tmp_path, "digest")
    built(np.eye(4)).save(tmp_path, "digest")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exact.json", "exact.npy"]


def test_fuse_mean_counts_every_query_alike() -> None:
    fused = fuse_mean(np.array([[100, 0], [0, 1]], np.float32))
    np.testing.assert_allclose(fused, [0.5, 0.5])


def test_prototype_is_the_plain_mean() -> None:
    np.testing.assert_allclose(prototype(np.array([[100, 0], [0, 1]], np.float32)), [50, 0.5])


def test_prototype_of_nothing_is_refused() -> None:
    with pytest.raises(ParameterError, match="n >= 1"):
        prototype(np.zeros((0, 3), np.float32))


def test_fuse_nearest_equals_the_maximum_of_all_scores(rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(60, 5)).astype(np.float32)
    queries = rng.normal(size=(4, 5)).astype(np.float32)
    index = built(vectors)
    found, distances = fuse_nearest(*index.search(queries, 8), 8)
    scores = (unit_rows(queries) @ unit_rows(vectors).T).max(axis=0)
    order = np.argsort(-scores)[:8]
    assert found == [names(60)[i] for i in order]
    np.testing.assert_allclose(distances, 1 - scores[order], atol=1e-6)


def test_exact_index_conforms() -> None:
    spec = IndexSpec(
        name="exact",
        summary="Every query against every vector.",
        version="1",
        factory="featx.index:ExactIndex",
        api=API_VERSION,
        exact=True,
    )
    check_index(spec)
