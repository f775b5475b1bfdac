"""Parameters and outputs of the extractors: plain values, no openSMILE."""

from __future__ import annotations

from featx import FeatureSpec, Resolved, param, params_class

__all__ = ["OpensmileParams", "resolve_compare", "resolve_egemaps"]


@params_class
class OpensmileParams:
    """Parameters of every feature set."""

    sr: int = param(
        16000, "Rate in Hz at which openSMILE listens, 16000..48000.", ge=16000, le=48000
    )


def _resolved(params: OpensmileParams, dim: int, name: str) -> Resolved:
    functionals = FeatureSpec(
        name="functionals",
        kind="clip",
        dim=dim,
        unit="1",
        description=f"In the order of Smile.feature_names; each of {name} has a unit of its own.",
    )
    return Resolved(sr=params.sr, outputs=(functionals,))


def resolve_egemaps(params: OpensmileParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``opensmile-egemaps`` needs and gives."""
    return _resolved(params, 88, "eGeMAPSv02")


def resolve_compare(params: OpensmileParams, native_sr: int | None) -> Resolved:  # noqa: ARG001
    """Return what ``opensmile-compare`` needs and gives."""
    return _resolved(params, 6373, "ComParE_2016")
