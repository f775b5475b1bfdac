"""``featx show``: what a store holds of one track."""

from __future__ import annotations

from pathlib import Path

import click

from featx.commands import (
    complete_feature,
    counted,
    echo_json,
    echo_table,
    json_option,
    printable,
    split_names,
)
from featx.errors import some


@click.command("show")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.argument("track")
@click.option(
    "--values",
    "with_values",
    is_flag=True,
    help="Add the values of clip features by column, and events.",
)
@click.option("--sort", "sorted_values", is_flag=True, help="As --values, the largest first.")
@click.option(
    "--features",
    multiple=True,
    callback=split_names,
    metavar="NAME[,NAME]",
    shell_complete=complete_feature,
    help="Show only this extractor or extractor.feature. May be repeated.",
)
@json_option
def command(
    store: Path,
    track: str,
    with_values: bool,
    sorted_values: bool,
    features: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what STORE contains for TRACK: file, shapes, statistics, and reasons of failures.

    \b
    featx show features/ song.ogg --features contrastive.tags --values --sort
    """  # noqa: D301  (click reads the backspace)
    from featx.store import describe_track, open_store
    from featx.store.summary import STATISTICS

    with open_store(store, gone=True) as opened:
        description = describe_track(
            opened,
            track,
            values=with_values or sorted_values,
            features=features,
        )
    if sorted_values:
        for item in description["features"]:
            item.get("values", []).sort(key=lambda pair: pair[1], reverse=True)
    if as_json:
        echo_json(description)
        return
    mappings = ("tags", "notes")
    facts = {name: value for name, value in description["track"].items() if name not in mappings}
    for name, value in {**facts, **description["track"]["tags"]}.items():
        if value not in {None, ""}:
            text = f"{value:.3f}" if isinstance(value, float) else str(value)
            click.echo(f"{printable(name):10} {printable(text)}")
    for code, text in description["track"]["notes"].items():
        click.echo(f"{'note':10} {printable(f'{code}: {text}')}")
    if description["features"]:
        click.echo()
        differing = any(item["differs"] for item in description["features"])
        rows = [
            (
                item["extractor"],
                *([", ".join(item["differs"])] if differing else []),
                item["feature"],
                " x ".join(str(size) for size in item["shape"]),
                item["dtype"],
                *(f"{item[key]:.5g}" if item[key] is not None else "" for key in STATISTICS),
            )
            for item in description["features"]
        ]
        differs = ["differs by"] if differing else []
        columns = ("extractor", *differs, "feature", "shape", "dtype", *STATISTICS)
        echo_table(columns, rows)
    for item in description["features"]:
        if item["kind"] == "events":
            counts = (
                f"; {column}: {some(f'{label} {count}' for label, count in labels.items())}"
                for column, labels in item["labels"].items()
            )
            text = f"{counted(item['shape'][0], 'event')}{''.join(counts)}"
            click.echo(printable(f"{item['extractor']}.{item['feature']}: {text}"))
        if item.get("values"):
            click.echo()
            units = {name: "" if unit == "1" else unit for name, unit in item["units"].items()}
            shown = [(name, f"{value:.6g}", units[name]) for name, value in item["values"]]
            columns = (f"{item['extractor']}.{item['feature']}", "value", "unit")
            most = 3 if any(units.values()) else 2
            echo_table(columns[:most], [row[:most] for row in shown])
        if item.get("rows"):
            click.echo()
            echo_table(item["columns"], [[_cell(value) for value in row] for row in item["rows"]])
    if description["outcomes"]:
        click.echo()
        echo_table(
            ("extractor", "feature", "status", "code", "reason"),
            [tuple(item.values()) for item in description["outcomes"]],
        )


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))
