"""What the numbers must be."""

from __future__ import annotations

import pytest
import torch

from featx_example_name.loss import ExampleName

A, B = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])


def test_positive_that_is_near_enough_costs_nothing() -> None:
    assert float(ExampleName(margin=0.2)(anchors=A, positives=A, negatives=B)) == 0.0


def test_negative_in_the_place_of_the_positive_costs_one_more_than_the_margin() -> None:
    loss = ExampleName(margin=0.2)(anchors=A, positives=B, negatives=A)
    assert float(loss) == pytest.approx(1.2)


def test_several_negatives_count_equally() -> None:
    negatives = torch.stack([A, B], dim=1)
    loss = ExampleName(margin=0.2)(anchors=A, positives=A, negatives=negatives)
    assert float(loss) == pytest.approx(0.1)
