"""What can be set about each loss; the words of featx for those of the library."""

from __future__ import annotations

from featx import param, params_class


@params_class
class TripletMarginParams:
    """Parameters of ``pml-triplet-margin``."""

    margin: float = param(0.05, "Margin of the distance, > 0.", gt=0)
    swap: bool = param(False, "Use the distance between positive and negative if it is smaller.")
    smooth: bool = param(False, "A soft hinge, log(1 + exp(x)).")


@params_class
class ContrastiveParams:
    """Parameters of ``pml-contrastive``."""

    pos_margin: float = param(0.0, "Distance up to which pairs of a class have no loss.", ge=0)
    neg_margin: float = param(1.0, "Distance from which other pairs have no loss.", ge=0)


@params_class
class NTXentParams:
    """Parameters of ``pml-nt-xent``."""

    temperature: float = param(0.07, "Temperature by which cosines are divided, > 0.", gt=0)


@params_class
class SupConParams:
    """Parameters of ``pml-sup-con``."""

    temperature: float = param(0.1, "Temperature by which cosines are divided, > 0.", gt=0)


@params_class
class MultiSimilarityParams:
    """Parameters of ``pml-multi-similarity``."""

    alpha: float = param(2.0, "Weight of pairs of a class, > 0.", gt=0)
    beta: float = param(50.0, "Weight of other pairs, > 0.", gt=0)
    base: float = param(0.5, "Cosine that separates pairs of a class from other pairs.")


@params_class
class CircleParams:
    """Parameters of ``pml-circle``."""

    m: float = param(0.4, "Relaxation of both margins.", gt=0, lt=1)
    gamma: float = param(80.0, "Factor by which weighted cosines are multiplied, > 0.", gt=0)


@params_class
class ArcFaceParams:
    """Parameters of ``pml-arcface``."""

    dim: int = param(256, "Dimension of the embeddings, > 0.", gt=0)
    n_classes: int = param(50, "Number of classes, each with a trained vector, > 0.", gt=0)
    margin: float = param(28.6, "Margin of the angle in degrees, > 0.", gt=0)
    scale: float = param(64.0, "Factor by which cosines are multiplied, > 0.", gt=0)


@params_class
class CosFaceParams:
    """Parameters of ``pml-cosface``."""

    dim: int = param(256, "Dimension of the embeddings, > 0.", gt=0)
    n_classes: int = param(50, "Number of classes, each with a trained vector, > 0.", gt=0)
    margin: float = param(0.35, "Margin of the cosine, > 0.", gt=0)
    scale: float = param(64.0, "Factor by which cosines are multiplied, > 0.", gt=0)


@params_class
class NormalizedSoftmaxParams:
    """Parameters of ``pml-normalized-softmax``."""

    dim: int = param(256, "Dimension of the embeddings, > 0.", gt=0)
    n_classes: int = param(50, "Number of classes, each with a trained vector, > 0.", gt=0)
    temperature: float = param(0.05, "Temperature by which cosines are divided, > 0.", gt=0)


@params_class
class ProxyAnchorParams:
    """Parameters of ``pml-proxy-anchor``."""

    dim: int = param(256, "Dimension of the embeddings, > 0.", gt=0)
    n_classes: int = param(50, "Number of classes, each with a trained proxy, > 0.", gt=0)
    margin: float = param(0.1, "Margin of the cosine, > 0.", gt=0)
    alpha: float = param(32.0, "Factor by which cosines are multiplied, > 0.", gt=0)
