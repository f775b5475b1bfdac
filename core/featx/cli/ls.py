"""``featx ls``: what a store holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.commands import counted, echo_json, echo_table, json_option, printable
from featx.errors import FAILURE_CODES, SKIP_CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx.store import Recipe, Store


@click.command("ls")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@json_option
def command(store: Path, as_json: bool) -> None:
    """List extractors, features, counts and failures of STORE, a folder or a merged file.

    With --json the recipes are complete, with parameters, weights and front ends.
    """
    from featx.store import open_store

    with open_store(store) as opened:
        summary = summarise(opened)
    if as_json:
        echo_json(summary)
        return
    rows = []
    differing = any(item["differs"] for item in summary["extractors"])
    for item in summary["extractors"]:
        weights = item["recipe"]["weights"]
        shown = weights[:12] if len(weights) == 64 else weights
        for name, feature in item["features"].items():
            counts = (str(feature[key]) for key in ("ok", "failed", "skipped"))
            shape = f"{feature['kind']} {feature['dim']}"
            version = item["recipe"]["version"]
            differs = [", ".join(item["differs"])] if differing else []
            label = _short_label(item["name"], summary["extractors"])
            rows.append((label, *differs, version, shown, name, shape, *counts))
    columns = (
        *("extractor", *(["differs by"] if differing else [])),
        *("version", "weights", "feature", "shape", "ok", "failed", "skipped"),
    )
    held = [i for i, name in enumerate(columns) if name != "weights" or any(row[i] for row in rows)]
    echo_table([columns[i] for i in held], [tuple(printable(row[i]) for i in held) for row in rows])
    if summary["failures"]:
        click.echo()
        echo_table(
            ("failed", "tracks", "meaning"),
            [(item["code"], str(item["tracks"]), item["meaning"]) for item in summary["failures"]],
        )
    recipes = counted(len(summary["extractors"]), "recipe")
    click.echo(f"\n{counted(summary['tracks'], 'track')}, {recipes}")


def _short_label(name: str, extractors: list[dict[str, Any]]) -> str:
    """Return ``mfcc@1f2e3d4c``: as many digits of the recipe as tell it from the others."""
    stem, mark, digits = name.partition("@")
    for length in range(8, len(digits)):
        if sum(item["id"].startswith(digits[:length]) for item in extractors) == 1:
            return f"{stem}{mark}{digits[:length]}"
    return name


def recipe_differences(recipe: Recipe, others: Sequence[Recipe]) -> list[str]:
    """Return in words what tells ``recipe`` from ``others`` of its extractor, such as n_mfcc=20.

    Version and weights are left out.
    """
    told = []
    for name in sorted({key for item in (recipe, *others) for key in item.params}):
        value = recipe.params.get(name, "(none)")
        if any(other.params.get(name, "(none)") != value for other in others):
            told.append(f"{name}={value}")
    told += [
        f"{label}={getattr(recipe, label)}"
        for label in ("resampler", "frontend_version")
        if any(getattr(other, label) != getattr(recipe, label) for other in others)
    ]
    if not told and any(other.front_ends != recipe.front_ends for other in others):
        told.append("front ends")
    return told


def summarise(store: Store) -> dict[str, Any]:
    """Return plain values: extractors with features and counts, and failures by code."""
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
        others = [
            other
            for other in store.recipes
            if other.extractor == recipe.extractor and other.id != recipe.id
        ]
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
                "differs": recipe_differences(recipe, others),
                "features": features,
            }
        )
    meanings = {**FAILURE_CODES, **SKIP_CODES}
    return {
        "path": str(store.path),
        "tracks": len(store.tracks),
        "extractors": extractors,
        "failures": [
            {"code": code, "tracks": number, "meaning": meanings[code]}
            for code, number in failures.most_common()
        ],
    }
