"""The rules that every loss keeps, checked in processes of their own."""

from __future__ import annotations

import pytest

from featx.testing import check_loss

pytest.importorskip("pytorch_metric_learning", reason="pytorch-metric-learning is not installed")

_SMALL = {"dim": 6, "n_classes": 5}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("triplet-margin", {}),
        ("contrastive", {}),
        ("nt-xent", {}),
        ("sup-con", {}),
        ("multi-similarity", {}),
        ("arcface", _SMALL),
        ("cosface", _SMALL),
        ("normalized-softmax", _SMALL),
        ("proxy-anchor", _SMALL),
    ],
)
def test_loss_conforms(name: str, params: dict[str, int]) -> None:
    check_loss(f"featx-pytorch-metric-learning:pml-{name}", params=params)


def test_circle_conforms_but_for_its_weights() -> None:
    check_loss(
        "featx-pytorch-metric-learning:pml-circle",
        expected={"gradient": "the weights of its pairs are constants by definition (eq. 5)"},
    )
