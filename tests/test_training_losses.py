"""Losses that are chosen for a training by name: those that fit, and why others do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional

from featx import LossRoles, LossSpec, MethodSpec, param, params_class
from featx.cli import main
from featx.errors import ParameterError
from featx.registry import load_registry
from featx.training.losses import why_not
from featx.training.planning import plan_training


@params_class
class Sized:
    n_classes: int = param(2, "Classes, > 0.", gt=0)


def method(**roles: Any) -> MethodSpec:
    return MethodSpec(name="m", summary="x", factory="a:B", loss=LossRoles(**roles))


def loss(**changes: Any) -> LossSpec:
    values = {"name": "l", "summary": "x", "version": "1", "factory": "a:B", "api": 1}
    return LossSpec(**{**values, "inputs": "labels", **changes})


@pytest.mark.parametrize(
    ("roles", "changes", "reason"),
    [
        ({"inputs": "labels"}, {}, ""),
        ({"inputs": "triplet"}, {"inputs": "triplet"}, ""),
        ({"inputs": "triplet"}, {}, "gives anchors, positives and negatives"),
        ({"inputs": "labels"}, {"inputs": "views"}, "the loss takes views"),
        ({"inputs": "labels", "labels": "tags"}, {}, "labels that are tags"),
        (
            {"inputs": "triplet", "many_negatives": True},
            {"inputs": "triplet"},
            "the loss takes one",
        ),
        ({"inputs": "labels", "logits": True}, {"pairwise": True}, "compares embeddings"),
        ({"inputs": "labels"}, {"params": Sized}, "trains no tensors"),
    ],
)
def test_roles_decide(roles: dict[str, Any], changes: dict[str, Any], reason: str) -> None:
    found = why_not(method(**roles), loss(**{"pairwise": False, **changes}))
    assert reason in found
    assert bool(reason) == bool(found)


def planned(extractor: str, name: str, **settings: str) -> Any:
    return plan_training(load_registry(), extractor, name, {"steps": "1", **settings})


def test_chosen_loss_of_triplets_has_its_parameters_and_its_reduction() -> None:
    plan = planned("artist-siamese", "siamese", **{"loss": "triplet-cosine", "loss.margin": "0.3"})
    rng = torch.Generator().manual_seed(0)
    a, p, n = (torch.randn(shape, generator=rng) for shape in ((4, 8), (4, 8), (4, 3, 8)))
    cos = functional.cosine_similarity
    expected = (cos(a[:, None], n, dim=2) - cos(a, p)[:, None] + 0.3).clamp(min=0).mean()
    value = plan.method.hinge("artist")(anchors=a, positives=p, negatives=n)
    assert float(value) == pytest.approx(float(expected), abs=1e-6)
    assert plan.method.reduction == "mean"
    assert plan.loss["name"] == "featx-losses:triplet-cosine"
    assert plan.loss["params"]["margin"] == 0.3


def test_method_keeps_its_own_loss_without_a_choice() -> None:
    plan = planned("artist-siamese", "siamese")
    assert (plan.method.loss, plan.method.reduction, plan.loss) == (None, "sum", {})


def test_chosen_loss_of_a_classifier_takes_logits() -> None:
    plan = planned("samplecnn", "artist", **{"loss": "cross-entropy", "loss.smoothing": "0.2"})
    logits = torch.randn((5, 3), generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([0, 1, 2, 1, 0])
    expected = functional.cross_entropy(logits, targets, label_smoothing=0.2)
    assert float(plan.method.loss_of(logits, targets)) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "cross-entropy"}, "Losses that fit: .*triplet-cosine"),
        ({"loss": "triplet-cosine", "loss.margni": "1"}, "margni"),
        ({"loss": "triplet-cosine", "loss.margin": "-1"}, "margin must be > 0"),
        ({"loss.margin": "1"}, "Add --set loss=NAME"),
    ],
)
def test_loss_that_does_not_fit_is_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        planned("artist-siamese", "siamese", **settings)


def test_info_names_the_methods_of_a_loss_and_the_losses_of_a_method() -> None:
    assert (
        "artist-siamese --method siamese"
        in CliRunner().invoke(main, ["info", "triplet-cosine"]).output
    )
    words = ["info", "artist-siamese", "--method", "siamese", "--set", "loss=triplet-cosine"]
    result = CliRunner().invoke(main, [*words, "--set", "loss.margin=0.2"])
    assert "losses: featx-losses:multi-negative-hinge, featx-losses:triplet-cosine" in result.output
