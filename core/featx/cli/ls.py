"""``featx ls``: what a store holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.cli.common import counted, echo_json, echo_table, json_option, printable
from featx.errors import FAILURE_CODES, SKIP_CODES

if TYPE_CHECKING:
    from featx.store import Store


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
    for item in summary["extractors"]:
        weights = item["recipe"]["weights"]
        shown = weights[:12] if len(weights) == 64 else weights
        for name, feature in item["features"].items():
            counts = (str(feature[key]) for key in ("ok", "failed", "skipped"))
            shape = f"{feature['kind']} {feature['dim']}"
            version = item["recipe"]["version"]
            rows.append((item["name"], version, shown, name, shape, *counts))
    columns = ("extractor", "version", "weights", "feature", "shape", "ok", "failed", "skipped")
    echo_table(columns, [tuple(printable(cell) for cell in row) for row in rows])
    if summary["failures"]:
        click.echo()
        echo_table(
            ("failed", "tracks", "meaning"),
            [(item["code"], str(item["tracks"]), item["meaning"]) for item in summary["failures"]],
        )
    recipes = counted(len(summary["extractors"]), "recipe")
    click.echo(f"\n{counted(summary['tracks'], 'track')}, {recipes}")


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
    for recipe in store.recipes:
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
            {"name": name, "id": recipe.id, "recipe": recipe.to_json(), "features": features}
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
