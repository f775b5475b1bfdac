"""What teachers gave for the seconds of a crop, and losses over what is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from featx import ParameterError
from featx.training import Song, Songs, Teacher, TeacherSampler, over_known, read_teacher


def sampler(teachers: list[Teacher], songs: list[Song], **more: Any) -> TeacherSampler:
    options: dict[str, Any] = {
        "teachers": teachers,
        "moments": [(np.zeros(item.dim), np.ones(item.dim)) for item in teachers],
        "tags": None, "labels": (), "length": 96, "rate": 31.25, "jitter": 0.0, "views": False,
    }  # fmt: skip
    return TeacherSampler(Songs(songs), **{**options, **more})


def song(name: str, *, length: int = 400, tags: str = "") -> Song:
    return Song(track_id=name, path=name, length=length, labels={"tags": tags})


def teacher(name: str, first: float, step: float, values: list[float]) -> Teacher:
    rows = np.array(values, np.float32)[:, np.newaxis]
    return Teacher(values={name: rows}, names=("",), first=first, step=step)


def test_crops_are_centred_on_the_frames_of_the_teacher(rng: np.random.Generator) -> None:
    drawn = sampler([teacher("a", 1.5, 3.0, [1, 2, 3, 4])], [song("a")])
    crops = [drawn.example(place, rng) for place in range(len(drawn))]
    assert [item.crops["inputs"].start for item in crops] == [0, 93, 186, 280]  # type: ignore[union-attr]
    assert [float(item.targets["numbers"][0]) for item in crops] == [1, 2, 3, 4]


def test_another_teacher_is_asked_for_the_same_seconds(rng: np.random.Generator) -> None:
    first = teacher("a", 1.5, 3.0, [1, 2, 3, 4])
    second = teacher("a", 0.5, 1.0, [10, 11, 12, 13, 14, 15])
    drawn = sampler([first, second], [song("a")])
    pairs = [drawn.example(place, rng).targets["numbers"].tolist() for place in range(4)]
    # a crop is 3.07 s long: the mean of three frames of the second, of two at the end of the track
    assert pairs == [[1, 11], [2, 14], [3, 14.5], [4, 14.5]]


def test_what_a_teacher_did_not_hear_is_unknown(rng: np.random.Generator) -> None:
    drawn = sampler(
        [teacher("a", 1.5, 3.0, [1]), teacher("b", 1.5, 3.0, [2])],
        [song("a", tags="loud"), song("b"), song("c")],
        labels=("loud", "quiet"),
    )
    assert len(drawn) == 2
    targets = [drawn.example(place, rng).targets for place in range(2)]
    np.testing.assert_array_equal(targets[0]["numbers"], [1, np.nan])
    np.testing.assert_array_equal(targets[1]["numbers"], [np.nan, 2])
    np.testing.assert_array_equal(targets[0]["labels"], [1, 0])
    assert np.isnan(targets[1]["labels"]).all()


def test_unknown_targets_do_not_count() -> None:
    predicted = torch.tensor([[1.0, 5.0], [2.0, 2.0]], requires_grad=True)
    true = torch.tensor([[2.0, torch.nan], [2.0, 2.0]])
    loss = over_known(torch.nn.functional.mse_loss, predicted, true)
    loss.backward()
    assert loss.item() == pytest.approx(1 / 3)
    assert predicted.grad is not None
    assert predicted.grad[0, 1] == 0


def test_nothing_known_is_a_zero_with_a_gradient() -> None:
    predicted = torch.ones(2, 3, requires_grad=True)
    loss = over_known(torch.nn.functional.mse_loss, predicted, torch.full((2, 3), torch.nan))
    loss.backward()
    assert loss.item() == 0


@pytest.mark.parametrize(
    ("text", "match"),
    [("store", "STORE:EXTRACTOR.FEATURE"), (":mfcc.frames", "STORE:EXTRACTOR.FEATURE")],
)
def test_a_teacher_without_store_or_feature_is_refused(text: str, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        read_teacher(text, ["a"])
