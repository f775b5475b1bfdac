"""``featx train``: train the weights of an extractor from a manifest."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.commands import (
    EXIT_FAILURES,
    EXIT_INTERRUPTED,
    complete_extractor,
    counted,
    echo_json,
    echo_table,
    json_option,
    no_plugin_option,
    parse_settings,
    session,
)

if TYPE_CHECKING:
    from types import FrameType

    from featx.training import TrainingSummary

_SHOWN_FAILURES = 20

_REASONS = {
    "limit": "all steps done",
    "schedule": "the schedule ended it",
    "done": "the fit is done",
    "time": "out of time; run again to resume",
    "interrupted": "interrupted; run again to resume",
}


@click.command("train")
@click.option(
    "-p",
    "--plugin",
    required=True,
    metavar="NAME",
    shell_complete=complete_extractor,
    help="Extractor whose weights are trained, such as 'samplecnn'.",
)
@click.option(
    "--method", metavar="NAME", help="Training method; by default the first of the extractor."
)
@click.option(
    "-m",
    "--manifest",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV or Parquet file with a column 'path' and labels.",
)
@click.option(
    "-o",
    "--output",
    "--out",
    "out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Folder of the checkpoint; created if it does not exist. A training in it resumes.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    metavar="STORE",
    help="Read spectrograms from this store instead of the audio files.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a parameter of the training, such as lr=1e-3, loss=NAME or loss.margin=0.2. May be "
    "repeated.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 or mps.")
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of torch; one per core if unset."
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Threads that read audio; as many as --threads if unset. They do not affect the weights.",
)
@click.option(
    "--max-minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Write a checkpoint after this time and stop; the same command resumes.",
)
@no_plugin_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    plugin: str,
    settings: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train the weights of an extractor from a manifest.

    The manifest is the one of 'featx run', with the labels that the method needs in the columns
    artist, album, tags and split. --set takes parameters of the method and of every training (lr,
    batch_size, steps and so on; 'featx info' lists them). The folder given with -o serves 'featx
    run --weights'. A training that was stopped or killed resumes from its last checkpoint.

    \b
    Exit codes: 0 all ok, 2 wrong usage, 3 some files could not be read or the training
    diverged, 130 interrupted (run again to resume).
    """  # noqa: D301  (click reads the backspace)
    from featx.training import train

    stop = threading.Event()
    with _stopping(stop):
        summary = train(
            extractor=plugin,
            params=parse_settings(settings, (plugin,))[plugin],
            stop=stop,
            disabled=session().disabled,
            **options,
        )
    if as_json:
        echo_json(summary.to_json())
    else:
        _show(summary)
    if summary.reason == "interrupted":
        context.exit(EXIT_INTERRUPTED)
    context.exit(EXIT_FAILURES if summary.failures else 0)


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM end the training after its step, the second at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


def _show(summary: TrainingSummary) -> None:
    if summary.failures:
        shown = summary.failures[:_SHOWN_FAILURES]
        rows = [(item.track_id, item.code, item.reason) for item in shown]
        echo_table(("track", "code", "reason"), rows, title="Files that could not be read")
        if len(shown) < len(summary.failures):
            click.echo(f"... {len(summary.failures)} in all, listed in failures.csv.")
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in summary.metrics.items())
    if metrics:
        best = summary.best_step
        click.echo(f"{f'best validation, after step {best}' if best > 0 else 'metrics'}: {metrics}")
    click.echo(
        f"{counted(summary.steps, 'step')}, {summary.epochs:.2f} epochs: {_REASONS[summary.reason]}"
    )
    if summary.weights:
        click.echo(f"{summary.sha256[:16]}  {summary.weights}")
