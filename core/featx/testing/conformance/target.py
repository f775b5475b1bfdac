"""What is to be checked, as plain values that travel to a child process as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from featx.errors import ParameterError
from featx.interfaces import ExtractorSpec, IndexSpec, LossSpec, MethodSpec

if TYPE_CHECKING:
    AnySpec: TypeAlias = ExtractorSpec | LossSpec | IndexSpec


@dataclass(frozen=True, kw_only=True)
class Target:
    """One thing under test.

    Parameters
    ----------
    kind : {'extractor', 'loss', 'index'}
        Which battery runs.
    spec : mapping
        `spec_to_json` of the spec.
    full_name : str
        ``distribution:name`` for installed plugins, else the bare name.
    distribution, plugin, entry : str
        Where it comes from: distribution, entry point and its value; empty for a bare spec.
    params : mapping
        Parameters that differ from the defaults.
    weights : str
        File to use instead of the located one; empty for none.
    device : str
        Where the extractor runs.
    """

    kind: str
    spec: Mapping[str, Any]
    full_name: str
    distribution: str = ""
    plugin: str = ""
    entry: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    device: str = "cpu"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**dataclasses.asdict(self), "spec": dict(self.spec), "params": dict(self.params)}


def spec_to_json(spec: AnySpec | MethodSpec) -> dict[str, Any]:
    """Return ``spec`` as plain values; the parameter class becomes ``module:qualname``.

    Raises
    ------
    ParameterError
        If the class of the parameters cannot be imported by that name.
    """
    plain = {item.name: getattr(spec, item.name) for item in dataclasses.fields(spec)}
    cls = spec.params
    if "<locals>" in cls.__qualname__ or cls.__module__ == "__main__":
        raise ParameterError(
            f"params must be a class of an importable module, got "
            f"{cls.__module__}:{cls.__qualname__}. Move it to the top level of a module."
        )
    plain["params"] = f"{cls.__module__}:{cls.__qualname__}"
    weights = getattr(spec, "weights", None)
    if weights is not None:
        plain["weights"] = dataclasses.asdict(weights)
    if isinstance(spec, ExtractorSpec):
        plain["methods"] = [spec_to_json(method) for method in spec.methods]
    if isinstance(spec, MethodSpec):
        plain["defaults"] = dict(spec.defaults)
    return plain


def spec_from_json(kind: str, plain: Mapping[str, Any]) -> Any:
    """Read what `spec_to_json` wrote."""
    from featx.registry import import_object
    from featx.types import WeightsSpec

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
            MethodSpec(**{**method, "params": import_object(method["params"])})
            for method in methods
        )
    return cls(**values)
