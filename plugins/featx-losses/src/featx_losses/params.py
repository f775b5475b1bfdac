"""What can be set about each loss: plain values, no torch."""

from __future__ import annotations

from typing import Any

from featx import ParameterError, param, params_class

_REDUCER = (
    "How losses are combined: sum; mean of all; rows, sum within an anchor and mean over "
    "anchors; active, mean of those above 0."
)
_NEGATIVES = "Negatives of a pair that are used: all, the nearest, or those within the margin."

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

    margin: float = param(0.4, "Margin of the cosine, > 0.", gt=0)
    negatives: str = negatives("all")
    reducer: str = reducer("sum")


@params_class
class EuclideanParams:
    """Parameters of ``triplet-euclidean``."""

    margin: float = param(0.1, "Margin of the distance, > 0.", gt=0)
    normalise: bool = param(True, "Normalise embeddings to unit length first.")
    negatives: str = negatives("all")
    reducer: str = reducer("mean")


@params_class
class CosineParams:
    """Parameters of ``triplet-cosine``."""

    margin: float = param(0.1, "Margin of the cosine, > 0.", gt=0)
    negatives: str = negatives("all")
    reducer: str = reducer("mean")


@params_class
class BatchParams:
    """Parameters of ``batch-triplet``."""

    distance: str = param(
        "euclidean", "Distance between embeddings of unit length.", choices=("euclidean", "cosine")
    )
    margin: float = param(0.2, "Margin of the distance, > 0.", gt=0)
    negatives: str = negatives("semihard")
    reducer: str = reducer("active")


@params_class
class CrossEntropyParams:
    """Parameters of ``cross-entropy``."""

    smoothing: float = param(
        0.0,
        "Label smoothing: share of the target that is distributed over all classes, 0..1.",
        ge=0,
        lt=1,
    )
    reducer: str = reducer("mean")


@params_class
class BinaryParams:
    """Parameters of ``binary-cross-entropy``."""

    reducer: str = reducer("rows")


@params_class
class NTXentParams:
    """Parameters of ``nt-xent``."""

    temperature: float = param(0.5, "Temperature by which cosines are divided, > 0.", gt=0)
    reducer: str = reducer("mean")


@params_class
class InfoNCEParams:
    """Parameters of ``info-nce``."""

    temperature: float = param(0.07, "Temperature by which cosines are divided, > 0.", gt=0)
    dim: int = param(128, "Dimension of the embeddings, > 0.", gt=0)
    queue_size: int = param(
        4096, "Number of keys of earlier steps that are used as negatives, >= 0.", ge=0
    )
    in_batch: bool = param(True, "Also use the keys of other examples of the batch as negatives.")
    reducer: str = reducer("mean")


@params_class
class ProxyParams:
    """Parameters of ``proxy-bce``."""

    dim: int = param(256, "Dimension of the embeddings, > 0.", gt=0)
    n_classes: int = param(50, "Number of tags, each with a trained proxy, > 0.", gt=0)
    sizes: tuple[int, ...] = param(
        (), "Sizes of the blocks of an embedding; empty for a single block."
    )
    blocks: tuple[int, ...] = param((), "Block that each tag uses, counted from 0; requires sizes.")
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
