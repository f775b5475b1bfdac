"""What an extractor needs and gives under its parameters, as its plugin says it, checked."""

from __future__ import annotations

from typing import Any

from featx.errors import FeatxError, ParameterError, PluginError, listed, meant
from featx.frontend import FrontEnd, preset
from featx.interfaces import ExtractorSpec, Resolved
from featx.registry import import_object
from featx.types import FeatureSpec


def resolve_checked(spec: ExtractorSpec, params: Any, native_sr: int | None) -> Resolved:
    """Call the plugin's resolve function and check what it returns.

    Raises `PluginError` if it raises, or returns something that breaks the contract.
    """
    try:
        resolved: Any = import_object(spec.resolve)(params, native_sr)
    except ParameterError as error:
        raise ParameterError(f"{spec.name}: {error}") from error
    except FeatxError:
        raise
    except Exception as error:
        raise PluginError(
            f"{spec.resolve} must return a Resolved, but raised {type(error).__name__}: {error}"
        ) from error
    problem = _resolved_problem(resolved)
    if problem:
        raise PluginError(f"{spec.resolve} must return a valid Resolved: {problem}.")
    assert isinstance(resolved, Resolved)
    return resolved


def default_features(resolved: Resolved) -> tuple[str, ...]:
    """Return the outputs that are not frames, or all where there are frames only."""
    compact = tuple(spec.name for spec in resolved.outputs if spec.kind != "frames")
    return compact or tuple(spec.name for spec in resolved.outputs)


def check_feature(name: str, resolved: Resolved, feature: str) -> None:
    """Raise `ParameterError` unless ``feature`` is an output of extractor ``name``."""
    known = [spec.name for spec in resolved.outputs]
    if feature not in known:
        raise ParameterError(
            f"feature of {name!r} must be one of {listed(known)}, got {feature!r}."
            f"{meant(feature, known)}"
        )


def _resolved_problem(resolved: Any) -> str:
    if not isinstance(resolved, Resolved):
        return f"got {type(resolved).__name__}"
    sr: Any = resolved.sr
    if sr is not None and (isinstance(sr, bool) or not isinstance(sr, int) or sr < 1):
        return f"sr must be None or an integer > 0, got {sr!r}"
    outputs: Any = resolved.outputs
    if not isinstance(outputs, tuple) or not outputs:
        return f"outputs must be a non-empty tuple, got {outputs!r}"
    if not all(isinstance(item, FeatureSpec) for item in outputs):
        return "outputs must be FeatureSpecs"
    names = [item.name for item in outputs]
    if len(set(names)) < len(names):
        return f"outputs must differ in name, got {listed(names)}"
    front_ends: Any = resolved.front_ends
    for front_end in front_ends:
        if not isinstance(front_end, (str, FrontEnd)):
            return f"front_ends must be FrontEnds or names of presets, got {front_end!r}"
        try:
            preset(front_end)
        except ParameterError as error:
            return f"front_ends: {error}"
    return ""
