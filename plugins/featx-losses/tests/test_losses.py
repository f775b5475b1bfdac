"""Losses against plain loops in numpy, values known by hand, and limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from featx import ParameterError, PluginError
from featx.training import make_loss
from featx_losses import (
    AllNegatives,
    Cosine,
    CrossEntropy,
    Euclidean,
    HardestNegative,
    InfoNCE,
    Mean,
    ProxyBCE,
    RowMean,
    SemihardNegatives,
    Sum,
    TripletHinge,
)

#: Loops and tensors add the same float64 numbers in another order.
FLOAT64 = 1e-12
#: 2 - 2 cos of near vectors loses digits.
CANCELLED = 1e-9
#: The same in float32, relative.
FLOAT32 = 1e-5

BATCH, DIM = 7, 5


def draw(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.normal(size=shape))


def cos(a: Any, b: Any) -> float:
    a, b = np.asarray(a), np.asarray(b)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norms) if norms else 0.0


def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


# -------------------------------------------------------------------------------- reference twins
@pytest.mark.parametrize("reducer", ["sum", "mean", "rows", "active"])
def test_multi_negative_hinge_is_equation_4_2(rng: np.random.Generator, reducer: str) -> None:
    a, p, n = draw(rng, BATCH, DIM), draw(rng, BATCH, DIM), draw(rng, BATCH, 4, DIM)
    hinges = np.array(
        [
            [max(0.0, 0.4 - cos(a[i], p[i]) + cos(a[i], n[i, j])) for j in range(4)]
            for i in range(BATCH)
        ]
    )
    expected = {
        "sum": hinges.sum(),
        "mean": hinges.mean(),
        "rows": hinges.sum(axis=1).mean(),
        "active": hinges[hinges > 0].mean(),
    }[reducer]
    loss = make_loss("multi-negative-hinge", reducer=reducer)
    found = loss(anchors=a, positives=p, negatives=n)
    assert found.item() == pytest.approx(expected, abs=FLOAT64 * BATCH)


def test_one_negative_may_come_without_its_axis(rng: np.random.Generator) -> None:
    a, p, n = (draw(rng, BATCH, DIM) for _ in range(3))
    loss = make_loss("multi-negative-hinge")
    flat = loss(anchors=a, positives=p, negatives=n)
    assert torch.equal(flat, loss(anchors=a, positives=p, negatives=n[:, None]))


@pytest.mark.parametrize("normalise", [True, False])
def test_triplet_euclidean_is_a_loop(rng: np.random.Generator, normalise: bool) -> None:
    a, p, n = (rng.normal(size=(BATCH, DIM)) for _ in range(3))
    expected = 0.0
    for rows in zip(a, p, n, strict=True):
        x, y, z = (row / np.linalg.norm(row) if normalise else row for row in rows)
        expected += max(0.0, np.linalg.norm(x - y) - np.linalg.norm(x - z) + 0.1) / BATCH
    loss = make_loss("triplet-euclidean", normalise=normalise)
    roles = {"anchors": a, "positives": p, "negatives": n}
    found = loss(**{name: torch.from_numpy(value) for name, value in roles.items()})
    assert found.item() == pytest.approx(expected, abs=FLOAT64)


def test_triplet_cosine_is_a_loop(rng: np.random.Generator) -> None:
    a, p, n = (draw(rng, BATCH, DIM) for _ in range(3))
    hinges = [max(0.0, cos(a[i], n[i]) - cos(a[i], p[i]) + 0.1) for i in range(BATCH)]
    found = make_loss("triplet-cosine")(anchors=a, positives=p, negatives=n)
    assert found.item() == pytest.approx(np.mean(hinges), abs=FLOAT64)


@pytest.mark.parametrize("negatives", ["all", "hardest", "semihard"])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_batch_triplet_is_a_loop(rng: np.random.Generator, negatives: str, distance: str) -> None:
    x, labels = draw(rng, BATCH, DIM), torch.tensor([0, 1, 0, 2, 1, 0, 3])

    def gap(i: int, j: int, k: int) -> float:
        near, far = cos(x[i], x[j]), cos(x[i], x[k])
        if distance == "cosine":
            return far - near
        # between unit vectors
        return math.sqrt(2.0 - 2.0 * near) - math.sqrt(2.0 - 2.0 * far)

    losses = []
    for i in range(BATCH):
        for j in range(BATCH):
            if i == j or labels[i] != labels[j]:
                continue
            gaps = [gap(i, j, k) for k in range(BATCH) if labels[k] != labels[i]]
            if negatives == "hardest":
                gaps = [max(gaps)]
            elif negatives == "semihard":
                gaps = [value for value in gaps if -0.2 < value < 0]
            losses += [max(0.0, 0.2 + value) for value in gaps]
    loss = make_loss("batch-triplet", negatives=negatives, distance=distance, reducer="mean")
    assert loss(embeddings=x, labels=labels).item() == pytest.approx(np.mean(losses), abs=CANCELLED)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_that_of_torch(rng: np.random.Generator, smoothing: float) -> None:
    x, labels = draw(rng, BATCH, DIM), torch.tensor([0, 1, 4, 2, 2, 3, -1])
    expected = torch.nn.functional.cross_entropy(
        x, labels, ignore_index=-1, label_smoothing=smoothing
    )
    found = make_loss("cross-entropy", smoothing=smoothing)(embeddings=x, labels=labels)
    assert found.item() == pytest.approx(expected.item(), abs=FLOAT64)


def test_binary_cross_entropy_sums_over_tags(rng: np.random.Generator) -> None:
    x, y = draw(rng, BATCH, DIM), torch.from_numpy(rng.integers(2, size=(BATCH, DIM)))
    expected = 0.0
    for logit, label in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True):
        expected -= math.log(logistic(logit) if label else 1.0 - logistic(logit))
    found = make_loss("binary-cross-entropy")(embeddings=x, labels=y)
    assert found.item() == pytest.approx(expected / BATCH, abs=FLOAT64)


def test_nt_xent_is_equation_1(rng: np.random.Generator) -> None:
    views = draw(rng, BATCH, 2, DIM)
    flat = views.reshape(-1, DIM)
    losses = []
    for i in range(2 * BATCH):
        positive = i ^ 1
        total = sum(math.exp(cos(flat[i], flat[k]) / 0.5) for k in range(2 * BATCH) if k != i)
        losses.append(-math.log(math.exp(cos(flat[i], flat[positive]) / 0.5) / total))
    assert make_loss("nt-xent")(views=views).item() == pytest.approx(np.mean(losses), abs=FLOAT64)


@pytest.mark.parametrize("in_batch", [True, False])
def test_info_nce_is_a_softmax_over_batch_queue_and_hard_negatives(
    rng: np.random.Generator, in_batch: bool
) -> None:
    views, queued = draw(rng, BATCH, 4, DIM), draw(rng, 3, DIM)
    loss = make_loss("info-nce", dim=DIM, queue_size=10, in_batch=in_batch, temperature=0.2)
    assert isinstance(loss, InfoNCE)
    loss.double().enqueue(queued)
    losses = []
    for i in range(BATCH):
        query, key = views[i, 0], views[i, 1]
        others = [*views[i, 2:], *queued]
        if in_batch:
            others += [views[k, 1] for k in range(BATCH) if k != i]
        right = math.exp(cos(query, key) / 0.2)
        wrong = sum(math.exp(cos(query, other) / 0.2) for other in others)
        losses.append(-math.log(right / (right + wrong)))
    assert loss(views=views).item() == pytest.approx(np.mean(losses), abs=FLOAT64)


@pytest.mark.parametrize("masked", [False, True])
def test_proxy_bce_is_a_loop(rng: np.random.Generator, masked: bool) -> None:
    n_classes = 4
    masks = torch.tensor(rng.integers(2, size=(n_classes, DIM)), dtype=torch.float64)
    masks[:, 0] = 1.0
    loss = ProxyBCE(RowMean(), dim=DIM, n_classes=n_classes, masks=masks if masked else None)
    loss = loss.double()
    x, y = draw(rng, BATCH, DIM), rng.integers(2, size=(BATCH, n_classes))
    proxies = loss.proxies.detach().numpy()
    expected = 0.0
    for i in range(BATCH):
        for z in range(n_classes):
            mask = masks[z].numpy() if masked else np.ones(DIM)
            seen = x[i].numpy() * mask
            score = logistic(float(seen / np.linalg.norm(seen) @ (proxies[z] * mask)))
            expected -= math.log(score if y[i, z] else 1.0 - score) / BATCH
    found = loss(embeddings=x, labels=torch.from_numpy(y))
    assert found.item() == pytest.approx(expected, abs=FLOAT64 * BATCH)


# -------------------------------------------------------------------------------- known values
def test_hinge_of_a_perfect_and_a_reversed_triplet() -> None:
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]])
    loss = make_loss("multi-negative-hinge", margin=0.4)
    assert loss(anchors=x, positives=x, negatives=y).item() == 0.0
    assert loss(anchors=x, positives=y, negatives=x).item() == pytest.approx(2.4)


def test_sum_doubles_with_the_batch_and_mean_does_not(rng: np.random.Generator) -> None:
    a, p, n = (draw(rng, BATCH, DIM) for _ in range(3))
    once = {"anchors": a, "positives": p, "negatives": n}
    twice = {name: torch.cat([value, value]) for name, value in once.items()}
    for reducer, factor in (("sum", 2.0), ("mean", 1.0), ("rows", 1.0), ("active", 1.0)):
        loss = make_loss("triplet-cosine", reducer=reducer)
        assert loss(**twice).item() == pytest.approx(factor * loss(**once).item())


def test_directions_are_stated() -> None:
    near, far = torch.tensor([[1.0, 0.1]]), torch.tensor([[-1.0, 0.0]])
    anchor = torch.tensor([[1.0, 0.0]])
    for distance in (Cosine(), Euclidean(normalise=False)):
        values = [distance.pairs(anchor, other) for other in (near, far)]
        assert (values[0] > values[1]).item() == distance.larger_is_nearer
        assert distance.gap(*values).item() < 0
        assert distance.score(values[0]) > distance.score(values[1])


def test_vectors_of_zeros_have_cosine_0() -> None:
    zeros, ones = torch.zeros(1, 3), torch.ones(1, 3)
    assert Cosine().pairs(zeros, ones).item() == 0.0
    assert Cosine().matrix(zeros, torch.cat([zeros, ones])).tolist() == [[0.0, 0.0]]


def test_untrained_proxies_give_the_loss_of_chance() -> None:
    loss = make_loss("proxy-bce", dim=4096, n_classes=8)
    found = loss(embeddings=torch.ones(3, 4096), labels=torch.ones(3, 8))
    assert found.item() == pytest.approx(8 * math.log(2), rel=0.1)


# -------------------------------------------------------------------------------------- the queue
def test_queue_holds_the_newest_keys(rng: np.random.Generator) -> None:
    loss = InfoNCE(Cosine(), Mean(), temperature=1.0, dim=2, queue_size=5, in_batch=False)
    keys = torch.arange(26, dtype=torch.float32).reshape(13, 2)
    for first, last in ((0, 3), (3, 6), (6, 13)):
        loss.enqueue(keys[first:last])
        newest = {tuple(row) for row in keys[max(0, last - 5) : last].tolist()}
        held = loss.queue[: min(last, 5)]
        assert {tuple(row) for row in held.tolist()} == newest


def test_queue_survives_a_state_dict(rng: np.random.Generator) -> None:
    views = draw(rng, BATCH, 2, DIM)
    first, second = (make_loss("info-nce", dim=DIM, queue_size=4).double() for _ in range(2))
    first.enqueue(draw(rng, 6, DIM))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(views=views), second(views=views))


def test_enqueue_between_value_and_gradient_is_harmless(rng: np.random.Generator) -> None:
    views = draw(rng, BATCH, 2, DIM).requires_grad_()
    loss = make_loss("info-nce", dim=DIM, queue_size=4).double()
    loss.enqueue(draw(rng, 4, DIM))
    value = loss(views=views)
    expected = torch.autograd.grad(loss(views=views), views)[0]
    loss.enqueue(draw(rng, 4, DIM))
    assert torch.equal(torch.autograd.grad(value, views)[0], expected)


def test_query_without_any_negative_costs_nothing(rng: np.random.Generator) -> None:
    loss = make_loss("info-nce", dim=DIM, queue_size=4, in_batch=False)
    views = draw(rng, BATCH, 2, DIM).requires_grad_()
    value = loss(views=views)
    value.backward()
    assert value.item() == 0.0
    assert views.grad is not None
    assert not views.grad.any()


# -------------------------------------------------------------------------------------- limits
TRIPLETS = ("multi-negative-hinge", "triplet-euclidean", "triplet-cosine")


@pytest.mark.parametrize("scale", [1e-30, 1e30, 3e38])
@pytest.mark.parametrize("name", [*TRIPLETS, "batch-triplet", "nt-xent", "info-nce"])
def test_float32_to_its_limits_is_finite(rng: np.random.Generator, name: str, scale: float) -> None:
    """Squares of these overflow or vanish."""
    x = torch.from_numpy(rng.uniform(-1, 1, size=(BATCH, 2, DIM)) * scale).float()
    x.requires_grad_()
    loss: Any = make_loss(name, **({"dim": DIM} if name == "info-nce" else {}))
    if name in TRIPLETS:
        value = loss(anchors=x[:, 0], positives=x[:, 1], negatives=x.roll(1, dims=0))
    elif name == "batch-triplet":
        value = loss(embeddings=x.flatten(0, 1), labels=torch.arange(2 * BATCH) // 2)
    else:
        value = loss(views=x)
    value.backward()
    assert value.isfinite()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", TRIPLETS)
def test_scale_does_not_matter_to_unit_vectors(rng: np.random.Generator, name: str) -> None:
    roles = {key: draw(rng, BATCH, DIM) for key in ("anchors", "positives", "negatives")}
    loss = make_loss(name)
    scaled = {key: value * 1e100 for key, value in roles.items()}
    assert loss(**scaled).item() == pytest.approx(loss(**roles).item(), rel=1e-9)


def test_half_precision_is_computed_in_single(rng: np.random.Generator) -> None:
    views = draw(rng, BATCH, 2, DIM).bfloat16()
    loss = make_loss("nt-xent")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(views=views)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss(views=views.double()).item(), rel=FLOAT32)


def test_no_pair_gives_zero_with_a_gradient(rng: np.random.Generator) -> None:
    x = draw(rng, 3, DIM).requires_grad_()
    for labels in ([0, 0, 0], [0, 1, 2]):
        value = make_loss("batch-triplet")(embeddings=x, labels=torch.tensor(labels))
        assert value.item() == 0.0
        value.backward()
    unknown = make_loss("cross-entropy")(embeddings=x, labels=torch.tensor([-1, -1, -1]))
    assert unknown.item() == 0.0
    assert unknown.requires_grad


def test_more_negatives_change_nothing_for_the_hardest(rng: np.random.Generator) -> None:
    a, p, n = draw(rng, BATCH, DIM), draw(rng, BATCH, DIM), draw(rng, BATCH, 4, DIM)
    loss = TripletHinge(Cosine(), HardestNegative(), Sum(), margin=0.4)
    farther = torch.cat([n, -a[:, None]], dim=1)
    assert loss(anchors=a, positives=p, negatives=n) == loss(
        anchors=a, positives=p, negatives=farther
    )


def test_miners_choose_among_valid_negatives() -> None:
    gaps = torch.tensor([[0.3, -0.1, -0.5, 0.3]])
    valid = torch.tensor([[False, True, True, True]])
    assert AllNegatives()(gaps, valid).tolist() == valid.tolist()
    assert HardestNegative()(gaps, valid).tolist() == [[False, False, False, True]]
    assert SemihardNegatives(margin=0.2)(gaps, valid).tolist() == [[False, True, False, False]]


def test_gradient_descent_learns(rng: np.random.Generator) -> None:
    """Embeddings of four classes, free to move, come apart."""
    labels = torch.arange(12) // 3
    x = draw(rng, 12, DIM).requires_grad_()
    loss = make_loss("batch-triplet", negatives="all", margin=0.5)
    for _ in range(200):
        (gradient,) = torch.autograd.grad(loss(embeddings=x, labels=labels), x)
        x.data -= 0.5 * gradient
    assert loss(embeddings=x, labels=labels).item() == 0.0


# -------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("name", "shapes", "told"),
    [
        ("triplet-cosine", {"anchors": (3, 4)}, "got no positives, no negatives"),
        (
            "triplet-cosine",
            {"anchors": (3, 4), "positives": (3, 5), "negatives": (3, 4)},
            r"positives must have shape of anchors, \(3, 4\), got \(3, 5\)",
        ),
        (
            "triplet-cosine",
            {"anchors": (3, 4), "positives": (3, 4), "negatives": (2, 2, 4)},
            r"negatives must have shape \(3, 4\) or \(3, n_negatives, 4\), got \(2, 2, 4\)",
        ),
        ("nt-xent", {"views": (3, 1, 4)}, "two views at least"),
        ("info-nce", {"views": (3, 2, 4)}, "dim 128 in the last axis, got 4. Set dim"),
        ("cross-entropy", {"embeddings": (3, 4), "labels": (3,)}, "labels must be integers"),
        ("proxy-bce", {"embeddings": (3, 256), "labels": (3, 4)}, r"got \(3, 4\)"),
    ],
)
def test_wrong_roles_are_refused(name: str, shapes: dict[str, Any], told: str) -> None:
    roles = {role: torch.zeros(shape) for role, shape in shapes.items()}
    loss = make_loss(name)
    with pytest.raises(ParameterError, match=told):
        loss(**roles)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ParameterError, match="margin must be > 0"):
        make_loss("triplet-cosine", margin=-1.0)
    with pytest.raises(ParameterError, match="reducer must be one of"):
        make_loss("triplet-cosine", reducer="median")
    with pytest.raises(PluginError, match="multi-negative-hinge"):
        make_loss("multi-negative-hing")


def test_parts_are_composed_as_objects() -> None:
    loss = CrossEntropy(Sum())
    value = loss(embeddings=torch.zeros(2, 4), labels=torch.tensor([0, 3]))
    assert value.item() == pytest.approx(2 * math.log(4))


def test_proxies_see_their_block_alone(rng: np.random.Generator) -> None:
    loss: Any = make_loss("proxy-bce", dim=5, n_classes=3, sizes=(2, 3), blocks=(1, 0, 1))
    x = torch.from_numpy(rng.standard_normal((4, 5)).astype(np.float32))
    scores = loss.scores(x)
    first = x[:, :2] / x[:, :2].norm(dim=1, keepdim=True)
    torch.testing.assert_close(scores[:, 1], first @ loss.proxies[1, :2])
    changed = x.clone()
    changed[:, :2] += 1
    torch.testing.assert_close(loss.scores(changed)[:, [0, 2]], scores[:, [0, 2]])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": (2, 2), "blocks": (0, 1, 1)}, "sizes must be"),
        ({"sizes": (2, 3), "blocks": (0, 1)}, "blocks must number"),
        ({"sizes": (2, 3), "blocks": (0, 1, 2)}, "blocks must number"),
        ({"blocks": (0, 0, 0)}, "blocks must number"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make_loss("proxy-bce", dim=5, n_classes=3, **settings)
