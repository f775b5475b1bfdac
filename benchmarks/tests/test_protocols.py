"""Probes, tags, hold-out and intervals against slow twins and libraries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from featx.errors import ParameterError
from featx.training import roc_auc
from featx_bench.holdout import holdout
from featx_bench.intervals import bootstrap, bootstrap_mean, centred_bootstrap, wilson
from featx_bench.probes import ProbeOptions, knn_predict, probe_predict, standardise
from featx_bench.tagging import average_precision, macro_mean, prototype_scores

#: Accuracy by which a probe trained by SGD may differ from the optimum on 400 test points.
PROBE_GAP = 0.03
QUICK = ProbeOptions(trials=3, epochs=60)


def unit(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


# ---------------------------------------------------------------------------------- kNN
def test_knn_takes_the_majority():
    train, labels = unit(0, 10, 20, 90), [1, 0, 0, 2]
    assert knn_predict(train, labels, unit(1), k=3).tolist() == [0]


def test_knn_tie_goes_to_the_larger_sum_of_similarities():
    train, labels = unit(0, 40, 80, 85), [1, 1, 0, 0]
    assert knn_predict(train, labels, unit(20), k=4).tolist() == [1]


def test_knn_tie_of_sums_goes_to_the_lowest_class():
    train, labels = unit(-10, 10), [1, 0]
    assert knn_predict(train, labels, unit(0), k=2).tolist() == [0]


def test_knn_with_few_training_rows_takes_them_all():
    assert knn_predict(unit(0, 5, 90), [0, 0, 1], unit(90), k=20).tolist() == [0]


# ---------------------------------------------------------------------------------- scaling
def test_scalar_standardisation_uses_one_mean_and_deviation(rng):
    train = rng.normal(5, 3, (50, 4)).astype(np.float32)
    scaled, other = standardise(train, [train + 1], "scalar")
    assert scaled.mean() == pytest.approx(0, abs=1e-6)
    assert scaled.std() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(other - scaled, 1 / train.std(), rtol=1e-3)


def test_standardisation_by_dimension_leaves_constants_at_0(rng):
    train = np.concatenate([rng.normal(2, 3, (50, 2)), np.full((50, 1), 7.0)], axis=1)
    (scaled,) = standardise(train.astype(np.float32), [], "dimension")
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0], atol=1e-6)


def test_unknown_scaling_is_refused():
    with pytest.raises(ParameterError, match="how"):
        standardise(np.ones((2, 2), np.float32), [], "both")


# ---------------------------------------------------------------------------------- softmax
@pytest.fixture
def blobs(rng):
    """Three overlapping classes: (x, y) to train, validate and test by."""
    centres = 1.2 * rng.standard_normal((3, 6))
    y = rng.integers(0, 3, 900)
    x = (centres[y] + rng.standard_normal((900, 6))).astype(np.float32)
    return (x[:350], y[:350]), (x[350:500], y[350:500]), (x[500:], y[500:])


def test_probe_is_as_good_as_logistic_regression(blobs):
    train, valid, (x, y) = blobs
    found = probe_predict(train, valid, x, n_classes=3, options=QUICK)
    best = LogisticRegression(C=1e3, max_iter=500).fit(*train).score(x, y)
    assert (found == y).mean(axis=1) == pytest.approx(best, abs=PROBE_GAP)


def test_probe_repeats_itself(blobs):
    train, valid, (x, _) = blobs
    one, two = (probe_predict(train, valid, x, n_classes=3, options=QUICK) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_trials_differ(blobs):
    train, valid, (x, _) = blobs
    found = probe_predict(train, valid, x, n_classes=3, options=ProbeOptions(trials=3, epochs=1))
    assert len({row.tobytes() for row in found}) == 3


def test_probe_of_random_labels_is_at_chance(rng):
    x = rng.standard_normal((1500, 4)).astype(np.float32)
    y = rng.integers(0, 2, 1500)
    found = probe_predict((x[:300], y[:300]), (x[300:500], y[300:500]), x[500:], n_classes=2,
                          options=QUICK)  # fmt: skip
    assert (found == y[500:]).mean() == pytest.approx(0.5, abs=0.05)


def test_probe_steps_as_keras_does(rng):
    """One trial by hand: Nesterov momentum, decaying rate, best epoch kept."""
    import torch

    x, y = rng.standard_normal((5, 3)).astype(np.float32), np.array([0, 1, 0, 1, 1])
    options = ProbeOptions(trials=1, epochs=4, batch=2, decay=0.1, lr=0.5, patience=9)
    test = rng.standard_normal((200, 3)).astype(np.float32)
    found = probe_predict((x, y), (x, y), test, n_classes=2, options=options)
    generator = torch.Generator().manual_seed(0)
    limit = (6 / 5) ** 0.5
    w = torch.empty(1, 3, 2).uniform_(-limit, limit, generator=generator)[0].double().numpy()
    b, vw, vb = np.zeros(2), np.zeros((3, 2)), np.zeros(2)
    best, step = (np.inf, w, b), 0
    for _ in range(4):
        order = torch.randperm(5, generator=generator).numpy()
        for start in (0, 2, 4):
            rows = order[start : start + 2]
            p = np.exp(x[rows] @ w + b)
            error = p / p.sum(axis=1, keepdims=True) - np.eye(2)[y[rows]]
            gw, gb = x[rows].T @ error / len(rows), error.mean(axis=0)
            rate = 0.5 / (1 + 0.1 * step)
            vw, vb = 0.9 * vw - rate * gw, 0.9 * vb - rate * gb
            w, b = w + 0.9 * vw - rate * gw, b + 0.9 * vb - rate * gb
            step += 1
        logits = x @ w + b
        loss = (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(5), y]).mean()
        best = min(best, (loss, w, b), key=lambda item: item[0])
    np.testing.assert_array_equal(found[0], (test @ best[1] + best[2]).argmax(axis=1))


def test_probe_without_validation_is_refused():
    x = np.ones((3, 2), np.float32)
    with pytest.raises(ParameterError, match="valid"):
        probe_predict((x, [0, 1, 0]), (x[:0], []), x, n_classes=2)


# ---------------------------------------------------------------------------------- tags
@pytest.fixture
def scored(rng):
    """Scores with ties, and truth."""
    scores = np.round(rng.standard_normal((80, 5)), 1)
    return scores, rng.random((80, 5)) < 0.3


def test_average_precision_is_that_of_sklearn(scored):
    scores, truth = scored
    want = [average_precision_score(truth[:, i], scores[:, i]) for i in range(5)]
    np.testing.assert_allclose(average_precision(scores, truth), want, atol=1e-12)


def test_average_precision_of_tags_without_positives_is_nan():
    truth = np.array([[True, False], [True, False]])
    assert np.isnan(average_precision(np.zeros((2, 2)), truth)).tolist() == [False, True]


def test_prototypes_find_their_tags():
    train_tags = [{"a"}, {"a"}, {"b"}, {"b", "only-train"}]
    test_tags = [{"a"}, {"b"}, {"only-test"}]
    found = prototype_scores(unit(0, 10, 80, 90), train_tags, unit(5, 85, 45), test_tags)
    assert found.tags == ("a", "b")
    assert set(found.excluded) == {"only-train", "only-test"}
    assert roc_auc(found.scores, found.truth).tolist() == [1.0, 1.0]


# ---------------------------------------------------------------------------------- hold-out
def test_holdout_is_the_mean_over_all_draws(rng):
    vectors = rng.standard_normal((14, 3)).astype(np.float32)
    labels = [f"c{i % 3}" for i in range(14)]
    unit_vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit_vectors @ unit_vectors.T
    want = []
    for i in range(14):
        others = [j for j in range(14) if labels[j] != labels[i]]
        wins = [
            similarity[i, p] > max(similarity[i, n] for n in draw)
            for p in range(14)
            if labels[p] == labels[i] and p != i
            for draw in itertools.combinations(others, 4)
        ]
        want.append(np.mean(wins))
    np.testing.assert_allclose(holdout(vectors, labels).values, want, atol=1e-12)


def test_holdout_of_random_vectors_is_at_chance(rng):
    labels = [f"c{i % 30}" for i in range(600)]
    scores = holdout(rng.standard_normal((600, 8)).astype(np.float32), labels)
    assert scores.mean == pytest.approx(0.2, abs=0.03)


def test_holdout_counts_ties_as_wrong():
    labels = ["a"] * 3 + ["b"] * 5
    assert holdout(np.ones((8, 2), np.float32), labels).mean == 0.0


def test_holdout_takes_positives_from_elsewhere():
    vectors = np.concatenate([unit(0), unit(60, 61, 62, 63)])
    scores = holdout(vectors, ["a", "b", "c", "d", "e"], positives=unit(2, 90),
                     positive_labels=["a", "a"])  # fmt: skip
    assert scores.values.tolist() == [0.5]


def test_holdout_leaves_out_the_own_recording():
    vectors = unit(0, 1, 50, 60, 61, 62, 63)
    labels = ["a", "a", "a", "b", "c", "d", "e"]
    groups = ["x", "x", "y", "", "", "", ""]
    scores = holdout(vectors, labels, groups=groups)
    assert scores.values.tolist() == [1.0, 1.0, 0.0]


# ---------------------------------------------------------------------------------- intervals
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)],
)
def test_wilson_gives_the_published_values(hits, n, low, high):
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-4)


def test_wilson_refuses_more_hits_than_cases():
    with pytest.raises(ParameterError, match="hits"):
        wilson(3, 2)


def test_bootstrap_has_the_width_of_the_standard_error(rng):
    values = rng.standard_normal(400)
    low, high = bootstrap_mean(values)
    # 1000 resamples leave about 3 % of noise in a standard error
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.15)


def test_clusters_widen_the_interval(rng):
    values = np.repeat(rng.standard_normal(20), 20)
    names = [str(i // 20) for i in range(400)]
    alone, together = bootstrap_mean(values), bootstrap_mean(values, clusters=names)
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_interval_of_average_precision_lies_around_its_value(rng, monkeypatch):
    monkeypatch.setattr("featx_bench.intervals.RESAMPLES", 200)
    truth = np.stack([rng.permutation(40) < 2 for _ in range(40)], axis=1)  # rare tags
    scores = rng.standard_normal(truth.shape)

    def macro(rows):
        return macro_mean(average_precision(scores[rows], truth[rows]))

    plain_low, plain_high = bootstrap(macro, len(truth))
    value, low, high = centred_bootstrap(macro, len(truth))
    assert value == macro(np.arange(len(truth)))
    assert low < value < high
    assert high - low == pytest.approx(plain_high - plain_low)
    assert value - low == pytest.approx(high - value, rel=0.5)
    assert value - plain_low < (plain_high - value) / 4  # what it is for


def test_centred_interval_of_a_mean_is_the_plain_one(rng):
    values = rng.standard_normal(200)
    value, low, high = centred_bootstrap(lambda rows: float(values[rows].mean()), 200)
    assert value == values.mean()
    assert (low, high) == pytest.approx(bootstrap_mean(values), abs=0.01)


def test_bootstrap_repeats_itself(rng):
    values = rng.standard_normal(50)
    assert bootstrap_mean(values) == bootstrap_mean(values)
