"""What a store holds, as plain values for tables and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import FAILURE_CODES, NOTE_CODES, SKIP_CODES, listed
from featx.store.selecting import split_name
from featx.store.tables import column_names

if TYPE_CHECKING:
    from featx.store.reading import Store
    from featx.store.records import Recipe
    from featx.store.views import FeatureView

#: What `describe_track` says about the values of a feature.
STATISTICS = ("min", "mean", "max", "std")


def recipe_differences(recipe: Recipe, others: Sequence[Recipe]) -> list[str]:
    """Return how ``recipe`` differs from ``others`` of its extractor, such as n_mfcc=20.

    Version and weights are omitted.
    """
    differences = []
    for name in sorted({key for item in (recipe, *others) for key in item.params}):
        value = recipe.params.get(name, "(none)")
        if any(other.params.get(name, "(none)") != value for other in others):
            differences.append(f"{name}={value}")
    differences += [
        f"{label}={getattr(recipe, label)}"
        for label in ("resampler", "downmix", "level", "frontend_version")
        if any(getattr(other, label) != getattr(recipe, label) for other in others)
    ]
    if not differences and any(other.front_ends != recipe.front_ends for other in others):
        differences.append("front ends")
    return differences


def summarise(store: Store) -> dict[str, Any]:
    """Return plain values: extractors with features and counts, failures and notes by code."""
    counts: Counter[tuple[str, str, str]] = Counter()
    failures: Counter[str] = Counter()
    last = ("", "")
    for item in store.source.current():
        counts[item.recipe, item.feature, item.status] += 1
        if item.code and (item.track_id, item.code) != last:
            last = (item.track_id, item.code)
            failures[item.code] += 1
    extractors = []
    current = {recipe.extractor: recipe.id for recipe in reversed(store.recipes)}
    for recipe in sorted(
        store.recipes,
        key=lambda item: (item.extractor, current[item.extractor] != item.id, item.id),
    ):
        name = next(name for name in store if store[name].recipe == recipe)
        shapes = {key: view.spec for key, view in store[name].items()}
        named = sorted({feature for owner, feature, _ in counts if owner == recipe.id})
        features = {}
        for feature in named:
            spec = shapes.get(feature)
            features[feature or "(all)"] = {
                "kind": spec.kind if spec else "",
                "dim": spec.dim if spec else "",
                "unit": spec.unit if spec else "",
                **{
                    status: counts[recipe.id, feature, status]
                    for status in ("ok", "failed", "skipped")
                },
            }
        extractors.append(
            {
                "name": name,
                "id": recipe.id,
                "recipe": recipe.to_json(),
                "differs": recipe_differences(recipe, _others(store, recipe)),
                "makers": store.source.makers(recipe.id),
                "licences": store.source.licences(recipe.id),
                "features": features,
            }
        )
    notes = Counter(code for record in store.tracks.records() for code in record.notes)
    meanings = {**FAILURE_CODES, **SKIP_CODES}
    return {
        "path": str(store.path),
        "tracks": len(store.tracks),
        "extractors": extractors,
        "failures": [
            {"code": code, "tracks": number, "meaning": meanings[code]}
            for code, number in failures.most_common()
        ],
        "notes": [
            {"code": code, "tracks": number, "meaning": NOTE_CODES.get(code, "")}
            for code, number in notes.most_common()
        ],
    }


def recipe_notes(store: Store, views: Iterable[FeatureView]) -> list[str]:
    """Return a sentence for each other recipe that a short name might have meant.

    These have other settings than the recipe that it means, or features of further tracks. Nothing
    is said of features whose recipe a short name does not mean: they were asked for by it.
    """
    current = {store.recipe(name).id for name in store.current}
    chosen: dict[str, list[FeatureView]] = {}
    for view in views:
        if view.recipe.id in current:
            chosen.setdefault(view.recipe.id, []).append(view)
    sentences = []
    for several in chosen.values():
        recipe = several[0].recipe
        for other in _others(store, recipe):
            label = f"{recipe.short_name}@{other.id}"
            theirs = store[label]
            shared = [view for view in several if view.spec.name in theirs]
            mine, its = (
                recipe_differences(one, [another])
                for one, another in ((recipe, other), (other, recipe))
            )
            settings = [text for text in its if not text.startswith("frontend_version=")]
            tracks = {track for view in shared for track in view.ids}
            more = {track for view in shared for track in theirs[view.spec.name].ids} - tracks
            if not shared or not (more or settings):
                continue
            feature = f".{shared[0].spec.name}" * (len(shared) == 1)
            kind = ["other version or weights"]
            title = f"{recipe.short_name}{feature}"
            rest = f"{label}{feature} ({listed(its or kind)})"
            sentences.append(
                f"{title} means the most recent recipe ({listed(mine or kind)}; "
                f"tracks: {len(tracks)}). "
                + (f"Further tracks have {rest}: {len(more)}." if more else f"Also stored: {rest}.")
            )
    return sentences


def describe_track(
    store: Store, track_id: str, *, values: bool = False, features: Sequence[str] = ()
) -> dict[str, Any]:
    """Return plain values: the track, its features with statistics, and what failed.

    With ``values`` clip features also have their numbers, as pairs of column and value, and events
    their rows. Names of ``features`` (``extractor`` or ``extractor.feature``) restrict the result
    to these; a name without recipe means all recipes of the extractor.

    Raises
    ------
    ParameterError
        If the store has no such track or feature.
    """
    record = store.tracks[track_id]
    chosen: dict[str, set[str]] = {}
    for text in features:
        extractor, feature = split_name(store, text)
        named = store[extractor]
        names = [named[feature].spec.name] if feature else [*named]
        for label in store:
            same = "@" not in extractor and store[label].recipe in _others(store, named.recipe)
            if label == named.name or same:
                chosen.setdefault(label, set()).update(names)
    described, outcomes = [], []
    for name in store:
        view = store[name]
        if chosen and name not in chosen:
            continue
        differs = recipe_differences(view.recipe, _others(store, view.recipe))
        for unit in store.source.units(track_id, view.recipe.id):
            if unit.status == "ok":
                described += [
                    {**_feature(name, view[item], track_id, values), "differs": differs}
                    for item in unit.features
                    if not chosen or item in chosen[name]
                ]
                continue
            outcomes += [
                {
                    "extractor": name,
                    "feature": item,
                    "status": unit.status,
                    "code": unit.code,
                    "reason": unit.reason,
                }
                for item in unit.features or ("(all)",)
            ]
    fields = ("track_id", "path", "content", "size", "duration", "sr", "channels", "tags", "notes")
    return {
        "track": {name: getattr(record, name) for name in fields},
        "features": described,
        "outcomes": outcomes,
    }


def _others(store: Store, recipe: Recipe) -> list[Recipe]:
    """Return the other recipes of the same extractor."""
    return [
        other
        for other in store.recipes
        if other.extractor == recipe.extractor and other.id != recipe.id
    ]


def _feature(name: str, view: FeatureView, track_id: str, pairs: bool) -> dict[str, Any]:
    values = table = view[track_id]
    rows: dict[str, Any] = {}
    if pairs and view.spec.kind == "clip":
        names = column_names(view.spec)
        rows["values"] = list(zip(names, values.tolist(), strict=True))
        units = [column.unit for column in view.spec.columns] or [view.spec.unit] * len(names)
        rows["units"] = dict(zip(names, units, strict=True))
    elif pairs and view.spec.kind == "events":
        rows["columns"] = list(column_names(view.spec))
        rows["rows"] = [list(row) for row in values.tolist()]
    shape = [len(values), view.spec.dim] if view.spec.has_labels else list(values.shape)
    if view.spec.has_labels:
        values = np.stack([values[c.name] for c in view.spec.columns if not c.is_label])
    numbers: dict[str, float | None] = dict.fromkeys(STATISTICS)
    mixed = len({column.unit for column in view.spec.columns}) > 1
    if values.size and view.spec.kind != "events" and not mixed:  # as columns of events mostly are
        wide = values.astype(float)
        numbers = {key: float(getattr(wide, key)()) for key in STATISTICS}
    if view.spec.kind == "events":
        rows["labels"] = {
            column.name: dict(Counter(table[column.name].tolist()).most_common())
            for column in view.spec.columns
            if column.is_label
        }
    return {
        "extractor": name,
        "feature": view.spec.name,
        "kind": view.spec.kind,
        "shape": shape,
        "dtype": str(values.dtype),
        "unit": view.spec.unit,
        **numbers,
        **rows,
    }
