"""Losses for featx, composed from distances, miners and reducers.

The parts are public: compose them anew in a method of your own. They need torch, and are imported
when they are asked for.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

from featx import API_VERSION, LossSpec, hookimpl
from featx_losses import params

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["featx_losses"]

_PARK = (
    "Park, Lee, Park, Ha, Nam. Representation learning of music using artist labels. ISMIR 2018, "
    "arXiv:1710.06648"
)
_LEE = (
    "Lee, Bryan, Salamon, Jin, Nam. Metric learning vs classification for disentangled music "
    "representation learning. ISMIR 2020"
)


def _spec(name: str, summary: str, inputs: str, parameters: type, **more: Any) -> LossSpec:
    return LossSpec(
        name=name,
        summary=summary,
        version="1",
        factory=f"featx_losses.factories:{name.replace('-', '_')}",
        inputs=inputs,
        api=API_VERSION,
        params=parameters,
        licence="MIT",
        **more,
    )


@hookimpl
def featx_losses() -> list[LossSpec]:
    """Return the losses of this package."""
    return [
        _spec(
            "multi-negative-hinge",
            "Hinge loss on the cosines of a positive and several negatives",
            "triplet",
            params.MultiNegativeParams,
            many_negatives=True,
            reference=_PARK,
        ),
        _spec(
            "triplet-euclidean",
            "Hinge loss on the Euclidean distances of positive and negatives to the anchor",
            "triplet",
            params.EuclideanParams,
            many_negatives=True,
            reference=(
                "Lee, Bryan, Salamon, Jin, Nam. Disentangled multidimensional metric learning for "
                "music similarity. ICASSP 2020, arXiv:2008.03720"
            ),
        ),
        _spec(
            "triplet-cosine",
            "Hinge loss on the cosines of positive and negatives with the anchor",
            "triplet",
            params.CosineParams,
            many_negatives=True,
            reference=_LEE,
        ),
        _spec(
            "batch-triplet",
            "Hinge loss on the triplets of a labelled batch, with selection of negatives",
            "labels",
            params.BatchParams,
            reference=(
                "Schroff, Kalenichenko, Philbin. FaceNet: a unified embedding for face "
                "recognition and clustering. CVPR 2015, arXiv:1503.03832"
            ),
        ),
        _spec(
            "cross-entropy",
            "Categorical cross-entropy of logits",
            "labels",
            params.CrossEntropyParams,
            pairwise=False,
            reference=_PARK,
        ),
        _spec(
            "binary-cross-entropy",
            "Binary cross-entropy of logits, sum over tags",
            "labels",
            params.BinaryParams,
            labels="tags",
            pairwise=False,
            reference=(
                "Lee, Park, Kim, Nam. Sample-level deep convolutional neural networks for music "
                "auto-tagging using raw waveforms. SMC 2017, arXiv:1703.01789"
            ),
        ),
        _spec(
            "nt-xent",
            "Contrastive loss between the views of an example and all other views of the batch",
            "views",
            params.NTXentParams,
            reference=(
                "Chen, Kornblith, Norouzi, Hinton. A simple framework for contrastive learning of "
                "visual representations. ICML 2020, arXiv:2002.05709"
            ),
        ),
        _spec(
            "info-nce",
            "Contrastive loss between query and key, with a queue of earlier keys",
            "views",
            params.InfoNCEParams,
            reference=(
                "He, Fan, Wu, Xie, Girshick. Momentum contrast for unsupervised visual "
                "representation learning. CVPR 2020, arXiv:1911.05722"
            ),
        ),
        _spec(
            "proxy-bce",
            "Binary cross-entropy of unit-length embeddings and a trained proxy per tag",
            "labels",
            params.ProxyParams,
            labels="tags",
            pairwise=False,
            reference=_LEE,
        ),
    ]


def __dir__() -> list[str]:  # hooks are looked for among these names, which lazy_loader's lack
    return sorted({*globals(), *__all__})
