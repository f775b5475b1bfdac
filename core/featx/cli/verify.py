"""``featx verify``: whether every byte of a store is what was committed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featx.cli.common import echo_json, echo_table, json_option, printable

if TYPE_CHECKING:
    from featx.store import VerifyReport

#: Exit status for a damaged store.
EXIT_DAMAGED = 4


@click.command("verify")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--clean", is_flag=True, help="Remove temporary files and shards that no ledger commits."
)
@click.option(
    "--rebuild/--no-rebuild",
    default=True,
    show_default=True,
    help="Make the catalogue of the store again from its ledgers.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds that the structure of one file may take.",
)
@json_option
def command(store: Path, clean: bool, rebuild: bool, time_limit: float, as_json: bool) -> None:
    """Check every byte of STORE, a store folder or a merged file.

    Sizes and hashes are checked before HDF5 sees a file, and its structure in a process with a
    time limit. Exit status 4 means damage.
    """
    from featx.store import verify

    if as_json or not sys.stderr.isatty():
        report = verify(store, rebuild=rebuild, clean=clean, time_limit=time_limit)
    else:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TextColumn

        columns = (*Progress.get_default_columns(), TextColumn("shards"), MofNCompleteColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("verify", total=None)
            report = verify(
                store,
                rebuild=rebuild,
                clean=clean,
                time_limit=time_limit,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    if as_json:
        echo_json(report.to_json())
    else:
        _report(report)
    if not report.intact:
        click.get_current_context().exit(EXIT_DAMAGED)


def _report(report: VerifyReport) -> None:
    if report.damage:
        rows = [(printable(item.path), printable(item.problem)) for item in report.damage]
        echo_table(("damaged", "problem"), rows)
    for note in report.notes:
        click.echo(f"note: {printable(note)}")
    for verb, names in (("left over", report.leftovers), ("removed", report.removed)):
        for name in names:
            click.echo(f"{verb}: {printable(name)}")
    if report.leftovers:
        click.echo("Killed writers left these files; readers ignore them, --clean removes them.")
    state = f"{len(report.damage)} DAMAGED" if report.damage else "intact"
    click.echo(
        f"{state}: {report.tracks} tracks, {report.shards} shards, {report.bytes / 1e6:.1f} MB, "
        f"results: {report.ok} ok, {report.failed} failed, {report.skipped} skipped; "
        f"{report.seconds:.1f} s"
    )
