"""Which extractors a call means, and what the caller has chosen for each of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from featx.errors import ParameterError, PluginError, listed, meant, near
from featx.interfaces import Extractor, ExtractorSpec
from featx.registry import Registered, Registry

if TYPE_CHECKING:
    from pathlib import Path

#: A name, short or full, or a class that no package installs.
ExtractorChoice: TypeAlias = "str | type[Extractor]"

#: ``{"mfcc": {"n_mfcc": 20}}``, ``{"mfcc.n_mfcc": 20}``, or ``{"n_mfcc": 20}`` for one extractor.
ParamsChoice: TypeAlias = Mapping[str, Any]

#: One file or folder for all, or one per name of an extractor or of its weights.
WeightsChoice: TypeAlias = "str | Path | Mapping[str, str | Path] | None"

#: In place of a path: seeded weights, also where trained ones are at hand.
UNTRAINED = "untrained"

DEVICES = ("cpu", "cuda", "mps")


class UntrainedWarning(UserWarning):
    """An extractor runs with random weights, because none are installed."""


@dataclass(frozen=True, kw_only=True)
class Selected:
    """One extractor of a call with the caller's choices for it, still unchecked."""

    name: str
    registered: Registered[ExtractorSpec]
    params: dict[str, Any]
    features: tuple[str, ...]
    weights: str | Path | None
    device: str


def select_extractors(
    registry: Registry,
    extractors: Sequence[ExtractorChoice],
    *,
    params: ParamsChoice | None,
    features: Iterable[str] | None,
    weights: WeightsChoice,
    device: str,
) -> list[Selected]:
    """Look up ``extractors`` and sort parameters, features, weights and device by extractor.

    Raises `ParameterError` or `PluginError` for unknown names, and for choices that belong to no
    extractor or to several.
    """
    if local := sys.modules.get("featx.registry.local"):  # else no script is being loaded
        local.end_of_definitions()
    if not extractors:
        raise ParameterError(
            f"extractors must name at least one extractor, got none. Installed: "
            f"{', '.join(map(registry.shortest_name, registry.extractors)) or 'none'}."
        )
    by_name = _look_up(registry, extractors)
    names = list(by_name)
    params_by_name = _sort_by_extractor(_flat(params or {}), names, "params")
    features_by_name = _sort_by_extractor(
        [(path, None) for path in features or ()], names, "features"
    )
    devices = _devices(by_name, device)
    weights_by_name = _weights(by_name, weights)
    return [
        Selected(
            name=name,
            registered=registered,
            params=params_by_name[name],
            features=tuple(features_by_name[name]),
            weights=weights_by_name[name],
            device=devices[name],
        )
        for name, registered in by_name.items()
    ]


def _look_up(
    registry: Registry, extractors: Iterable[ExtractorChoice]
) -> dict[str, Registered[ExtractorSpec]]:
    """Return each extractor once, by the name it was called by; one error lists all unknown."""
    by_full_name: dict[str, tuple[str, Registered[ExtractorSpec]]] = {}
    errors: list[PluginError] = []
    for choice in dict.fromkeys(extractors):
        if isinstance(choice, str):
            try:
                name, registered = choice, registry.extractor(choice)
            except PluginError as error:
                errors.append(error)
                continue
        else:
            from featx.registry.local import local_extractor

            registered = local_extractor(choice)
            name = _local_name(registry, registered)
        by_full_name.setdefault(registered.full_name, (name, registered))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise PluginError("\n  ".join(["several extractors are unknown:", *map(str, errors)]))
    return dict(by_full_name.values())


def _local_name(registry: Registry, registered: Registered[ExtractorSpec]) -> str:
    """Return the short name of a local extractor, or the full one where a plugin has the short."""
    short = registered.spec.name
    installed = {item.spec.name for item in registry.extractors.values()}
    return registered.full_name if short in installed else short


def _flat(params: ParamsChoice) -> list[tuple[str, Any]]:
    """Return ``extractor.key`` or bare keys with their values."""
    flat: list[tuple[str, Any]] = []
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat.extend((f"{key}.{inner}", inner_value) for inner, inner_value in value.items())
        else:
            flat.append((key, value))
    return flat


def _sort_by_extractor(
    items: Iterable[tuple[str, Any]], names: list[str], argument: str
) -> dict[str, dict[str, Any]]:
    """Sort ``extractor.key`` or bare keys, and their values, by the extractor they belong to."""
    values: dict[str, dict[str, Any]] = {name: {} for name in names}
    for path, value in items:
        owner, dot, key = path.rpartition(".")
        if not dot and len(names) != 1:
            close = [f"{name}.{argument.removesuffix('s').upper()}" for name in near(path, names)]
            raise ParameterError(
                f"{argument} must name the extractor where there are several, got {path!r}. "
                f"Write for example {[*close, f'{names[0]}.{path}'][0]}."
            )
        owners = [name for name in names if _may_be_same(owner, name)] if dot else names
        if len(owners) != 1 or not key:
            raise ParameterError(
                f"{argument} must name one of {listed(names)}, got {path!r}.{meant(owner, names)}"
            )
        values[owners[0]][key] = value
    return values


def _may_be_same(one: str, other: str) -> bool:
    """Return whether two names, short or full, may mean one extractor."""
    if ":" in one and ":" in other:
        return one == other
    return one.rpartition(":")[2] == other.rpartition(":")[2]


def _devices(by_name: Mapping[str, Registered[ExtractorSpec]], device: str) -> dict[str, str]:
    """Return ``device`` for the extractors that can use it, ``cpu`` for the others."""
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise ParameterError(f"device must be one of {listed(DEVICES)}, got {device!r}.")
    devices = {
        name: device if kind in registered.spec.devices else "cpu"
        for name, registered in by_name.items()
    }
    if kind != "cpu" and device not in devices.values():
        usable = sorted({kind for item in by_name.values() for kind in item.spec.devices})
        raise ParameterError(
            f"device must be one that an extractor can use, got {device!r}; "
            f"{', '.join(by_name)} can use {listed(usable)}."
        )
    return devices


def _weights(
    by_name: Mapping[str, Registered[ExtractorSpec]], weights: WeightsChoice
) -> dict[str, str | Path | None]:
    """Return the weights chosen for each extractor; None stands for the installed ones."""
    specs = {name: item.spec.weights for name, item in by_name.items() if item.spec.weights}
    paths: dict[str, str | Path | None] = dict.fromkeys(by_name)
    if weights is None:
        return paths
    if isinstance(weights, Mapping):
        for key, path in weights.items():
            owners = [
                name for name, spec in specs.items() if _may_be_same(key, name) or key == spec.name
            ]
            if len(owners) != 1:
                raise ParameterError(
                    f"weights must be given for one of {listed(specs)}, got {key!r}."
                )
            paths[owners[0]] = path
        return paths
    if not specs:
        raise ParameterError(f"weights must be omitted: {', '.join(by_name)} use none.")
    if len(specs) > 1 and str(weights) != UNTRAINED and not os.path.isdir(weights):  # noqa: PTH112
        raise ParameterError(
            f"weights must name the extractor where several have some, got {weights}. "
            f"Write for example {next(iter(specs))}={weights}."
        )
    return paths | dict.fromkeys(specs, weights)
