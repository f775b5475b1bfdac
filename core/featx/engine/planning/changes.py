"""What makes stored results differ from those that an extractor would give today, in words."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Iterable, Mapping

from featx.engine.planning.resolving import resolve_checked
from featx.engine.tasks import PreparedExtractor
from featx.errors import ParameterError, PluginError
from featx.store.catalogue import LedgerView
from featx.store.records import Recipe
from featx.types import FeatureSpec


class OutputCheck:
    """Finds values whose description is not the one that their extractor gives now.

    An extractor that changes its outputs has to change its version, which makes another recipe.
    Where its author forgot, old and new values would stand side by side under one recipe.
    """

    def __init__(self, view: LedgerView, extractors: Iterable[PreparedExtractor]) -> None:
        self._view = view
        self._stored = {
            extractor.number: view.descriptions(extractor.recipe.id) for extractor in extractors
        }
        self._expected: dict[tuple[int, int], dict[str, FeatureSpec]] = {}
        self._suspected: dict[tuple[int, int], bool] = {}

    def changes(
        self, extractor: PreparedExtractor, track_id: str, native_sr: int | None
    ) -> dict[str, str]:
        """Return, for each requested feature stored in another form than today's, what changed.

        ``native_sr`` is the rate in Hz of the track's file; None where it is not known.
        """
        if native_sr is None or not self._stored[extractor.number]:
            return {}
        expected = self._outputs(extractor, native_sr)
        if not self._is_suspect(extractor, native_sr, expected):
            return {}
        stored = self._view.described(track_id, extractor.recipe.id)
        changes = {
            name: spec_changes(spec, expected[name])
            for name, spec in stored.items()
            if name in extractor.features and name in expected
        }
        return {
            name: f"output {name!r}: {change}; bump the extractor's version"
            for name, change in changes.items()
            if change
        }

    def _outputs(self, extractor: PreparedExtractor, rate: int) -> dict[str, FeatureSpec]:
        key = (extractor.number, rate)
        if key not in self._expected:
            try:
                outputs = resolve_checked(extractor.spec, extractor.params, rate).outputs
            except (ParameterError, PluginError):  # no values at this rate; the worker says why
                outputs = ()
            self._expected[key] = {spec.name: spec for spec in outputs}
        return self._expected[key]

    def _is_suspect(
        self, extractor: PreparedExtractor, rate: int, expected: dict[str, FeatureSpec]
    ) -> bool:
        """Return whether any stored description differs; where none does, no track is looked up."""
        key = (extractor.number, rate)
        if key not in self._suspected:
            self._suspected[key] = any(
                spec_changes(spec, expected[spec.name])
                for spec in self._stored[extractor.number]
                if spec.name in expected
            )
        return self._suspected[key]


def spec_changes(old: FeatureSpec, new: FeatureSpec) -> str:
    """Return in words what differs between two descriptions of one output, wording apart."""
    changes = []
    for item in dataclasses.fields(FeatureSpec):
        before, after = getattr(old, item.name), getattr(new, item.name)
        if before == after or item.name == "description":
            continue
        plain = not isinstance(before, (tuple, dict))
        changes.append(f"{item.name} {before} -> {after}" if plain else f"other {item.name}")
    return ", ".join(changes)


def recipe_changes(old: Recipe, new: Recipe) -> str:
    """Return in words what makes ``new`` another recipe than ``old``."""
    changes = []
    if old.version != new.version:
        changes.append(f"extractor version {old.version} -> {new.version}")
    for name in sorted({*old.params, *new.params}):
        before, after = (str(recipe.params.get(name, "(none)")) for recipe in (old, new))
        if before != after:
            changes.append(f"parameter {name} {before} -> {after}")
    if old.weights != new.weights:
        changes.append(f"weights {_short(old.weights)} -> {_short(new.weights)}")
    if old.front_ends != new.front_ends:
        changes.append(_front_end_changes(old.front_ends, new.front_ends))
    if old.frontend_version != new.frontend_version:
        changes.append(f"front-end version {old.frontend_version} -> {new.frontend_version}")
    if old.resampler != new.resampler:
        changes.append(f"resampler {old.resampler} -> {new.resampler}")
    if old.downmix != new.downmix:
        changes.append(f"downmix {old.downmix} -> {new.downmix}")
    if old.level != new.level:
        changes.append(f"level {_level(old.level)} -> {_level(new.level)}")
    return "; ".join(changes)


def _front_end_changes(
    old: tuple[Mapping[str, object], ...], new: tuple[Mapping[str, object], ...]
) -> str:
    if len(old) != len(new):
        return f"{len(old)} -> {len(new)} front ends"
    names = {
        name
        for before, after in zip(old, new, strict=True)
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    }
    return f"front end ({', '.join(sorted(names))})"


def _level(dbfs: float | None) -> str:
    return "(as recorded)" if dbfs is None else f"{dbfs:g} dBFS"


def _short(weights: str) -> str:
    if not weights or weights.startswith("untrained"):
        return weights or "(none)"
    return weights[:12]


def maker_notes(view: LedgerView, extractor: PreparedExtractor) -> list[str]:
    """Say so where values under the very recipe of ``extractor`` come from another distribution.

    Its author may have changed numbers without a new version of the extractor.
    """
    distribution = extractor.distribution
    try:
        installed = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return []
    return [
        f"{extractor.name}: {count} tracks have results by {distribution} {version}, installed is "
        f"{installed}. The version of the extractor ({extractor.spec.version}) says that the "
        "numbers are the same; featx verify --recompute 10 compares some."
        for version, count in view.makers(extractor.recipe.id).items()
        if version not in ("", installed)
    ]


def output_notes(view: LedgerView, extractor: PreparedExtractor) -> list[str]:
    """Name outputs stored of other versions of ``extractor`` that are not among its features."""
    present = {*extractor.features, *view.count_features(extractor.recipe.id)}
    notes = []
    for recipe in view.recipes():
        same = recipe.extractor == extractor.full_name
        if not same or recipe.version == extractor.spec.version:
            continue
        counts = view.count_features(recipe.id)
        missing = {name: count for name, count in counts.items() if name not in present}
        present |= missing.keys()
        notes += [
            f"{extractor.name}: the store has {name} of version {recipe.version} ({count} tracks), "
            f"which is not computed here; --features {extractor.name}.{name} adds it."
            for name, count in missing.items()
        ]
    return notes
