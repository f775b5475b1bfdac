"""Classifiers on frozen features: nearest neighbours and the linear softmax probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.index import unit_rows

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

__all__ = ["STANDARDISATIONS", "ProbeOptions", "knn_predict", "probe_predict", "standardise"]

#: How features are scaled before a probe: by one mean and deviation of the whole training matrix,
#: by those of each dimension, or not at all.
STANDARDISATIONS = ("scalar", "dimension", "none")


def standardise(
    train: FloatArray, others: Sequence[FloatArray], how: str = "scalar"
) -> list[FloatArray]:
    """Return ``train`` and ``others`` scaled by what ``train`` holds; constant values become 0."""
    if how not in STANDARDISATIONS:
        raise ParameterError(f"how must be one of {STANDARDISATIONS}, got {how!r}.")
    if how == "none":
        return [train, *others]
    axis = None if how == "scalar" else 0
    wide = np.asarray(train, np.float64)
    mean, spread = wide.mean(axis=axis), wide.std(axis=axis)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return [
        ((np.asarray(x, np.float64) - mean) * scale).astype(np.float32) for x in (train, *others)
    ]


def knn_predict(train: FloatArray, labels: Sequence[int], test: FloatArray, *, k: int = 20) -> Any:
    """Classify by majority of the ``k`` nearest training rows, by cosine.

    A tie goes to the class with the larger sum of similarities, then to the lowest class.

    Parameters
    ----------
    train : float array, shape (n, dim)
    labels : sequence of int >= 0, length n
        Classes.
    test : float array, shape (m, dim)
    k : int > 0
        At most n are taken.

    Returns
    -------
    int64 array, shape (m,)
    """
    if k < 1 or len(train) == 0:
        raise ParameterError(f"k and the training rows must be > 0, got {k} and {len(train)}.")
    classes = np.asarray(labels, np.int64)
    scores = unit_rows(test).astype(np.float64) @ unit_rows(train).astype(np.float64).T
    scores = np.round(scores, 12)
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    predictions = np.empty(len(test), np.int64)
    n_classes = int(classes.max()) + 1
    for row, places in enumerate(nearest):
        votes = np.bincount(classes[places], minlength=n_classes)
        sums = np.bincount(classes[places], weights=scores[row, places], minlength=n_classes)
        tied = np.flatnonzero(votes == votes.max())
        predictions[row] = tied[np.argmax(np.round(sums[tied], 12))]
    return predictions


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """The training of a linear probe, as published for the artist-label models.

    SGD with Nesterov momentum, rate ``lr / (1 + decay * steps)``, until the validation loss has
    not fallen for ``patience`` epochs; the weights of the best epoch count.
    """

    lr: float = 0.01
    momentum: float = 0.9
    decay: float = 1e-6
    batch: int = 16
    epochs: int = 1000
    patience: int = 8
    trials: int = 10
    seed: int = 0


def probe_predict(
    train: tuple[FloatArray, Sequence[int]],
    valid: tuple[FloatArray, Sequence[int]],
    test: FloatArray,
    *,
    n_classes: int,
    options: ProbeOptions | None = None,
    report: Callable[[str], None] | None = None,
) -> Any:
    """Train softmax probes, and classify ``test`` by each.

    All trials are trained side by side; they differ in their initial weights and in the order of
    the examples.

    Parameters
    ----------
    train, valid : (float array of shape (n, dim), sequence of int)
        Scaled features and classes.
    test : float array, shape (m, dim)
    n_classes : int > 1
    report : callable, optional
        Gets a few words about every epoch.

    Returns
    -------
    int64 array, shape (trials, m)

    References
    ----------
    Park, Lee, Park, Ha, Nam. "Representation learning of music using artist labels". ISMIR, 2018.
    """
    from featx.neural import inference

    options = options or ProbeOptions()
    if len(train[0]) == 0 or len(valid[0]) == 0:
        raise ParameterError(
            f"train and valid must hold examples, got {len(train[0])} and {len(valid[0])}."
        )
    # products too small for threads, and sums that do not depend on their number
    with inference(threads=1):
        return _probe(train, valid, test, n_classes, options, report)


def _probe(
    train: tuple[FloatArray, Sequence[int]],
    valid: tuple[FloatArray, Sequence[int]],
    test: FloatArray,
    n_classes: int,
    options: ProbeOptions,
    report: Callable[[str], None] | None,
) -> Any:
    import torch

    x, y = torch.from_numpy(np.ascontiguousarray(train[0])), torch.tensor(train[1])
    xv, yv = torch.from_numpy(np.ascontiguousarray(valid[0])), torch.tensor(valid[1])
    trials, dim, n = options.trials, x.shape[1], len(x)
    generator = torch.Generator().manual_seed(options.seed)
    limit = (6.0 / (dim + n_classes)) ** 0.5  # Glorot's uniform law
    weight = torch.empty(trials, dim, n_classes).uniform_(-limit, limit, generator=generator)
    bias = torch.zeros(trials, 1, n_classes)
    state = [torch.zeros_like(weight), torch.zeros_like(bias)]
    best = (weight.clone(), bias.clone())
    lowest = torch.full((trials,), float("inf"))
    waited = torch.zeros(trials, dtype=torch.long)
    alive = torch.ones(trials, dtype=torch.bool)
    targets = torch.nn.functional.one_hot(y, n_classes).float()
    steps = 0
    for epoch in range(options.epochs):
        order = torch.stack([torch.randperm(n, generator=generator) for _ in range(trials)])
        for start in range(0, n, options.batch):
            rows = order[:, start : start + options.batch]  # (trials, batch)
            inputs = x[rows]  # (trials, batch, dim)
            error = torch.softmax(torch.bmm(inputs, weight) + bias, dim=2) - targets[rows]
            error /= rows.shape[1]
            gradients = [torch.bmm(inputs.transpose(1, 2), error), error.sum(dim=1, keepdim=True)]
            rate = options.lr / (1.0 + options.decay * steps)
            for value, velocity, gradient in zip((weight, bias), state, gradients, strict=True):
                velocity.mul_(options.momentum).sub_(rate * gradient)
                value.add_(options.momentum * velocity).sub_(rate * gradient)
            steps += 1
        logits = torch.matmul(xv, weight) + bias  # (trials, n_valid, classes)
        losses = torch.stack(
            [torch.nn.functional.cross_entropy(logits[t], yv) for t in range(trials)]
        )
        better = alive & (losses < lowest)
        lowest[better] = losses[better]
        waited = torch.where(better, 0, waited + 1)
        for target, value in zip(best, (weight, bias), strict=True):
            target[better] = value[better]
        alive &= waited < options.patience
        if report is not None:
            report(f"epoch {epoch + 1}, {int(alive.sum())} of {trials} probes still learn")
        if not alive.any():
            break
    scores = torch.matmul(torch.from_numpy(np.ascontiguousarray(test)), best[0]) + best[1]
    return scores.argmax(dim=2).numpy()


def accuracy_per_track(predictions: Any, labels: Sequence[int]) -> DoubleArray:
    """Return the share of trials that are right, for every track."""
    right: DoubleArray = (np.atleast_2d(predictions) == np.asarray(labels)).mean(axis=0)
    return right
