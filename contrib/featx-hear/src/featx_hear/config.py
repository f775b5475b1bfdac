"""Parameters and outputs of ``hear``: plain values, no torch."""

from __future__ import annotations

from featx import FeatureSpec, Resolved, param, params_class

__all__ = ["HearParams", "resolve"]


@params_class
class HearParams:
    """Parameters of ``hear``.

    Rate and dimension must be those of the model. They are parameters because a run is planned
    before any model is loaded.
    """

    module: str = param("", "Python module with the HEAR API, such as hearbaseline.")
    weights: str = param("", "Path that load_model of the module is called with; may be empty.")
    sr: int = param(16000, "Rate of the model in Hz, 1000..192000.", ge=1000, le=192000)
    dim: int = param(2048, "Dimension of its scene embeddings, > 0.", gt=0)
    seconds: float = param(
        10.0, "Seconds of a recording that the model is given at once, 1..600.", ge=1, le=600
    )


def resolve(params: HearParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``hear`` needs and gives."""
    embedding = FeatureSpec(
        name="embedding",
        kind="clip",
        dim=params.dim,
        unit="1",
        description="Mean of the scene embeddings of the segments, weighted by their length.",
    )
    return Resolved(sr=params.sr, outputs=(embedding,))
