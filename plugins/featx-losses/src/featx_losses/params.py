"""What can be set about each loss: plain values, no torch."""

from __future__ import annotations

from typing import Any

from featx import ParameterError, param, params_class

_REDUCER = (
    "How losses become one number: sum; mean of all; sum within an anchor and mean over anchors "
    "(rows); mean of those above 0 (active)."
)
_NEGATIVES = "Which negatives of a pair count: all, the nearest, or those within the margin."

REDUCERS = ("sum", "mean", "rows", "active")
NEGATIVES = ("all", "hardest", "semihard")


def reducer(default: str) -> Any:
    """Declare the field ``reducer``."""
    return param(default, _REDUCER, choices=REDUCERS)


def negatives(default: str) -> Any:
    """Declare the field ``negatives``."""
    return param(default, _NEGATIVES, choices=NEGATIVES)


@params_class
class MultiNegativeParams:
    """Parameters of ``multi-negative-hinge``."""

    margin: float = param(0.4, "Cosine by which the positive must be nearer, > 0.", gt=0)
    negatives: str = negatives("all")
    reducer: str = reducer("sum")


@params_class
class EuclideanParams:
    """Parameters of ``triplet-euclidean``."""

    margin: float = param(0.1, "Distance by which the positive must be nearer, > 0.", gt=0)
    normalise: bool = param(True, "Bring embeddings to unit length first.")
    negatives: str = negatives("all")
    reducer: str = reducer("mean")


@params_class
class CosineParams:
    """Parameters of ``triplet-cosine``."""

    margin: float = param(0.1, "Cosine by which the positive must be nearer, > 0.", gt=0)
    negatives: str = negatives("all")
    reducer: str = reducer("mean")


@params_class
class BatchParams:
    """Parameters of ``batch-triplet``."""

    distance: str = param(
        "euclidean", "Between embeddings of unit length.", choices=("euclidean", "cosine")
    )
    margin: float = param(0.2, "By which the positive must be nearer, > 0.", gt=0)
    negatives: str = negatives("semihard")
    reducer: str = reducer("active")


@params_class
class CrossEntropyParams:
    """Parameters of ``cross-entropy``."""

    smoothing: float = param(
        0.0, "Share of the target that is spread over all classes, 0..1.", ge=0, lt=1
    )
    reducer: str = reducer("mean")


@params_class
class BinaryParams:
    """Parameters of ``binary-cross-entropy``."""

    reducer: str = reducer("rows")


@params_class
class NTXentParams:
    """Parameters of ``nt-xent``."""

    temperature: float = param(0.5, "Cosines are divided by it, > 0.", gt=0)
    reducer: str = reducer("mean")


@params_class
class InfoNCEParams:
    """Parameters of ``info-nce``."""

    temperature: float = param(0.07, "Cosines are divided by it, > 0.", gt=0)
    dim: int = param(128, "Length of the embeddings, > 0.", gt=0)
    queue_size: int = param(4096, "Keys of earlier steps that are negatives, >= 0.", ge=0)
    in_batch: bool = param(True, "Keys of the other examples of the batch are negatives, too.")
    reducer: str = reducer("mean")


@params_class
class ProxyParams:
    """Parameters of ``proxy-bce``."""

    dim: int = param(256, "Length of the embeddings, > 0.", gt=0)
    n_classes: int = param(50, "Tags, each with a trained proxy, > 0.", gt=0)
    sizes: tuple[int, ...] = param(
        (), "Sizes of the blocks that an embedding consists of; empty for a single one."
    )
    blocks: tuple[int, ...] = param(
        (), "Number of the block that every tag looks at, from 0; with sizes."
    )
    reducer: str = reducer("rows")

    def __post_init__(self) -> None:
        known = range(len(self.sizes))
        if self.sizes and (min(self.sizes) < 1 or sum(self.sizes) != self.dim):
            raise ParameterError(
                f"sizes must be integers > 0 whose sum is dim = {self.dim}, got {self.sizes}."
            )
        if len(self.blocks) != (self.n_classes if self.sizes else 0) or any(
            number not in known for number in self.blocks
        ):
            raise ParameterError(
                f"blocks must number one of {len(self.sizes)} blocks for each of "
                f"{self.n_classes} tags where sizes are given, got {self.blocks}."
            )
