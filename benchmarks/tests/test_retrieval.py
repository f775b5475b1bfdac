"""Retrieval metrics against hand-counted examples, slow twins, and what chance gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from featx.errors import ParameterError
from featx_bench.retrieval import (
    _expected_hit,
    _expected_precision,
    mean_average_precision,
    rankings,
    recall_at_1,
    recall_at_k,
)

#: Standard errors that a mean over random vectors may be away from its expectation.
ERRORS = 4.0


def unit(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture
def cloud(rng):
    """120 vectors with 12 noisy classes."""
    labels = [f"c{i % 12}" for i in range(120)]
    centres = rng.standard_normal((12, 16))
    vectors = centres[np.arange(120) % 12] + 1.5 * rng.standard_normal((120, 16))
    return vectors.astype(np.float32), labels


# ---------------------------------------------------------------------------------- ranking
def test_nearest_come_first_without_the_query():
    orders = dict(rankings(unit(0, 10, 30, 80)))
    assert orders[0].tolist() == [1, 2, 3]
    assert orders[2].tolist() == [1, 0, 3]


def test_nearest_by_euclidean_distance_come_first(cloud):
    vectors, _ = cloud
    for query, order in rankings(vectors, metric="euclidean"):
        far = np.linalg.norm(vectors[order].astype(np.float64) - vectors[query], axis=1)
        assert (np.diff(far) >= -1e-9).all()
        assert len(order) == len(vectors) - 1


def test_unknown_metric_is_refused():
    with pytest.raises(ParameterError, match="metric must be one of"):
        next(rankings(unit(0, 10), metric="manhattan"))


def test_own_group_is_left_out():
    orders = dict(rankings(unit(0, 10, 30, 80), groups=["a", "a", "b", ""]))
    assert orders[0].tolist() == [2, 3]
    assert orders[3].tolist() == [2, 1, 0]


def test_zero_vectors_are_similar_to_nothing():
    vectors = np.concatenate([unit(0, 10), np.zeros((1, 2), np.float32)])
    assert dict(rankings(vectors))[0].tolist() == [1, 2]


def test_blocks_do_not_change_the_ranking(cloud, monkeypatch):
    vectors, _ = cloud
    whole = {query: order.tolist() for query, order in rankings(vectors)}
    monkeypatch.setattr("featx_bench.retrieval._BLOCK", 7)
    assert {query: order.tolist() for query, order in rankings(vectors)} == whole


def test_one_vector_is_refused():
    with pytest.raises(ParameterError, match="n > 1"):
        list(rankings(unit(0)))


# ---------------------------------------------------------------------------------- MAP
def test_average_precision_is_counted_by_hand():
    # from 0°: relevant at ranks 1 and 3, (1/1 + 2/3) / 2
    scores = mean_average_precision(unit(0, 5, 20, 40), ["a", "a", "b", "a"])
    assert scores.values[0] == pytest.approx((1 + 2 / 3) / 2)


def test_average_precision_is_that_of_sklearn(cloud):
    vectors, labels = cloud
    want = []
    for i in range(len(vectors)):
        others = [j for j in range(len(vectors)) if j != i]
        scores = [cosine(vectors[i], vectors[j]) for j in others]
        want.append(average_precision_score([labels[j] == labels[i] for j in others], scores))
    np.testing.assert_allclose(mean_average_precision(vectors, labels).values, want, atol=1e-9)


def test_queries_without_relevant_tracks_are_skipped():
    scores = mean_average_precision(unit(0, 5, 20, 40), ["a", "a", "b", ""])
    assert scores.queries.tolist() == [0, 1]


@pytest.mark.parametrize("metric", [mean_average_precision, recall_at_1])
def test_perfect_vectors_score_1(metric):
    labels = [f"c{i // 4}" for i in range(40)]
    vectors = np.repeat(np.eye(10, dtype=np.float32), 4, axis=0)
    assert metric(vectors, labels).mean == 1.0


@pytest.mark.parametrize("metric", [mean_average_precision, recall_at_1])
def test_random_vectors_score_as_chance(metric, rng):
    labels = [f"c{i % 20}" for i in range(600)]
    scores = metric(rng.standard_normal((600, 8)).astype(np.float32), labels)
    error = scores.values.std() / np.sqrt(len(scores.values))
    assert scores.mean == pytest.approx(scores.chance.mean(), abs=ERRORS * error)


@pytest.mark.parametrize("metric", [mean_average_precision, recall_at_1])
def test_equal_vectors_score_as_chance_in_any_order(metric):
    labels = [f"c{i // 30}" for i in range(600)]  # sorted, as manifests are
    scores = metric(np.ones((600, 5), np.float32), labels)
    # all queries share one shuffle: the error is that of 20 classes, not of 600 queries
    assert scores.mean == pytest.approx(scores.chance.mean(), abs=0.05)


@pytest.mark.parametrize(("relevant", "n"), [(1, 4), (2, 5), (3, 6), (6, 6), (1, 1)])
def test_expected_precision_is_the_mean_over_all_orders(relevant, n):
    found = [
        np.mean([(i + 1) / place for i, place in enumerate(places)])
        for places in itertools.combinations(range(1, n + 1), relevant)
    ]
    assert _expected_precision(relevant, n) == pytest.approx(np.mean(found))


# ---------------------------------------------------------------------------------- Recall@K
def test_recall_at_k_of_the_specification():
    # the query has a and b; its two nearest have a, and c
    vectors = unit(0, 5, 20, 90)
    hits = recall_at_k(vectors, [{"a", "b"}, {"a"}, {"c"}, {"d"}], ks=(1, 2))
    assert (hits[1].values[0], hits[2].values[0]) == (0.5, 0.5)


def test_recall_at_k_of_one_label_is_the_ordinary_one(cloud):
    vectors, labels = cloud
    hits = recall_at_k(vectors, [{label} for label in labels])
    np.testing.assert_array_equal(hits[1].values, recall_at_1(vectors, labels).values)


def test_recall_grows_with_k(cloud, rng):
    vectors, _ = cloud
    sets = [set(rng.choice(list("abcdefgh"), rng.integers(1, 4))) for _ in vectors]
    means = [scores.mean for scores in recall_at_k(vectors, sets).values()]
    assert means == sorted(means)


def test_recall_at_k_is_that_of_a_slow_twin(cloud, rng):
    vectors, _ = cloud
    sets = [set(rng.choice(list("abcdefgh"), rng.integers(0, 4))) for _ in vectors]
    for k, scores in recall_at_k(vectors, sets).items():
        want = []
        for i, own in enumerate(sets):
            if not own:
                continue
            others = sorted(
                (j for j in range(len(sets)) if j != i),
                key=lambda j: -cosine(vectors[i], vectors[j]),
            )
            found = set().union(*(sets[j] for j in others[:k]))
            want.append(len(own & found) / len(own))
        np.testing.assert_allclose(scores.values, want)


@pytest.mark.parametrize(("having", "n", "k"), [(0, 5, 2), (1, 5, 2), (3, 6, 3), (4, 5, 2)])
def test_expected_hit_is_the_mean_over_all_draws(having, n, k):
    draws = list(itertools.combinations(range(n), k))
    share = np.mean([any(place < having for place in draw) for draw in draws])
    assert _expected_hit(having, n, k) == pytest.approx(share)


def test_random_vectors_have_the_recall_of_chance(rng):
    sets = [set(rng.choice(list("abcdefgh"), rng.integers(1, 4))) for _ in range(500)]
    hits = recall_at_k(rng.standard_normal((500, 6)).astype(np.float32), sets)
    for scores in hits.values():
        error = scores.values.std() / np.sqrt(len(scores.values))
        assert scores.mean == pytest.approx(scores.chance.mean(), abs=ERRORS * error)
