"""``featx show``: what a store holds of one track."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.commands import echo_json, echo_table, json_option, printable

if TYPE_CHECKING:
    from featx.store import Store
    from featx.store.views import FeatureView


@click.command("show")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.argument("track")
@click.option(
    "--values", "with_values", is_flag=True, help="Add every value of the clip features by column."
)
@json_option
def command(store: Path, track: str, with_values: bool, as_json: bool) -> None:
    """Show what STORE holds of TRACK: file, shapes, statistics, and why something failed."""
    from featx.store import open_store

    with open_store(store) as opened:
        found = describe(opened, track, values=with_values)
    if as_json:
        echo_json(found)
        return
    facts = {key: value for key, value in found["track"].items() if key != "tags"}
    for name, value in {**facts, **found["track"]["tags"]}.items():
        if value not in {None, ""}:
            click.echo(f"{printable(name):10} {printable(str(value))}")
    if found["features"]:
        click.echo()
        rows = [
            (
                item["extractor"],
                item["feature"],
                " x ".join(str(size) for size in item["shape"]),
                item["dtype"],
                *(f"{item[key]:.5g}" if item[key] is not None else "" for key in _STATISTICS),
            )
            for item in found["features"]
        ]
        columns = ("extractor", "feature", "shape", "dtype", *_STATISTICS)
        echo_table(columns, [tuple(printable(cell) for cell in row) for row in rows])
    for item in found["features"]:
        if item.get("values"):
            click.echo()
            pairs = [(printable(name), f"{value:.6g}") for name, value in item["values"]]
            echo_table((f"{item['extractor']}.{item['feature']}", "value"), pairs)
    if found["outcomes"]:
        click.echo()
        echo_table(
            ("extractor", "feature", "status", "code", "reason"),
            [tuple(printable(cell) for cell in item.values()) for item in found["outcomes"]],
        )


_STATISTICS = ("min", "mean", "max", "std")


def describe(store: Store, track_id: str, *, values: bool = False) -> dict[str, Any]:
    """Return plain values: the track, its features with statistics, and what failed.

    With ``values`` clip features also have their numbers, as pairs of column and value.

    Raises
    ------
    ParameterError
        If the store has no such track.
    """
    record = store.tracks[track_id]
    features, outcomes = [], []
    for name in store:
        view = store[name]
        for unit in store.source.units(track_id, view.recipe.id):
            if unit.status == "ok":
                features += [_feature(name, view[item], track_id, values) for item in unit.features]
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
    fields = ("track_id", "path", "content", "size", "duration", "sr", "channels", "tags")
    return {
        "track": {name: getattr(record, name) for name in fields},
        "features": features,
        "outcomes": outcomes,
    }


def _feature(name: str, view: FeatureView, track_id: str, pairs: bool) -> dict[str, Any]:
    import numpy as np

    from featx.store.tables import column_names

    values = view[track_id]
    listed: dict[str, Any] = {}
    if pairs and view.spec.kind == "clip":
        listed["values"] = list(zip(column_names(view.spec), values.tolist(), strict=True))
    shape = [len(values), view.spec.dim] if view.spec.has_labels else list(values.shape)
    if view.spec.has_labels:
        values = np.stack([values[c.name] for c in view.spec.columns if not c.is_label])
    numbers: dict[str, float | None] = dict.fromkeys(_STATISTICS)
    if values.size:
        wide = values.astype(float)
        numbers = {key: float(getattr(wide, key)()) for key in _STATISTICS}
    return {
        "extractor": name,
        "feature": view.spec.name,
        "kind": view.spec.kind,
        "shape": shape,
        "dtype": str(values.dtype),
        "unit": view.spec.unit,
        **numbers,
        **listed,
    }
