"""``featx ls``: what a store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featx.commands import counted, echo_json, echo_table, json_option
from featx.errors import listed


@click.command("ls")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@json_option
def command(store: Path, as_json: bool) -> None:
    """List extractors, features, counts, failures and notes of STORE, a folder or a merged file.

    With --json the recipes are complete, with parameters, weights and front ends.
    """
    from featx.store import open_store, summarise

    with open_store(store, gone=True) as opened:
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
    echo_table([columns[i] for i in held], [tuple(row[i] for i in held) for row in rows])
    for title, items in (("failed", summary["failures"]), ("noted", summary["notes"])):
        if items:
            click.echo()
            echo_table(
                (title, "tracks", "meaning"),
                [(item["code"], str(item["tracks"]), item["meaning"]) for item in items],
            )
    for item in summary["extractors"]:
        if len(item["makers"]) > 1:
            distribution = item["recipe"]["extractor"].partition(":")[0]
            versions = [f"{version or '?'} ({n})" for version, n in item["makers"].items()]
            click.echo(f"\n{item['name']}: tracks by version of {distribution}: {listed(versions)}")
    recipes = counted(len(summary["extractors"]), "recipe")
    click.echo(f"\n{counted(summary['tracks'], 'track')}, {recipes}")


def _short_label(name: str, extractors: list[dict[str, Any]]) -> str:
    """Return ``mfcc@1f2e3d4c``: as many digits of the recipe as distinguish it from the others."""
    stem, mark, digits = name.partition("@")
    for length in range(8, len(digits)):
        if sum(item["id"].startswith(digits[:length]) for item in extractors) == 1:
            return f"{stem}{mark}{digits[:length]}"
    return name
