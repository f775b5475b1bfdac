"""Classes of classifiers: names, labels, losses, metrics per clip."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from featx import ParameterError
from featx.training import (
    ArtistClasses,
    ClassifierMethod,
    CropSpec,
    Song,
    Songs,
    TagClasses,
    macro_roc_auc,
    roc_auc,
)


def songs(*labels: tuple[str, str]) -> Songs:
    return Songs(
        Song(track_id=f"{n}", path=f"{n}.wav", length=100, labels={"artist": artist, "tags": tags})
        for n, (artist, tags) in enumerate(labels)
    )


SONGS = songs(("b", "x;y"), ("a", "x"), ("b", "z"))


class Method(ClassifierMethod):
    """Logits are what the batch says."""

    def __init__(self, classes: Any) -> None:
        super().__init__(None)
        self.classes = classes

    def crops(self) -> CropSpec:
        return CropSpec(sr=8000, length=10)

    def build(self, generator: torch.Generator) -> torch.nn.Module:
        return torch.nn.Identity()

    def export(self, model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}


@pytest.mark.parametrize("ties", [False, True])
def test_areas_agree_with_scikit_learn(rng: np.random.Generator, ties: bool) -> None:
    scores = rng.integers(4, size=(60, 5)) if ties else rng.normal(size=(60, 5))
    truth = rng.random((60, 5)) < 0.3
    wanted = [roc_auc_score(truth[:, k], scores[:, k]) for k in range(5)]
    np.testing.assert_allclose(roc_auc(scores, truth), wanted, atol=1e-12)


@pytest.mark.parametrize("value", [True, False])
def test_area_of_one_kind_of_answer_is_nan(value: bool) -> None:
    assert np.isnan(roc_auc(np.zeros((3, 2)), np.full((3, 2), value))).all()


def test_macro_area_leaves_out_columns_of_one_kind() -> None:
    scores = np.array([[0.1, 0.5], [0.9, 0.5]])
    assert macro_roc_auc(scores, np.array([[0, 1], [1, 1]])) == 1.0
    assert macro_roc_auc(scores, np.ones((2, 2))) is None


def test_artists_are_numbered_by_name() -> None:
    classes = ArtistClasses()
    classes.fit(SONGS)
    assert classes.names == ("a", "b")
    np.testing.assert_array_equal(classes.labels(SONGS), [1, 0, 1])
    assert len(classes.known(songs(("c", ""), ("a", "")))) == 1


def test_one_artist_is_refused() -> None:
    with pytest.raises(ParameterError, match="two artists"):
        ArtistClasses().fit(songs(("a", ""), ("a", "")))


def test_tags_are_the_most_frequent_or_the_vocabulary() -> None:
    frequent, given = TagClasses(max_tags=2), TagClasses(("q", "z"))
    for classes in (frequent, given):
        classes.fit(SONGS)
    assert frequent.names == ("x", "y")
    np.testing.assert_array_equal(given.labels(SONGS), [[0, 0], [0, 0], [0, 1]])


def test_predictions_are_averaged_over_the_segments_of_a_clip() -> None:
    method = Method(ArtistClasses())
    method.samplers(SONGS, Songs([]))
    # clip 0 has one strong answer for b and two weak ones for a
    batches: Iterable[Any] = [
        {
            "inputs": torch.tensor([[0.0, 9.0], [0.5, 0.0]]),
            "targets": torch.tensor([1, 1]),
            "clip": torch.tensor([0, 0]),
        },
        {
            "inputs": torch.tensor([[0.5, 0.0], [3.0, 0.0]]),
            "targets": torch.tensor([1, 0]),
            "clip": torch.tensor([0, 1]),
        },
    ]
    metrics = method.evaluate(torch.nn.Identity(), batches)
    assert metrics["accuracy"] == 1.0
    logits = torch.cat([batch["inputs"] for batch in batches])
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 1, 1, 0]))
    assert metrics["loss"] == pytest.approx(float(expected))


def test_songs_that_cannot_be_judged_do_not_validate() -> None:
    method = Method(ArtistClasses())
    drawn, held = method.samplers(SONGS, songs(("c", ""), ("d", "")))
    assert len(drawn) == 3
    assert held is None
    assert method.card() == {"artists": ["a", "b"]}
