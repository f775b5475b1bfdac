"""From names and settings to jobs: parameters, outputs, weights and recipes, checked beforehand."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from featx.audio import QUALITIES, RESAMPLER
from featx.engine.tasks import PreparedExtractor
from featx.errors import FeatxError, ParameterError, PluginError, WeightsError, listed
from featx.frontend import FRONTEND_VERSION, preset
from featx.interfaces import ExtractorSpec, Resolved
from featx.params import parse_params
from featx.registry import Registered, Registry, import_object
from featx.store.records import Recipe
from featx.types import FeatureSpec, FrontEnd
from featx.weights import (
    file_sha256,
    locate,
    missing_message,
    read_config,
    shipped_settings,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "DEVICES",
    "ParamsChoice",
    "WeightsChoice",
    "default_features",
    "full_front_end",
    "prepare_extractors",
    "resolve_checked",
    "untrained_message",
]

#: ``{"mfcc": {"n_mfcc": 20}}``, ``{"mfcc.n_mfcc": 20}``, or ``{"n_mfcc": 20}`` for one extractor.
ParamsChoice: TypeAlias = Mapping[str, Any]

#: In place of a path: seeded weights, also where trained ones are at hand.
UNTRAINED = "untrained"

#: One file or folder for all, or one per name of an extractor or of its weights.
WeightsChoice: TypeAlias = "str | Path | Mapping[str, str | Path] | None"

DEVICES = ("cpu", "cuda", "mps")


def prepare_extractors(
    registry: Registry,
    extractors: Sequence[str],
    *,
    params: ParamsChoice | None = None,
    features: Iterable[str] | None = None,
    weights: WeightsChoice = None,
    device: str = "cpu",
    quality: str = "HQ",
    seed: int = 0,
) -> tuple[PreparedExtractor, ...]:
    """Return one `PreparedExtractor` per extractor; nothing is opened and no audio is read.

    Parameters
    ----------
    registry : Registry
        Loaded plugins.
    extractors : sequence of str
        Names, short or full.
    params : mapping, optional
        Parameters, see `ParamsChoice`; strings are parsed.
    features : iterable of str, optional
        ``extractor.feature``, or a bare feature where there is one extractor. Extractors that are
        not mentioned give their clip features, or everything if they have none.
    weights : path or mapping, optional
        Instead of the cached ones, see `WeightsChoice`; ``untrained`` for seeded ones.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; extractors that cannot use it run on the CPU.
    quality : str
        Of resampling.
    seed : int
        For untrained weights.

    Raises
    ------
    ParameterError, PluginError, WeightsError
        For unknown names, wrong values, or missing weights.
    """
    if quality not in QUALITIES:
        raise ParameterError(f"quality must be one of {listed(QUALITIES)}, got {quality!r}.")
    if not extractors:
        raise ParameterError(
            f"extractors must name at least one extractor, got none. Installed: "
            f"{', '.join(map(registry.shortest_name, registry.extractors)) or 'none'}."
        )
    found: dict[str, Registered[ExtractorSpec]] = {}
    for name, item in _find(registry, extractors).items():
        if item.full_name not in {other.full_name for other in found.values()}:
            found[name] = item
    names = list(found)
    own_settings = _by_extractor(_flat(params or {}), names, "params")
    wanted = _by_extractor([(item, None) for item in features or ()], names, "features")
    devices = _devices(found, device)
    overrides = _weights_by_extractor(found, weights)
    return tuple(
        _job(
            number,
            name,
            item,
            settings=dict(own_settings[name]),
            features=[key for key, _ in wanted[name]],
            override=overrides[name],
            device=devices[name],
            quality=quality,
            seed=seed,
        )
        for number, (name, item) in enumerate(found.items())
    )


def _find(registry: Registry, extractors: Iterable[str]) -> dict[str, Registered[ExtractorSpec]]:
    """Look up every name; one error tells of all that are unknown."""
    found, errors = {}, []
    for name in dict.fromkeys(extractors):
        try:
            found[name] = registry.extractor(name)
        except PluginError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise PluginError("\n  ".join(["several extractors are unknown:", *map(str, errors)]))
    return found


def _job(
    number: int,
    name: str,
    item: Registered[ExtractorSpec],
    *,
    settings: dict[str, Any],
    features: list[str],
    override: str | Path | None,
    device: str,
    quality: str,
    seed: int,
) -> PreparedExtractor:
    spec = item.spec
    params, path, weights = choose(name, spec, settings, override=override, seed=seed)
    resolved = resolve_checked(spec, params, None)
    chosen = tuple(dict.fromkeys(features)) or default_features(resolved)
    for feature in chosen:
        _check_feature(name, resolved, feature)
    front_ends = [full_front_end(item).to_json() for item in resolved.front_ends]
    recipe = Recipe(
        extractor=item.full_name,
        version=spec.version,
        params=_plain(dataclasses.asdict(params)),
        weights=weights,
        front_ends=tuple(
            {key: value for key, value in front_end.items() if key != "name"}
            for front_end in front_ends
        ),
        frontend_version=FRONTEND_VERSION if front_ends else "",
        resampler=f"{RESAMPLER}:{quality}",
    )
    return PreparedExtractor(
        number=number,
        name=name,
        full_name=item.full_name,
        spec=spec,
        params=params,
        resolved=resolved,
        features=chosen,
        recipe=recipe,
        weights=path,
        device=device,
    )


def choose(
    name: str,
    spec: ExtractorSpec,
    settings: dict[str, Any],
    *,
    override: str | Path | None = None,
    seed: int = 0,
) -> tuple[Any, str, str]:
    """Return the parameters that hold, the path of the weights, and their entry in the recipe.

    Parameters choose among weights, and weights bring parameters of their own, under what the user
    has set.
    """
    try:
        params: Any = parse_params(spec.params, settings)
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}") from error
    path, weights = _weights(spec, params, override, seed)
    if path:
        params = _with_weights(name, spec, path, settings, params)
    return params, path, weights


def untrained_message(job: PreparedExtractor) -> str:
    """Say that ``job`` runs without trained weights, and for what there are some; else empty."""
    if not job.recipe.weights.startswith(UNTRAINED):
        return ""
    told = (
        f"{job.name} is UNTRAINED ({job.recipe.weights.partition(':')[2]}): it runs without "
        "trained weights, so its results are those of a random network."
    )
    assert job.spec.weights is not None
    settings = shipped_settings(job.spec.weights)
    if settings:
        told += f" Trained weights ship for {listed(settings)}."
    return told


# ------------------------------------------------------------------------------- resolved
def resolve_checked(spec: ExtractorSpec, params: Any, native_sr: int | None) -> Resolved:
    """Call the plugin's resolve function and check what it returns.

    Raises
    ------
    PluginError
        If it raises, or returns something that breaks the contract.
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
            full_front_end(front_end)
        except ParameterError as error:
            return f"front_ends: {error}"
    return ""


def full_front_end(front_end: FrontEnd | str) -> FrontEnd:
    """Return the preset of this name, or the front end itself, checked."""
    return preset(front_end)


def default_features(resolved: Resolved) -> tuple[str, ...]:
    """Return the clip features, or every output where there are none."""
    clips = tuple(spec.name for spec in resolved.outputs if spec.kind == "clip")
    return clips or tuple(spec.name for spec in resolved.outputs)


def _check_feature(name: str, resolved: Resolved, feature: str) -> None:
    known = [spec.name for spec in resolved.outputs]
    if feature not in known:
        raise ParameterError(
            f"feature of {name!r} must be one of {listed(known)}, got {feature!r}."
        )


# ------------------------------------------------------------------------ per extractor
def _flat(params: ParamsChoice) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in params.items():
        if isinstance(value, Mapping):
            flat.extend((f"{key}.{inner}", inside) for inner, inside in value.items())
        else:
            flat.append((key, value))
    return flat


def _by_extractor(
    items: Iterable[tuple[str, Any]], names: list[str], what: str
) -> dict[str, list[tuple[str, Any]]]:
    """Sort ``extractor.key`` or bare keys by the extractor that they belong to."""
    sorted_items: dict[str, list[tuple[str, Any]]] = {name: [] for name in names}
    for path, value in items:
        owner, dot, key = path.rpartition(".")
        if not dot and len(names) != 1:
            raise ParameterError(
                f"{what} must name the extractor where there are several, got {path!r}. "
                f"Write for instance {names[0]}.{path}."
            )
        matches = [name for name in names if _same(owner, name)] if dot else names
        if len(matches) != 1 or not key:
            raise ParameterError(f"{what} must name one of {listed(names)}, got {path!r}.")
        sorted_items[matches[0]].append((key, value))
    return sorted_items


def _same(given: str, name: str) -> bool:
    """Return whether two names, short or full, may mean one extractor."""
    if ":" in given and ":" in name:
        return given == name
    return given.rpartition(":")[2] == name.rpartition(":")[2]


def _devices(found: Mapping[str, Registered[ExtractorSpec]], device: str) -> dict[str, str]:
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise ParameterError(f"device must be one of {listed(DEVICES)}, got {device!r}.")
    chosen = {name: device if kind in item.spec.devices else "cpu" for name, item in found.items()}
    if kind != "cpu" and device not in chosen.values():
        raise ParameterError(
            f"device must be one that an extractor can use, got {device!r}; "
            f"{', '.join(found)} can use "
            f"{listed(sorted({kind for item in found.values() for kind in item.spec.devices}))}."
        )
    return chosen


def _weights_by_extractor(
    found: Mapping[str, Registered[ExtractorSpec]], weights: WeightsChoice
) -> dict[str, str | Path | None]:
    needing = {name: item.spec.weights for name, item in found.items() if item.spec.weights}
    chosen: dict[str, str | Path | None] = dict.fromkeys(found)
    if weights is None:
        return chosen
    if isinstance(weights, Mapping):
        for key, path in weights.items():
            matches = [
                name for name, spec in needing.items() if _same(key, name) or key == spec.name
            ]
            if len(matches) != 1:
                raise ParameterError(
                    f"weights must be given for one of {listed(needing)}, got {key!r}."
                )
            chosen[matches[0]] = path
        return chosen
    if not needing:
        raise ParameterError(f"weights must be left out: {', '.join(found)} use none.")
    if len(needing) > 1 and str(weights) != UNTRAINED and not os.path.isdir(weights):  # noqa: PTH112
        raise ParameterError(
            f"weights must name the extractor where several have some, got {weights}. "
            f"Write for instance {next(iter(needing))}={weights}."
        )
    return chosen | dict.fromkeys(needing, weights)


def _weights(
    spec: ExtractorSpec, params: Any, override: str | Path | None, seed: int
) -> tuple[str, str]:
    """Return the path of the weights and their entry in the recipe."""
    if spec.weights is None:
        return "", ""
    path = None
    if str(override) != UNTRAINED:
        path = locate(spec.weights, override=override, params=params)
    elif spec.weights.required:
        raise WeightsError(f"{spec.name} must have weights, got --weights {UNTRAINED}.")
    if path is not None:
        return str(path), file_sha256(path)
    if spec.weights.required:
        raise WeightsError(f"{spec.name} cannot run: {missing_message(spec.weights)}")
    return "", f"untrained:seed={seed}"


def _with_weights(
    name: str, spec: ExtractorSpec, path: str, settings: dict[str, Any], params: Any
) -> Any:
    """Return the parameters that the weights were made with, under what the user has set."""
    told = read_config(path).get("params")
    if not told:
        return params
    try:
        return parse_params(spec.params, {**told, **settings})
    except (ParameterError, TypeError) as error:
        raise WeightsError(
            f"{path} must be made for parameters that {name!r} has, but {error}"
        ) from error


def _plain(value: Any) -> Any:
    """Return what JSON makes of tuples, so that recipes compare as they are read back."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
