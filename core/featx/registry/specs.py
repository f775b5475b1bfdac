"""Specs as plain JSON values, for processes that share no classes with this one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from featx.errors import ParameterError
from featx.interfaces import ExtractorSpec, IndexSpec, LossRoles, LossSpec, MethodSpec
from featx.registry import import_object
from featx.registry.records import LocalModule
from featx.types import WeightsSpec


def spec_to_json(
    spec: ExtractorSpec | LossSpec | IndexSpec | MethodSpec, *, module: LocalModule | None = None
) -> dict[str, Any]:
    """Return ``spec`` as plain values; the class of its parameters becomes ``module:qualname``.

    With ``module``, where a class without a package lies, this is the name in other processes.

    Raises `ParameterError` if that class is defined inside a function.
    """
    plain = {item.name: getattr(spec, item.name) for item in dataclasses.fields(spec)}
    cls = spec.params
    if "<locals>" in cls.__qualname__:
        raise ParameterError(
            f"params must be a class of an importable module, got "
            f"{cls.__module__}:{cls.__qualname__}. Move it to the top level of a module."
        )
    own = module is not None and cls.__module__ == module.origin
    plain["params"] = f"{module.name if module and own else cls.__module__}:{cls.__qualname__}"
    weights = getattr(spec, "weights", None)
    if weights is not None:
        plain["weights"] = dataclasses.asdict(weights)
    if isinstance(spec, ExtractorSpec):
        plain["methods"] = [spec_to_json(method) for method in spec.methods]
    if isinstance(spec, MethodSpec):
        plain["defaults"] = dict(spec.defaults)
        plain["loss"] = spec.loss and dataclasses.asdict(spec.loss)
    return plain


def spec_from_json(kind: str, plain: Mapping[str, Any]) -> Any:
    """Read what `spec_to_json` wrote."""
    cls = {"extractor": ExtractorSpec, "loss": LossSpec, "index": IndexSpec}[kind]
    values = dict(plain)
    values["params"] = import_object(values["params"])
    if "devices" in values:
        values["devices"] = tuple(values["devices"])
    if values.get("weights") is not None:
        weights = dict(values["weights"])
        weights["urls"] = tuple(weights["urls"])
        values["weights"] = WeightsSpec(**weights)
    if "methods" in values:
        methods = [dict(method) for method in values["methods"]]
        values["methods"] = tuple(
            MethodSpec(
                **{
                    **method,
                    "params": import_object(method["params"]),
                    "loss": LossRoles(**method["loss"]) if method["loss"] else None,
                }
            )
            for method in methods
        )
    return cls(**values)
