"""``featx run``: extract features into a store."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from featx.cli.run_options import (
    jobs_option,
    limit_options,
    parse_limits,
    parse_run_options,
    run_options,
)
from featx.commands import (
    EXIT_FAILURES,
    EXIT_INTERRUPTED,
    counted,
    echo_json_line,
    echo_table,
    parse_size,
)

if TYPE_CHECKING:
    from types import FrameType

    from featx.engine import RunSummary

_SHOWN_FAILURES = 20


@click.command("run")
@run_options
@jobs_option
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=1800.0,
    show_default=True,
    metavar="SECONDS",
    help="Limit for decoding one track, and for each extractor on it.",
)
@click.option(
    "--memory",
    type=parse_size,
    metavar="SIZE",
    help="Limit per worker, such as 2G, 0 for none; default: 80 % of RAM divided by the workers.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Compute on the workers of the Dask cluster with this scheduler: tcp://host:8786.",
)
@click.option(
    "--new-ids",
    is_flag=True,
    help="Allow new ids for files that STORE has under other ids.",
)
@click.option(
    "--isolate",
    is_flag=True,
    help="Run each distribution in a process of its own; files are decoded once for each.",
)
@limit_options
@click.pass_context
def command(
    context: click.Context,
    /,
    as_json: bool,
    jobs: int | None,
    timeout: float,
    memory: int | None,
    new_ids: bool,
    isolate: bool,
    scheduler: str | None,
    **options: Any,
) -> None:
    """Extract features from INPUTS into a store.

    INPUTS are files, folders, globs, manifests (CSV or Parquet with a column 'path'), playlists,
    URLs (s3://bucket/folder, https://host/file.ogg), or - for a list of files on stdin. Every file
    is decoded once, however many extractors there are. Results already computed are not computed
    again, so an interrupted run resumes where it stopped. --json writes one event per line, the
    last one with all counts.

    \b
    Exit codes: 0 all ok, 2 wrong usage, 3 some files failed, 4 the store cannot be used,
    130 interrupted, the scheduler was lost, or remote files could not be fetched (run again to
    resume).
    """  # noqa: D301  (click reads the backspace)
    from featx.engine import EventProgress, OtherIdsError, choose_progress, run

    limits = parse_limits(
        **{name: options.pop(name) for name in ("max_hours", "max_size", "max_channels")}
    )
    elsewhere = _hand_over(context, options)
    if elsewhere is not None and not options["plugins"]:
        context.exit(elsewhere)
    arguments = parse_run_options(**options)
    signal.signal(signal.SIGTERM, _interrupt)
    arguments |= {"jobs": jobs, "timeout": timeout, "memory": memory, "limits": limits}
    arguments["isolate"] = isolate
    events = EventProgress(echo_json_line) if as_json else None
    progress = events or choose_progress()
    with contextlib.ExitStack() as stack:
        if scheduler is not None:
            from featx.engine.work.cluster import connect

            arguments["cluster"] = stack.enter_context(connect(scheduler))
        try:
            summary = run(**arguments, new_ids=new_ids, progress=progress)
        except OtherIdsError as error:
            terminal = sys.stdin.isatty() and sys.stderr.isatty()
            if as_json or "-" in arguments["inputs"] or not terminal:
                raise
            if not click.confirm(f"{error}\nGive them second ids?", err=True):
                raise
            summary = run(**arguments, new_ids=True, progress=progress)
        except KeyboardInterrupt:
            if events is not None:
                events.interrupted()
            raise
    if as_json:
        echo_json_line({"event": "finished", **summary.to_json()})
        click.echo(summary.line, err=True)
    else:
        _show(summary)
        click.echo(summary.line)
    if summary.unreachable:
        context.exit(EXIT_INTERRUPTED)
    context.exit(EXIT_FAILURES if summary.failed else elsewhere or 0)


def _hand_over(context: click.Context, options: dict[str, Any]) -> int | None:
    """Run the extractors of other environments there, and take them out of ``options``.

    Returns their exit code, None if there are none.
    """
    from featx.environments import environments_folder

    if not environments_folder().is_dir():
        return None
    from featx.cli.elsewhere import run_elsewhere

    return run_elsewhere(context, options)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Treat SIGTERM, which batch systems send, like Ctrl-C."""
    del number, frame
    raise KeyboardInterrupt


def _show(summary: RunSummary) -> None:
    words = {
        "ok": "computed",
        "fresh": "already computed",
        "reused": "known by other ids",
        "copied": "copied from an equal file",
        "failed": "failed",
        "known": "failed before",
        "skipped": "too short",
    }
    for name, counts in summary.units.items():
        parts = [f"{counts[key]} {word}" for key, word in words.items() if counts[key]]
        click.echo(f"{name}: {', '.join(parts) or 'nothing to do'}")
    if summary.computed:
        speed = summary.audio / summary.seconds if summary.seconds else 0.0
        rate = f" ({speed:.0f} x real time)" if speed else ""
        click.echo(f"{summary.audio / 60:.1f} min of audio in {summary.seconds:.1f} s{rate}")
    if summary.noted:
        noted = ", ".join(f"{count} {code}" for code, count in summary.noted.most_common())
        click.echo(f"Notes of decoding: {noted}. featx ls explains them, featx show lists them.")
    for reason, count in summary.unreachable.most_common():
        click.echo(f"{counted(count, 'file')} could not be fetched: {reason}. Run again for them.")
    if summary.failures:
        rows = summary.failure_rows()
        shown = rows[:_SHOWN_FAILURES]
        echo_table(("track", "extractor", "code", "reason"), shown, title="Failures")
        if len(shown) < len(rows) or len({row[0] for row in shown}) < summary.failed:
            codes = summary.failed_files.most_common()
            click.echo(
                f"... {summary.failed} files have failed: "
                f"{', '.join(f'{count} {code}' for code, count in codes)}. featx ls counts them, "
                "featx show lists the reasons."
            )
        sys.stdout.flush()
