"""The adapter gives the library's numbers, and errors in the words of featx."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch

from featx import ParameterError
from featx.training import make_loss

library = pytest.importorskip(
    "pytorch_metric_learning.losses", reason="pytorch-metric-learning is not installed"
)

SIZES = {"embedding_size": 6, "num_classes": 4}


def inputs(rng: np.random.Generator) -> dict[str, torch.Tensor]:
    return {
        "embeddings": torch.from_numpy(rng.normal(size=(8, 6)).astype(np.float32)),
        "labels": torch.tensor([0, 1, 2, 3, 0, 1, 2, 3]),
    }


@pytest.mark.parametrize(
    ("name", "params", "direct"),
    [
        ("triplet-margin", {"smooth": True}, ("TripletMarginLoss", {"smooth_loss": True})),
        ("contrastive", {"neg_margin": 2.0}, ("ContrastiveLoss", {"neg_margin": 2.0})),
        ("nt-xent", {"temperature": 0.2}, ("NTXentLoss", {"temperature": 0.2})),
        ("sup-con", {}, ("SupConLoss", {})),
        ("multi-similarity", {"beta": 40.0}, ("MultiSimilarityLoss", {"beta": 40.0})),
        ("circle", {"m": 0.3}, ("CircleLoss", {"m": 0.3})),
        ("arcface", {"margin": 20.0}, ("ArcFaceLoss", {**SIZES, "margin": 20.0})),
        ("cosface", {}, ("CosFaceLoss", SIZES)),
        ("normalized-softmax", {}, ("NormalizedSoftmaxLoss", SIZES)),
        ("proxy-anchor", {}, ("ProxyAnchorLoss", SIZES)),
    ],
)
def test_values_are_those_of_the_library(
    rng: np.random.Generator, name: str, params: dict[str, Any], direct: tuple[str, Any]
) -> None:
    roles = inputs(rng)
    if "num_classes" in direct[1]:
        params = {**params, "dim": 6, "n_classes": 4}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = make_loss(f"pml-{name}", **params)
        torch.manual_seed(0)
        theirs = getattr(library, direct[0])(**direct[1])
    expected = theirs(roles["embeddings"], roles["labels"])
    assert torch.equal(ours(**roles), expected)
    assert expected > 0


def test_vectors_of_classes_are_parameters() -> None:
    loss: Any = make_loss("pml-arcface", dim=6, n_classes=4)
    assert [tuple(item.shape) for item in loss.parameters()] == [(6, 4)]


def test_wrong_labels_are_refused(rng: np.random.Generator) -> None:
    roles = inputs(rng)
    loss = make_loss("pml-arcface", dim=6, n_classes=3)
    with pytest.raises(ParameterError, match=r"labels must be within 0\.\.2, got 0\.\.3"):
        loss(**roles)
    with pytest.raises(ParameterError, match="embeddings and labels must have shapes"):
        loss(embeddings=roles["embeddings"], labels=roles["labels"][:3])


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    with pytest.raises(ParameterError, match="pip install pytorch-metric-learning"):
        make_loss("pml-sup-con")
