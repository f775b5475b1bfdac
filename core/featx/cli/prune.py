"""``featx prune``: forget results of a store."""

from __future__ import annotations

from pathlib import Path

import click

from featx.commands import counted, echo_json, json_option, printable, split_names

_SHOWN = 20


@click.command("prune")
@click.argument("store", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--gone", is_flag=True, help="Tracks whose file no longer exists.")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    callback=split_names,
    metavar="NAME[,NAME]",
    help="A recipe as featx ls names it, such as mfcc@0123abcd. May be repeated.",
)
@click.option("--track", "tracks", multiple=True, metavar="ID", help="A track. May be repeated.")
@click.option("--failed", is_flag=True, help="Failures; the next run tries these tracks again.")
@click.option(
    "--yes", is_flag=True, help="Delete the results; without it, the command only lists them."
)
@json_option
def command(
    store: Path,
    gone: bool,
    recipes: tuple[str, ...],
    tracks: tuple[str, ...],
    failed: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete results from STORE.

    Without --yes nothing is changed. What is forgotten counts as never computed.
    """
    from featx.store import prune

    if not (gone or recipes or tracks or failed):
        raise click.UsageError("Specify what to delete: --gone, --recipe, --track or --failed.")
    report = prune(store, gone=gone, recipes=recipes, tracks=tracks, failed=failed, dry_run=not yes)
    if as_json:
        echo_json(report.to_json())
        return
    for name in report.tracks[:_SHOWN]:
        click.echo(printable(name))
    if len(report.tracks) > _SHOWN:
        click.echo(f"... and {len(report.tracks) - _SHOWN} more")
    click.echo(
        f"{'forgotten' if yes else 'to forget'}: {counted(len(report.tracks), 'track')}, "
        f"{counted(len(report.recipes), 'recipe')}, {counted(report.results, 'result')}, "
        f"{counted(report.failures, 'failure')}; {counted(report.shards, 'shard')} "
        f"{'deleted' if yes else 'to delete'}, {report.bytes / 1e6:.1f} MB"
    )
    if report.shared:
        click.echo(
            f"{report.shared} of these results in shards with others: their bytes stay on the disk "
            "until the others are forgotten, too"
        )
    if not yes and report.shown:
        click.echo(
            f"{counted(report.shown, 'track')} of these went since the last run: exports and "
            "searches hold them until the next featx run, or --yes."
        )
    if not yes:
        click.echo("Nothing was changed; add --yes to do it.")
