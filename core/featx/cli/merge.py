"""``featx merge``: one HDF5 file to hand around."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from featx.commands import (
    counted,
    echo_json,
    json_option,
    one_output,
    output_option,
    overwrite_option,
    printable,
)


@click.command("merge")
@click.argument("store", type=click.Path(exists=True, file_okay=False, path_type=Path))
@output_option(dir_okay=False, help="File to write; may also be given as second argument.")
@overwrite_option
@json_option
def command(
    store: Path, out: Path | None, output: Path | None, overwrite: bool, as_json: bool
) -> None:
    """Write the current state of STORE into one HDF5 file OUT.

    Every shard is checked first. featx reads the file like the folder; other programs can read it
    as HDF5.
    """
    from featx.store import merge

    info = merge(store, one_output(out, output), overwrite=overwrite)
    if as_json:
        echo_json(dataclasses.asdict(info))
        return
    click.echo(
        f"{printable(info.path)}: {counted(info.n_tracks, 'track')}, "
        f"{counted(len(info.features), 'feature')}, "
        f"{info.size / 1e6:.1f} MB, sha256 {info.sha256}"
    )
