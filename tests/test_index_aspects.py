"""Retrieval modes over disentangled vectors: every mode against its formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx import ParameterError
from featx.index import AspectIndex, AspectQuery, ExactIndex, aspect_rows, unit_rows

ASPECTS = {"genre": (0, 4), "mood": (4, 9), "tempo": (9, 12)}
N = 40
IDS = [f"{i:03d}" for i in range(N)]


@pytest.fixture
def vectors(rng: np.random.Generator) -> np.ndarray:
    values = rng.normal(size=(N, 12)).astype(np.float32)
    values[3, 4:9] = 0  # no mood at all
    values[5] = 0  # silence
    return values


def built(vectors: np.ndarray) -> AspectIndex:
    index = ExactIndex()
    index.build(aspect_rows(vectors, ASPECTS), IDS)
    return AspectIndex(ASPECTS, index, dim=vectors.shape[1])


def cosines(query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return unit_rows(vectors).astype(float) @ unit_rows(query[None])[0].astype(float)


def scores_of(index: AspectIndex, query: AspectQuery) -> np.ndarray:
    """All scores in the order of `IDS`."""
    ids, distances = index.search([query], N)
    found = dict(zip(ids[0], 1 - distances[0], strict=True))
    return np.array([found[name] for name in IDS])


def expected(
    vectors: np.ndarray, parts: dict[str, np.ndarray], weights: dict[str, float]
) -> np.ndarray:
    total = sum(abs(weight) for weight in weights.values())
    return sum(
        weights[s] * cosines(parts[s][slice(*ASPECTS[s])], vectors[:, slice(*ASPECTS[s])])
        for s in parts
    ) / np.float64(total)


@settings(max_examples=40, deadline=None)
@given(
    weights=st.tuples(*[st.floats(0, 5, width=32)] * 3).filter(lambda w: sum(w) > 0.01),
    rows=st.tuples(*[st.integers(0, N - 1)] * 3),
)
def test_weighted_mix_and_match_follows_the_formula(
    weights: tuple[float, ...], rows: tuple[int, ...]
) -> None:
    values = np.random.default_rng(5).normal(size=(N, 12)).astype(np.float32)
    values[3, 4:9] = 0
    values[5] = 0
    parts = {s: values[row] for s, row in zip(ASPECTS, rows, strict=True)}
    weighted = dict(zip(ASPECTS, weights, strict=True))
    found = scores_of(built(values), AspectQuery(parts=parts, weights=weighted))
    np.testing.assert_allclose(found, expected(values, parts, weighted), atol=2e-6)


def test_equal_weights_equal_the_cosine_of_joined_unit_slices(vectors: np.ndarray) -> None:
    joined = np.concatenate([unit_rows(vectors[:, a:b]) for a, b in ASPECTS.values()], axis=1)
    whole = np.delete(np.arange(N), [3, 5])  # rows with every slice
    found = scores_of(built(vectors), AspectQuery(parts=dict.fromkeys(ASPECTS, vectors[0])))
    np.testing.assert_allclose(found[whole], cosines(joined[0], joined)[whole], atol=2e-6)


@pytest.mark.parametrize("notion", ASPECTS)
def test_one_weight_equals_the_search_by_that_notion(notion: str, vectors: np.ndarray) -> None:
    index = built(vectors)
    one_hot = {s: float(s == notion) for s in ASPECTS}
    weighted = AspectQuery(parts=dict.fromkeys(ASPECTS, vectors[7]), weights=one_hot)
    single = AspectQuery(parts={notion: vectors[7]})
    columns = slice(*ASPECTS[notion])
    plain = ExactIndex()
    plain.build(vectors[:, columns], IDS)
    ids, distances = plain.search(vectors[7:8, columns], N)
    for query in (weighted, single):
        found, found_distances = index.search([query], N)
        np.testing.assert_allclose(found_distances, distances, atol=2e-6)
        assert found[0][:10] == ids[0][:10]


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_beta_mixes_in_the_whole_vector(beta: float, vectors: np.ndarray) -> None:
    parts = {"genre": vectors[1], "tempo": vectors[2]}
    weights = {"genre": 2.0, "tempo": 1.0}
    query = AspectQuery(parts=parts, weights=weights, overall=vectors[4], beta=beta)
    mixed = (1 - beta) * expected(vectors, parts, weights) + beta * cosines(vectors[4], vectors)
    np.testing.assert_allclose(scores_of(built(vectors), query), mixed, atol=2e-6)


def test_negative_weights_need_the_flag(vectors: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="Add --signed"):
        AspectQuery(parts={"genre": vectors[0]}, weights={"genre": -1.0})


def test_negative_weights_follow_the_formula_and_do_not_flip_the_rest(
    vectors: np.ndarray,
) -> None:
    parts = {"genre": vectors[1], "mood": vectors[2]}
    weights = {"genre": 1.0, "mood": -3.0}
    found = scores_of(built(vectors), AspectQuery(parts=parts, weights=weights, signed=True))
    np.testing.assert_allclose(found, expected(vectors, parts, weights), atol=2e-6)


def test_scaling_all_weights_changes_nothing(vectors: np.ndarray) -> None:
    index = built(vectors)
    parts = dict.fromkeys(ASPECTS, vectors[0])
    one = AspectQuery(parts=parts, weights={"genre": 1.0, "mood": 2.0, "tempo": 0.5})
    ten = AspectQuery(parts=parts, weights={"genre": 10.0, "mood": 20.0, "tempo": 5.0})
    np.testing.assert_allclose(scores_of(index, one), scores_of(index, ten), atol=1e-6)


def test_a_zero_example_scores_zero(vectors: np.ndarray) -> None:
    found = scores_of(built(vectors), AspectQuery(parts={"mood": vectors[3]}))
    np.testing.assert_array_equal(found, np.zeros(N))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": {"genre": 0.0}}, "must not all be 0"),
        ({"weights": {"mood": 1.0}}, r"weights must be given for genre"),
        ({"weights": {"genre": np.nan}}, "must be finite"),
        ({"beta": 1.5}, r"beta must lie within 0\.\.1"),
        ({"beta": 0.5}, "overall must be given"),
    ],
)
def test_query_refuses(fields: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        AspectQuery(parts={"genre": np.ones(12, np.float32)}, **fields)


def test_unknown_notion_is_named(vectors: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=r"aspect must be one of .* got key"):
        built(vectors).search([AspectQuery(parts={"key": vectors[0]})], 3)


def test_vectors_too_short_for_the_aspects_are_refused() -> None:
    with pytest.raises(ParameterError, match="at least 12 columns"):
        aspect_rows(np.ones((2, 11), np.float32), ASPECTS)
