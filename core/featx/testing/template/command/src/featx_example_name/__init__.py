"""featx example-name: the tracks of a store in the order of one column."""

from __future__ import annotations

from pathlib import Path

import click
from featx import ParameterError
from featx.commands import counted, echo_json, echo_table, json_option

__all__ = ["command"]


@click.command("example-name")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.argument("feature", metavar="EXTRACTOR.FEATURE")
@click.argument("column")
@click.option("-n", "--number", type=click.IntRange(min=1), default=10, show_default=True)
@json_option
def command(store: Path, feature: str, column: str, number: int, as_json: bool) -> None:
    """List the tracks of STORE with the largest values of COLUMN."""
    from featx import open_store

    extractor, _, name = feature.rpartition(".")
    with open_store(store) as opened:
        view = opened[extractor][name]
        if column not in view.spec.column_names:
            known = ", ".join(view.spec.column_names)
            raise ParameterError(f"column must be one of {known}, got {column!r}.")
        values = view.values[:, view.spec.column_names.index(column)]
        best = values.argsort()[::-1][:number]
        ranking = [(view.ids[row], float(values[row])) for row in best]
    if as_json:
        echo_json([{"track": track, column: value} for track, value in ranking])
        return
    echo_table(("track", column), [(track, f"{value:.4g}") for track, value in ranking])
    click.echo(f"{counted(len(ranking), 'track')} of {len(values)}")
