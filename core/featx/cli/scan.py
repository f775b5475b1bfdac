"""``featx scan``: what is wrong with a collection, before anything is extracted from it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from featx.cli.run_options import downmix_option, input_options, limit_options, parse_limits
from featx.commands import EXIT_FAILURES, EXIT_INTERRUPTED, echo_json, echo_table, json_option

if TYPE_CHECKING:
    from featx.engine.scan import ScanReport


@click.command("scan")
@input_options
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Processes; one per core if unset.")
@click.option("--same-audio", is_flag=True, help="Also find different files with equal samples.")
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="Number of files listed for each finding; 0 lists all.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Limit for one file.",
)
@downmix_option
@limit_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    exclude: tuple[str, ...],
    null: bool,
    jobs: int | None,
    same_audio: bool,
    show: int,
    timeout: float,
    downmix: str,
    as_json: bool,
    **limits: Any,
) -> None:
    """Check the health of INPUTS before extraction.

    INPUTS are files, folders, globs, manifests (CSV or Parquet with a column 'path'), playlists,
    URLs, or - for a list of files on stdin.

    Every file is decoded once in a child process. What would fail in a run is listed by its
    failure code (truncated, lying-header, not-finite, ...), what is only odd as a warning
    (silent, clipped, duplicates, wrong suffix, ...). Exit code 3 when a file would fail,
    130 when remote files could not be fetched.
    """
    from featx.engine.scan import scan

    with _progress() as on_file:
        report = scan(
            inputs,
            jobs=jobs,
            limits=parse_limits(**limits),
            timeout=timeout,
            same_audio=same_audio,
            downmix=downmix,
            exclude=exclude,
            null=null,
            on_file=on_file,
        )
    with report:
        if as_json:
            echo_json(_as_json(report))
        else:
            _show(report, show or None)
        if report.n_unreachable:
            context.exit(EXIT_INTERRUPTED)
        context.exit(EXIT_FAILURES if report.n_failing else 0)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[ScanReport], None] | None]:
    """Show counts on a terminal while the scan runs; nothing into pipes and files."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("scanning") as status:
        yield lambda report: status.update(
            f"{report.n_files} files, {report.n_failing} would fail, {report.n_warned} odd"
        )


def _as_json(report: ScanReport) -> dict[str, Any]:
    from featx.engine.scan import FINDING_CODES
    from featx.errors import FAILURE_CODES

    return {
        "files": report.n_files,
        "ok": report.n_ok,
        "failing": report.n_failing,
        "unreachable": report.n_unreachable,
        "warned": report.n_warned,
        "seconds": round(report.seconds, 3),
        "left_out": report.left_out,
        "findings": {
            code: {
                "fails": code in FAILURE_CODES,
                "meaning": FINDING_CODES[code],
                "count": count,
                "files": [
                    {"path": item.track, "text": item.text} for item in report.findings(code)
                ],
            }
            for code, count in report.counts().items()
        },
    }


def _show(report: ScanReport, limit: int | None) -> None:
    from featx.engine.planning.inputs import left_out_note
    from featx.engine.scan import FINDING_CODES
    from featx.errors import FAILURE_CODES

    counts = report.counts()
    for code, count in counts.items():
        effect = "fails" if code in FAILURE_CODES else "warning"
        click.echo(f"{code} ({effect}): {FINDING_CODES[code]}")
        rows = [(item.track, item.text) for item in report.findings(code, limit=limit)]
        echo_table(("file", "detail"), rows)
        if count > len(rows):
            click.echo(f"... and {count - len(rows)} more; --show 0 lists all")
        click.echo()
    if counts:
        columns = ("finding", "effect", "files", "meaning")
        echo_table(columns, [_summary(code, count) for code, count in counts.items()])
    if report.left_out:
        click.echo(left_out_note(report.left_out))
    click.echo(
        f"{report.n_files} files, {report.seconds / 3600:.2f} h of audio: {report.n_ok} ok "
        f"({report.n_warned} with warnings), {report.n_failing} would fail"
        f"{f', {report.n_unreachable} unreachable' if report.n_unreachable else ''}"
    )


def _summary(code: str, count: int) -> tuple[str, str, str, str]:
    from featx.engine.scan import FINDING_CODES
    from featx.errors import FAILURE_CODES

    effect = "fails" if code in FAILURE_CODES else "warning"
    return code, effect, str(count), FINDING_CODES[code]
