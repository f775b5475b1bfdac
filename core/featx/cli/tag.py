"""``featx tag``: labels for tracks that a store has already."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from featx.commands import counted, echo_json, json_option, printable, split_names
from featx.errors import listed


@click.command("tag")
@click.argument("store", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-m",
    "--manifest",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table with a column 'path' and labels: artist, album, title, tags, split, tempo.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=split_names,
    metavar="NAME[,NAME]",
    help="Another column to take. May be repeated.",
)
@json_option
def command(store: Path, manifest: Path, columns: tuple[str, ...], as_json: bool) -> None:
    """Give tracks of STORE the labels of a manifest; nothing is extracted.

    Rows are matched by path, or else by track_id. An empty cell changes nothing.
    """
    from featx.store import tag

    report = tag(store, manifest, columns=columns)
    if as_json:
        echo_json(report.to_json())
        return
    for example in report.examples:
        click.echo(f"not in the store: {printable(example)}")
    if report.unknown > len(report.examples):
        click.echo(f"... and {report.unknown - len(report.examples)} more")
    if report.ignored:
        names = printable(shlex.quote(",".join(report.ignored)))
        click.echo(f"not taken: {printable(listed(report.ignored))}. Take with: --column {names}")
    matched = report.rows - report.unknown
    click.echo(
        f"{matched} of {counted(report.rows, 'row')} matched, "
        f"{counted(report.changed, 'track')} changed"
    )
