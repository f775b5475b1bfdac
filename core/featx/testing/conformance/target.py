"""What is to be checked, as plain values that travel to a child process as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Target:
    """One thing under test.

    Parameters
    ----------
    kind : {'extractor', 'loss', 'index'}
        Which battery runs.
    spec : mapping
        `featx.registry.specs.spec_to_json` of the spec.
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
    module : mapping, optional
        Where the class is found of an extractor that no plugin gives: a `LocalModule`.
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
    module: Mapping[str, Any] | None = None

    def define(self) -> None:
        """Make the module of a class without a package known in this process."""
        if self.module is not None:
            from featx.registry.local import load_module
            from featx.registry.records import LocalModule

            load_module(LocalModule(**self.module), self.spec["factory"].partition(":")[2])

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**dataclasses.asdict(self), "spec": dict(self.spec), "params": dict(self.params)}
