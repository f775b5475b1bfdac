"""Losses of pytorch-metric-learning, offered by the hook ``featx_losses``."""

from __future__ import annotations

from featx import API_VERSION, LossSpec, hookimpl
from featx_pytorch_metric_learning import params

__all__ = ["featx_losses"]

#: name, the library's class, parameters, whether rows are compared with each other, paper
_LOSSES: tuple[tuple[str, str, type, bool, str], ...] = (
    (
        "triplet-margin",
        "TripletMarginLoss",
        params.TripletMarginParams,
        True,
        "Schroff, Kalenichenko, Philbin. FaceNet. CVPR 2015, arXiv:1503.03832",
    ),
    (
        "contrastive",
        "ContrastiveLoss",
        params.ContrastiveParams,
        True,
        (
            "Hadsell, Chopra, LeCun. Dimensionality reduction by learning an invariant mapping. "
            "CVPR 2006"
        ),
    ),
    (
        "nt-xent",
        "NTXentLoss",
        params.NTXentParams,
        True,
        (
            "Chen, Kornblith, Norouzi, Hinton. A simple framework for contrastive learning of "
            "visual representations. ICML 2020, arXiv:2002.05709"
        ),
    ),
    (
        "sup-con",
        "SupConLoss",
        params.SupConParams,
        True,
        "Khosla et al. Supervised contrastive learning. NeurIPS 2020, arXiv:2004.11362",
    ),
    (
        "multi-similarity",
        "MultiSimilarityLoss",
        params.MultiSimilarityParams,
        True,
        (
            "Wang, Han, Huang, Dong, Scott. Multi-similarity loss with general pair weighting for "
            "deep metric learning. CVPR 2019, arXiv:1904.06627"
        ),
    ),
    (
        "circle",
        "CircleLoss",
        params.CircleParams,
        True,
        (
            "Sun et al. Circle loss: a unified perspective of pair similarity optimization. "
            "CVPR 2020, arXiv:2002.10857"
        ),
    ),
    (
        "arcface",
        "ArcFaceLoss",
        params.ArcFaceParams,
        False,
        "Deng, Guo, Xue, Zafeiriou. ArcFace. CVPR 2019, arXiv:1801.07698",
    ),
    (
        "cosface",
        "CosFaceLoss",
        params.CosFaceParams,
        False,
        (
            "Wang et al. CosFace: large margin cosine loss for deep face recognition. CVPR 2018, "
            "arXiv:1801.09414"
        ),
    ),
    (
        "normalized-softmax",
        "NormalizedSoftmaxLoss",
        params.NormalizedSoftmaxParams,
        False,
        (
            "Zhai, Wu. Classification is a strong baseline for deep metric learning. BMVC 2019, "
            "arXiv:1811.12649"
        ),
    ),
    (
        "proxy-anchor",
        "ProxyAnchorLoss",
        params.ProxyAnchorParams,
        False,
        (
            "Kim, Kim, Cho, Kwak. Proxy anchor loss for deep metric learning. CVPR 2020, "
            "arXiv:2003.13911"
        ),
    ),
)


@hookimpl
def featx_losses() -> list[LossSpec]:
    """Return the chosen losses of the library, their names beginning with ``pml-``."""
    return [
        LossSpec(
            name=f"pml-{name}",
            summary=f"{library} of pytorch-metric-learning",
            version="1",
            factory=f"featx_pytorch_metric_learning.adapter:{name.replace('-', '_')}",
            inputs="labels",
            api=API_VERSION,
            params=parameters,
            pairwise=pairwise,
            licence="MIT",
            reference=paper,
        )
        for name, library, parameters, pairwise, paper in _LOSSES
    ]
