"""From plain parameters to parts: the only place where parts have names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from featx_losses.classes import BinaryCrossEntropy, CrossEntropy, ProxyBCE
from featx_losses.contrast import InfoNCE, NTXent
from featx_losses.distances import Cosine, Distance, Euclidean
from featx_losses.hinge import BatchHinge, TripletHinge
from featx_losses.miners import AllNegatives, HardestNegative, Miner, SemihardNegatives
from featx_losses.reducers import ActiveMean, Mean, Reducer, RowMean, Sum

REDUCERS: Mapping[str, type[Reducer]] = {
    "sum": Sum,
    "mean": Mean,
    "rows": RowMean,
    "active": ActiveMean,
}
_MINERS: Mapping[str, Callable[[float], Miner]] = {
    "all": lambda _: AllNegatives(),
    "hardest": lambda _: HardestNegative(),
    "semihard": lambda margin: SemihardNegatives(margin=margin),
}


def multi_negative_hinge(*, margin: float, negatives: str, reducer: str) -> TripletHinge:
    """Return the hinge on cosines against several negatives."""
    return _hinge(Cosine(), margin, negatives, reducer)


def triplet_euclidean(
    *, margin: float, normalise: bool, negatives: str, reducer: str
) -> TripletHinge:
    """Return the hinge on Euclidean distances."""
    return _hinge(Euclidean(normalise=normalise), margin, negatives, reducer)


def triplet_cosine(*, margin: float, negatives: str, reducer: str) -> TripletHinge:
    """Return the hinge on cosines."""
    return _hinge(Cosine(), margin, negatives, reducer)


def _hinge(distance: Distance, margin: float, negatives: str, reducer: str) -> TripletHinge:
    return TripletHinge(distance, _MINERS[negatives](margin), REDUCERS[reducer](), margin=margin)


def batch_triplet(*, distance: str, margin: float, negatives: str, reducer: str) -> BatchHinge:
    """Return the hinge on all triplets of a labelled batch."""
    measure = Cosine() if distance == "cosine" else Euclidean(normalise=True)
    return BatchHinge(measure, _MINERS[negatives](margin), REDUCERS[reducer](), margin=margin)


def cross_entropy(*, smoothing: float, reducer: str) -> CrossEntropy:
    """Return the categorical cross-entropy."""
    return CrossEntropy(REDUCERS[reducer](), smoothing=smoothing)


def binary_cross_entropy(*, reducer: str) -> BinaryCrossEntropy:
    """Return the binary cross-entropy over tags."""
    return BinaryCrossEntropy(REDUCERS[reducer]())


def nt_xent(*, temperature: float, reducer: str) -> NTXent:
    """Return the contrast between the views of a batch."""
    return NTXent(Cosine(), REDUCERS[reducer](), temperature=temperature)


def info_nce(
    *, temperature: float, dim: int, queue_size: int, in_batch: bool, reducer: str
) -> InfoNCE:
    """Return the contrast with a queue."""
    return InfoNCE(
        Cosine(),
        REDUCERS[reducer](),
        temperature=temperature,
        dim=dim,
        queue_size=queue_size,
        in_batch=in_batch,
    )


def proxy_bce(
    *, dim: int, n_classes: int, sizes: Sequence[int], blocks: Sequence[int], reducer: str
) -> ProxyBCE:
    """Return the binary cross-entropy against proxies."""
    masks = None
    if sizes:
        own = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))  # (dim,)
        masks = own == torch.tensor(blocks).unsqueeze(1)  # (n_classes, dim)
    return ProxyBCE(REDUCERS[reducer](), dim=dim, n_classes=n_classes, masks=masks)
