"""Checks that need no audio: the spec, its parameters, what they resolve to, the weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import FeatxError, ParameterError
from featx.interfaces import ExtractorSpec, MethodSpec, Resolved
from featx.params import parse_params
from featx.registry import import_object
from featx.registry.specs import spec_from_json
from featx.testing.conformance.recording import CheckFailed
from featx.testing.conformance.target import Target
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.testing.conformance.recording import Recorder

_SUMMARY_LENGTH = 100

#: Rates that a collection may hold; resolve must answer for each.
_RATES = (None, 8000, 22050, 44100, 48000, 192000)


def examine_static(target: Target, recorder: Recorder) -> None:
    """Run the checks ``spec`` and ``params``, and for extractors ``resolve`` and ``weights``."""
    spec = spec_from_json(target.kind, target.spec)
    with recorder.check("spec"):
        _check_spec(spec, target)
    with recorder.check("params"):
        _check_params(spec, target)
    if isinstance(spec, ExtractorSpec):
        with recorder.check("resolve"):
            _check_resolve(spec, target)
        with recorder.check("weights"):
            _check_weights(spec, target, recorder)


def _check_spec(spec: Any, target: Target) -> None:
    from featx.registry.checks import BrokenPluginError, check_spec

    try:
        check_spec(spec)
    except BrokenPluginError as error:
        raise CheckFailed(f"{error}.") from error
    if "\n" in spec.summary or len(spec.summary) > _SUMMARY_LENGTH:
        raise CheckFailed(
            f"summary must be one line of at most {_SUMMARY_LENGTH} characters, "
            f"got {len(spec.summary)}."
        )
    if isinstance(spec, ExtractorSpec):
        if not spec.short_input.strip() and not target.module:
            raise CheckFailed(
                "short_input must say what silence and input shorter than one frame give, "
                "got nothing. It is what featx info shows."
            )
        if "cpu" not in spec.devices:
            raise CheckFailed(f"devices must include 'cpu', got {spec.devices}.")
    for item in (spec, *getattr(spec, "methods", ())):
        import_object(item.factory)


def _check_params(spec: Any, target: Target) -> None:
    _check_params_class(spec.params, target.params)
    for method in getattr(spec, "methods", ()):
        _check_params_class(method.params, {})
        _check_defaults(method)


def _check_defaults(method: MethodSpec) -> None:
    """Hold what a method changes about every training to what can be changed."""
    from featx.training.options import options_class

    options = options_class(method)
    shared = {item.name for item in dataclasses.fields(options)}
    own = sorted(shared & {item.name for item in dataclasses.fields(method.params)})
    if own:
        raise CheckFailed(
            f"method {method.name!r} must leave {', '.join(own)} to "
            f"featx.training.{options.__name__}."
        )
    try:
        parse_params(options, method.defaults)
    except ParameterError as error:
        raise CheckFailed(f"method {method.name!r} must have valid defaults: {error}") from error


def _check_params_class(cls: type, settings: Mapping[str, Any]) -> None:
    params: Any = parse_params(cls, settings)
    plain = dataclasses.asdict(params)
    try:
        back: Any = parse_params(cls, json.loads(json.dumps(plain, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise CheckFailed(f"params must survive JSON, got {error}.") from error
    if back != params:
        raise CheckFailed(f"params must survive JSON, got {params} and back {back}.")
    for item in dataclasses.fields(params):
        value = getattr(params, item.name)
        if not item.metadata.get("doc", "").strip():
            raise CheckFailed(
                f"parameter {item.name!r} must be documented. Declare it with featx.param."
            )
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        parsed: Any = parse_params(cls, {**plain, item.name: text})
        if getattr(parsed, item.name) != value:
            raise CheckFailed(
                f"--set {item.name}={text} must give {value!r}, got {getattr(parsed, item.name)!r}."
            )


def _check_resolve(spec: ExtractorSpec, target: Target) -> None:
    resolve = import_object(spec.resolve)
    params: Any = parse_params(spec.params, target.params)
    for native_sr in _RATES:
        resolved = resolve(params, native_sr)
        _check_resolved(resolved)
        if resolve(params, native_sr) != resolved:
            raise CheckFailed("resolve must give equal results for equal arguments, got others.")
    for item in dataclasses.fields(params):
        for choice in item.metadata.get("choices") or ():
            values = {**dataclasses.asdict(params), item.name: choice}
            try:
                changed: Any = parse_params(spec.params, values)
                resolved = resolve(changed, None)
            except ParameterError:
                continue  # choices may exclude each other, as long as they say so
            _check_resolved(resolved)


def _check_resolved(resolved: Any) -> None:
    if not isinstance(resolved, Resolved):
        raise CheckFailed(f"resolve must return featx.Resolved, got {type(resolved).__name__}.")
    if not resolved.outputs:
        raise CheckFailed("resolve must give at least one output, got none.")
    names = [output.name for output in resolved.outputs]
    if len(set(names)) != len(names):
        raise CheckFailed(f"outputs must have distinct names, got {names}.")
    for output in resolved.outputs:
        plain = json.loads(json.dumps(output.to_json(), allow_nan=False))
        if FeatureSpec.from_json(plain) != output:
            raise CheckFailed(f"output {output.name!r} must survive JSON, got another spec back.")
        dtype = "float64" if output.kind == "events" else "float32"
        if output.dtype != dtype:
            raise CheckFailed(
                f"output {output.name!r} ({output.kind}) must have dtype {dtype}, "
                f"got {output.dtype}."
            )
        if not output.description.strip():
            raise CheckFailed(f"output {output.name!r} must have a description, got none.")
        if not output.unit.strip():
            raise CheckFailed(
                f"output {output.name!r} must have a unit ('1' if it has no dimension), got none."
            )
    if resolved.front_ends:
        from featx.frontend import preset

        for front_end in resolved.front_ends:
            preset(front_end)


def _check_weights(spec: ExtractorSpec, target: Target, recorder: Recorder) -> None:
    from featx.weights import locate, missing_message

    if spec.weights is None:
        return
    override = Path(target.weights) if target.weights else None
    try:
        path = locate(spec.weights, override=override, params=spec.params())
    except FeatxError as error:
        raise CheckFailed(str(error)) from error
    if path is None and spec.weights.required:
        raise CheckFailed(missing_message(spec.weights, spec))
    if path is None:
        recorder.note("UNTRAINED: checked with seeded weights, because there are none.")
