"""``featx export``: features in the formats of other programs."""

from __future__ import annotations

from pathlib import Path

import click

from featx.commands import (
    echo_json,
    json_option,
    one_output,
    output_option,
    overwrite_option,
    printable,
    split_names,
)

_FORMATS = ("npz", "csv", "parquet", "jams", "lab", "audacity", "midi", "projector")


@click.command("export")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@output_option(dir_okay=True, help="File or folder to write; may also be given as second argument.")
@click.option(
    "-f",
    "--format",
    "format_name",
    type=click.Choice(_FORMATS),
    help="Determined by the suffix of OUT if unset.",
)
@click.option(
    "--features",
    multiple=True,
    metavar="NAME",
    help="Extractor or extractor.feature, separated by commas. May be repeated.",
)
@overwrite_option
@json_option
def command(
    store: Path,
    out: Path | None,
    output: Path | None,
    format_name: str | None,
    features: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write features of STORE to OUT.

    npz, csv and parquet write one file per feature: OUT is that file, or a folder for several.
    jams, lab, audacity and midi write the events of every track (midi: notes), projector the
    vectors and metadata that TensorBoard's projector loads, all into the folder OUT.
    """
    from featx.store import export, open_store

    target = one_output(out, output)
    if format_name is None:
        format_name = target.suffix.lstrip(".")
        if format_name not in _FORMATS:
            raise click.UsageError(f"Give --format, one of {', '.join(_FORMATS)}.")
    names = split_names("--features", features)
    with open_store(store) as opened:
        written = export(opened, target, format=format_name, features=names, overwrite=overwrite)
    if as_json:
        echo_json([str(path) for path in written])
        return
    for path in written[:10]:
        click.echo(printable(str(path)))
    if len(written) > 10:
        click.echo(f"and {len(written) - 10} more files")
