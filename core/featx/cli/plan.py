"""``featx plan``: what a run would do, and why."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.cli.array import PartTable, write_array
from featx.cli.run_file import write_run_file
from featx.cli.run_options import jobs_option, parse_run_options, run_options
from featx.commands import counted, duration_text, echo_json, echo_table, printable, size_text

if TYPE_CHECKING:
    from featx.engine import Plan, PlanCounts, PlannedTrack
    from featx.engine.planning.estimating import Estimate, Rates
    from featx.engine.planning.survey import Survey

_COLUMNS = ("fresh", "reused", "new", "stale", "retry", "failed", "skipped")


@click.command("plan")
@run_options
@jobs_option
@click.option(
    "--sample",
    type=click.IntRange(min=2),
    metavar="N",
    help="First extract N files into a temporary store, to estimate what never ran here.",
)
@click.option(
    "--parts",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cut the run into N parts for featx run --part, and show how large they are.",
)
@click.option(
    "--array",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write the parts that have work as a SLURM array and a Kubernetes Job.",
)
@click.option("--list", "listing", is_flag=True, help="List every track that is not fresh.")
@click.option(
    "--write-config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write inputs and options as a run file for -c, and plan nothing.",
)
@click.pass_context
def command(
    context: click.Context,
    /,
    as_json: bool,
    listing: bool,
    write_config: Path | None,
    jobs: int | None,
    sample: int | None,
    parts: int | None,
    array: Path | None,
    **options: Any,
) -> None:
    """Show what a run would do over INPUTS, without doing it.

    fresh: the store has it. reused: it has it of the same content under another id. new: never
    computed. stale: computed from other contents, parameters, weights or versions. failed: failed
    before, and stays so unless --failed is given.

    Time and size are estimated from what earlier runs into the store took.

    Takes the same options as featx run.
    """
    if write_config is not None:
        write_run_file(context, write_config)
        click.echo(f"Wrote {write_config}. Next: featx run -c {write_config}")
        return
    if array is not None and (parts is None or as_json):
        raise click.UsageError("--array requires --parts N, and no --json.")
    if parts is not None and options["part"] is not None:
        raise click.UsageError("--parts cuts all tracks into parts: leave out --part.")
    from featx.engine import PlanCounts, plan
    from featx.engine.planning.estimating import WorkCount
    from featx.engine.running import worker_count

    arguments = parse_run_options(**options)
    workers = worker_count(jobs, arguments["device"])
    planned = plan(**arguments)
    counts = PlanCounts.of(planned.extractors)
    with planned.inputs:
        survey = planned.survey(gone=True)
        rates = _sampled(planned, sample, jobs, arguments) if sample else planned.rates()
        work = WorkCount(planned.extractors, rates)
        table = PartTable(parts, rates) if parts is not None else None
        for track in planned:
            counts.add(track)
            work.add(track)
            if table is not None:
                table.add(track)
            if listing and not as_json:
                _list(planned, track)
    estimate = work.estimate(workers)
    if as_json:
        by_part = {} if table is None else {"parts": table.rows(estimate)}
        echo_json(_as_json(planned, counts, survey, estimate) | by_part)
        return
    _show(planned, counts, survey, estimate)
    if table is not None:
        click.echo(table.line(estimate))
        if array is not None:
            write_array(context, array, table.rows(estimate), jobs or 1)


def _sampled(planned: Plan, tracks: int, jobs: int | None, arguments: dict[str, Any]) -> Rates:
    from featx.engine.running import measure

    with tempfile.TemporaryDirectory(prefix="featx-sample-") as folder:
        store = Path(folder) / "store"
        measure(planned, store, tracks=tracks, jobs=jobs, **arguments)
        return planned.rates(store)


def _list(planned: Plan, track: PlannedTrack) -> None:
    for unit in track.units:
        if unit.state != "fresh":
            name = planned.extractors[unit.extractor].name
            why = f": {unit.reason}" if unit.reason else ""
            click.echo(printable(f"{track.source.track_id}  {name}  {unit.state}{why}"))


def _as_json(
    planned: Plan, counts: PlanCounts, survey: Survey, estimate: Estimate
) -> dict[str, Any]:
    return {
        "store": str(planned.store),
        "files": counts.tracks,
        "to_do": counts.to_do,
        "elsewhere": survey.elsewhere,
        "gone": survey.gone,
        "left_out": survey.left_out,
        "notes": planned.notes(),
        "estimate": {
            "workers": estimate.workers,
            "audio": estimate.audio,
            "decoding": estimate.decoding,
            "seconds": estimate.seconds,
            "bytes": estimate.bytes,
        },
        "extractors": [
            {
                "name": extractor.name,
                "full_name": extractor.full_name,
                "recipe": extractor.recipe.id,
                "weights": extractor.recipe.weights,
                "features": list(extractor.features),
                "states": {state: counts.states[extractor.name][state] for state in _COLUMNS},
                "stale": dict(counts.stale[extractor.name]),
                "estimate": vars(estimate.extractors[extractor.name]),
            }
            for extractor in planned.extractors
        ],
    }


def _show(planned: Plan, counts: PlanCounts, survey: Survey, estimate: Estimate) -> None:
    from featx.engine.planning.preparing import untrained_message

    rows = [
        [
            extractor.name,
            ", ".join(extractor.features),
            *(str(counts.states[extractor.name][state]) for state in _COLUMNS),
            *_cost_cells(estimate, extractor.name),
        ]
        for extractor in planned.extractors
    ]
    always = ("fresh", "new", "stale", *(("time", "size") if counts.to_do else ()))
    names = ("extractor", "features", *_COLUMNS, "time", "size")
    shown = [
        index
        for index, name in enumerate(names)
        if index > 1
        and (name in always or (name in _COLUMNS and any(r[index] != "0" for r in rows)))
    ]
    echo_table(
        [names[i] for i in (0, 1, *shown)], [[row[i] for i in (0, 1, *shown)] for row in rows]
    )
    for name, reasons in counts.stale.items():
        for reason, count in reasons.most_common():
            click.echo(f"{name}: {count} stale ({reason})")
    for extractor in planned.extractors:
        if text := untrained_message(extractor):
            click.echo(text)
    for note in (*planned.notes(), *survey.notes()):
        click.echo(printable(note))
    if counts.to_do:
        click.echo(_cost_line(estimate))
    click.echo(counts.line)


def _cost_cells(estimate: Estimate, name: str) -> tuple[str, str]:
    own = estimate.extractors[name]
    seconds = None if own.seconds is None else own.seconds / estimate.workers
    return duration_text(seconds), size_text(own.bytes)


def _cost_line(estimate: Estimate) -> str:
    workers = counted(estimate.workers, "worker")
    if estimate.seconds is None:
        names = ", ".join(estimate.unknown) or "decoding"
        return (
            f"Estimated: unknown, because no earlier run into this store has timed {names}. "
            "Add --sample 4 to time a few files first."
        )
    decoding = None if estimate.decoding is None else estimate.decoding / estimate.workers
    audio = duration_text(estimate.audio)
    return (
        f"Estimated: {duration_text(estimate.seconds)} with {workers} ({duration_text(decoding)} "
        f"of it to decode {audio} of audio), {size_text(estimate.bytes)} to store."
    )
