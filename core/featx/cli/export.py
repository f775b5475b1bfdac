"""``featx export``: features in the formats of other programs."""

from __future__ import annotations

from pathlib import Path

import click

from featx.commands import (
    complete_feature,
    counted,
    echo_json,
    gone_option,
    json_option,
    one_output,
    output_option,
    overwrite_option,
    printable,
    split_names,
)

_FORMATS = ("npz", "csv", "parquet", "json", "jams", "lab", "audacity", "midi", "projector")
_SUFFIXES = {".txt": "audacity", ".mid": "midi"}


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
    callback=split_names,
    metavar="NAME[,NAME]",
    shell_complete=complete_feature,
    help="Extractor or extractor.feature. May be repeated.",
)
@click.option(
    "--track",
    "tracks",
    multiple=True,
    metavar="ID",
    help="Export only this track. May be repeated.",
)
@click.option(
    "--all-recipes",
    "outdated",
    is_flag=True,
    help="Without --features: outdated recipes too, not only the current one of each extractor.",
)
@gone_option
@overwrite_option
@json_option
def command(
    store: Path,
    out: Path | None,
    output: Path | None,
    format_name: str | None,
    features: tuple[str, ...],
    tracks: tuple[str, ...],
    outdated: bool,
    gone: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write features of STORE to OUT.

    npz, csv and parquet write one file per feature: OUT is that file, or a folder for several.
    json writes all features into one file OUT with their descriptions, or one each into a folder.
    jams, lab, audacity and midi write the events of every track (midi: notes) into the folder OUT,
    or of one track to a file OUT with their suffix (.jams, .lab, .txt, .mid). projector writes the
    vectors and metadata that TensorBoard's projector loads into the folder OUT.
    """
    from featx.store import export, open_store, recipe_notes
    from featx.store.selecting import split_name

    target = one_output(out, output)
    if format_name is None:
        format_name = _SUFFIXES.get(target.suffix, target.suffix.lstrip("."))
        if format_name not in _FORMATS:
            raise click.UsageError(f"Give --format, one of {', '.join(_FORMATS)}.")
    with open_store(store, gone=gone) as opened:
        written = export(
            opened,
            target,
            format=format_name,
            features=features,
            tracks=tracks,
            outdated=outdated,
            overwrite=overwrite,
        )
        pairs = [split_name(opened, name) for name in features or opened.current]
        views = [
            view
            for extractor, feature in pairs
            for label, view in opened[extractor].items()
            if feature in ("", label)
        ]
        sentences = [] if outdated else recipe_notes(opened, views)
        noted = sum(1 for record in opened.tracks.records() if record.notes)
    if as_json:
        echo_json([str(path) for path in written])
        return
    for sentence in sentences:
        click.echo(f"{sentence} Name it by --features, or add --all-recipes.", err=True)
    for path in written[:10]:
        click.echo(printable(str(path)))
    if len(written) > 10:
        click.echo(f"and {len(written) - 10} more files")
    if noted:
        click.echo(f"{counted(noted, 'track')} of the store have notes of decoding: featx ls STORE")
