"""``featx verify``: whether every byte of a store is what was committed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from featx.commands import (
    EXIT_DAMAGED,
    EXIT_FAILURES,
    counted,
    echo_json,
    echo_table,
    json_option,
    printable,
    progress,
)

if TYPE_CHECKING:
    from featx.engine.recomputing import RecomputeReport
    from featx.store import VerifyReport


@click.command("verify")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--clean",
    is_flag=True,
    help="Remove temporary files, and shards that do not belong to the store.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Move damaged shards to STORE/damaged; the next run computes their results again. "
    "Deletes nothing.",
)
@click.option(
    "--rebuild/--no-rebuild",
    default=True,
    show_default=True,
    help="Rebuild the catalogue of the store (a cache) from its ledgers.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Limit in seconds for checking the structure of one file.",
)
@click.option(
    "--recompute",
    type=click.IntRange(min=1),
    metavar="K",
    help="Also extract K stored tracks again, and compare within the tolerance of each extractor.",
)
@json_option
def command(
    store: Path,
    clean: bool,
    repair: bool,
    rebuild: bool,
    time_limit: float,
    recompute: int | None,
    as_json: bool,
) -> None:
    """Check every byte of STORE, a store folder or a merged file.

    Sizes and hashes are checked before HDF5 opens a file; its structure is checked in a process
    with a time limit. The exit code is 4 if damage remains, and 3 if --recompute gave other
    numbers.
    """
    from featx.store import open_store, verify

    with progress("shards") as advance:
        report = verify(
            store,
            rebuild=rebuild,
            clean=clean,
            repair=repair,
            time_limit=time_limit,
            progress=advance,
        )
    again = None
    if recompute is not None and report.intact:
        from featx.engine.recomputing import recompute as extract_again

        again = extract_again(store, recompute)
    digest = open_store(store).digest() if report.intact else None
    if as_json:
        echo_json(
            report.to_json()
            | {"digest": digest}
            | ({"recomputed": again.to_json()} if again else {})
        )
    else:
        _report(report)
        if digest is not None:
            click.echo(f"digest: {digest}")
        if again is not None:
            _report_recomputed(again)
    if not report.intact:
        click.get_current_context().exit(EXIT_DAMAGED)
    if again is not None and again.differing:
        click.get_current_context().exit(EXIT_FAILURES)


def _report_recomputed(report: RecomputeReport) -> None:
    if report.differing:
        echo_table(("track", "extractor", "difference"), report.differing)
    for name, reason in report.not_compared.items():
        click.echo(printable(f"{name} was not compared: {reason}"))
    click.echo(
        f"recomputed {counted(len(report.tracks), 'track')}: {report.compared} results compared, "
        f"{len(report.differing)} differ"
    )


def _report(report: VerifyReport) -> None:
    for title, items in (("damaged", report.damage), ("repaired", report.repaired)):
        if items:
            rows = [(printable(item.path), printable(item.problem)) for item in items]
            echo_table((title, "problem"), rows)
    for note in report.notes:
        click.echo(f"note: {printable(note)}")
    for verb, names in (("left over", report.leftovers), ("removed", report.removed)):
        for name in names:
            click.echo(f"{verb}: {printable(name)}")
    if report.leftovers:
        click.echo("Killed writers left these files; readers ignore them, --clean removes them.")
    if report.damage and report.shards is None:
        click.echo("A merged file cannot be repaired: merge it again from its store.")
    elif report.damage and not any(item.path.startswith("ledger") for item in report.damage):
        click.echo("--repair moves damaged shards aside; the next featx run computes them again.")
    if report.lost:
        click.echo(
            f"{counted(report.lost, 'result')} lost with damaged shards; featx run with the same "
            "arguments computes them again."
        )
    state = f"{len(report.damage)} DAMAGED" if report.damage else "intact"
    held = "" if report.shards is None else f"{counted(report.shards, 'shard')}, "
    click.echo(
        f"{state}: {counted(report.tracks, 'track')}, {held}{report.bytes / 1e6:.1f} MB, "
        f"results: {report.ok} ok, {report.failed} failed, {report.skipped} skipped; "
        f"{report.seconds:.1f} s"
    )
