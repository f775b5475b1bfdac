"""From names to extractors that can be opened: parameters, outputs, weights, recipes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from featx.audio import RESAMPLER
from featx.audio.waveform import check_downmix, check_quality
from featx.engine.planning.resolving import check_feature, default_features, resolve_checked
from featx.engine.planning.selecting import (
    UNTRAINED,
    ExtractorChoice,
    ParamsChoice,
    Selected,
    WeightsChoice,
    select_extractors,
)
from featx.engine.tasks import PreparedExtractor
from featx.errors import ParameterError, WeightsError, listed
from featx.frontend import FRONTEND_VERSION, preset
from featx.frontend.level import check_level
from featx.interfaces import ExtractorSpec, Resolved
from featx.params import parse_params
from featx.registry import Registry
from featx.store.records import Recipe
from featx.weights import (
    file_sha256,
    locate,
    missing_message,
    read_config,
    shipped_settings,
)

if TYPE_CHECKING:
    from pathlib import Path


def prepare_extractors(
    registry: Registry,
    extractors: Sequence[ExtractorChoice],
    *,
    params: ParamsChoice | None = None,
    features: Iterable[str] | None = None,
    weights: WeightsChoice = None,
    device: str = "cpu",
    quality: str = "HQ",
    downmix: str = "mean",
    level: float | None = None,
    seed: int = 0,
) -> tuple[PreparedExtractor, ...]:
    """Return one `PreparedExtractor` per extractor; nothing is opened and no audio is read.

    The arguments are those of `featx.run`. ``features`` are ``extractor.feature``, or bare features
    where there is one extractor; extractors that are not mentioned give their clip features and
    events, or frames if they have nothing else. Extractors that cannot use ``device`` run on the
    CPU. ``seed`` is that of untrained weights. Unknown names, wrong values and missing weights
    raise `ParameterError`, `PluginError` and `WeightsError`.
    """
    check_quality(quality)
    check_downmix(downmix)
    level = check_level(level)
    selection = select_extractors(
        registry, extractors, params=params, features=features, weights=weights, device=device
    )
    return tuple(
        _prepare(number, selected, quality=quality, downmix=downmix, level=level, seed=seed)
        for number, selected in enumerate(selection)
    )


def _prepare(
    number: int,
    selected: Selected,
    *,
    quality: str,
    downmix: str,
    level: float | None,
    seed: int,
) -> PreparedExtractor:
    name, registered = selected.name, selected.registered
    spec = registered.spec
    params, weights_path, weights_id = match_params_and_weights(
        name, spec, selected.params, weights=selected.weights, seed=seed
    )
    resolved = resolve_checked(spec, params, None)
    for feature in selected.features:
        check_feature(name, resolved, feature)
    return PreparedExtractor(
        number=number,
        name=name,
        full_name=registered.full_name,
        spec=spec,
        params=params,
        resolved=resolved,
        features=selected.features or default_features(resolved),
        recipe=Recipe(
            extractor=registered.full_name,
            version=spec.version,
            params=_as_read_from_json(dataclasses.asdict(params)),
            weights=weights_id,
            front_ends=_front_ends(resolved),
            frontend_version=FRONTEND_VERSION if resolved.front_ends else "",
            resampler=f"{RESAMPLER}:{quality}",
            downmix=downmix,
            level=level,
        ),
        weights=weights_path,
        device=selected.device,
        module=registered.module,
    )


def _front_ends(resolved: Resolved) -> tuple[Mapping[str, Any], ...]:
    """Return the front ends as recipes hold them: without their names, which change no number."""
    descriptions = [preset(front_end).to_json() for front_end in resolved.front_ends]
    return tuple(
        {key: value for key, value in description.items() if key != "name"}
        for description in descriptions
    )


def _as_read_from_json(value: Any) -> Any:
    """Return lists for tuples, so that recipes compare equal to those read from a store."""
    if isinstance(value, dict):
        return {key: _as_read_from_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_read_from_json(item) for item in value]
    return value


class ParamsAndWeights(NamedTuple):
    """An instance of the params class, the path of the weights, and their entry in the recipe.

    The path is empty without weights; the entry is then empty, too, or ``untrained:seed=0``.
    """

    params: Any
    path: str
    identity: str


def match_params_and_weights(
    name: str,
    spec: ExtractorSpec,
    params: Mapping[str, Any],
    *,
    weights: str | Path | None = None,
    seed: int = 0,
) -> ParamsAndWeights:
    """Return parameters and weights of an extractor that belong together.

    ``params`` decide which of several weights are taken. A weights file may hold parameters
    itself, which replace the defaults but not ``params``.

    Parameters
    ----------
    name : str
        What messages call the extractor.
    spec : ExtractorSpec
        As the plugin gave it.
    params : mapping
        What the caller sets, parsed or as strings.
    weights : path, optional
        Instead of the installed ones; ``untrained`` for seeded ones.
    seed : int
        For untrained weights.

    Raises
    ------
    ParameterError, WeightsError
        For wrong parameters, and for weights that are missing or belong to other parameters.
    """
    try:
        chosen: Any = parse_params(spec.params, params)
    except ParameterError as error:
        raise ParameterError(f"{name}: {error}") from error
    path, identity = _locate_weights(spec, chosen, weights, seed)
    stored_params = read_config(path).get("params") if path else None
    if not stored_params:
        return ParamsAndWeights(chosen, path, identity)
    try:
        merged: Any = parse_params(spec.params, {**stored_params, **params})
    except (ParameterError, TypeError) as error:
        raise WeightsError(
            f"{path} must be made for parameters that {name!r} has, but {error}"
        ) from error
    return ParamsAndWeights(merged, path, identity)


def _locate_weights(
    spec: ExtractorSpec, params: Any, weights: str | Path | None, seed: int
) -> tuple[str, str]:
    """Return the path of the weights file and its entry in the recipe."""
    if spec.weights is None:
        return "", ""
    if str(weights) == UNTRAINED:
        if spec.weights.required:
            raise WeightsError(f"{spec.name} must have weights, got --weights {UNTRAINED}.")
        return "", f"{UNTRAINED}:seed={seed}"
    path = locate(spec.weights, override=weights, params=params)
    if path is not None:
        return str(path), file_sha256(path)
    if spec.weights.required:
        raise WeightsError(missing_message(spec.weights, spec))
    return "", f"{UNTRAINED}:seed={seed}"


def untrained_message(extractor: PreparedExtractor) -> str:
    """Return a warning that ``extractor`` runs without trained weights; empty where it has some."""
    weights_spec = extractor.spec.weights
    if weights_spec is None or not extractor.recipe.weights.startswith(UNTRAINED):
        return ""
    message = (
        f"{extractor.name} is UNTRAINED ({extractor.recipe.weights.partition(':')[2]}): it runs "
        "without trained weights, so its results are those of a random network."
    )
    settings = shipped_settings(weights_spec)
    if settings:
        message += f" Trained weights ship for {listed(settings)}."
    return message


def weights_notes(extractor: PreparedExtractor) -> list[str]:
    """Say which parameters differ from those that the weights file of ``extractor`` was made with.

    Some, such as thresholds, may; a network of another shape does not open.
    """
    stored = read_config(extractor.weights).get("params") if extractor.weights else None
    if not stored:
        return []
    chosen = extractor.recipe.params
    differing = [
        f"{name}={chosen[name]} instead of {value}"
        for name, value in _as_read_from_json(stored).items()
        if name in chosen and chosen[name] != value
    ]
    if not differing:
        return []
    note = (
        f"{extractor.name}: {listed(differing)}, with which {extractor.weights} was made. Results "
        "may be worse, or the weights may not fit; without --set the right ones are taken."
    )
    return [note]
