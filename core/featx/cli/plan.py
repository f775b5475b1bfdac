"""``featx plan``: what a run would do, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.cli.run_file import write_run_file
from featx.cli.run_options import parse_run_options, run_options
from featx.commands import echo_json, echo_table, printable

if TYPE_CHECKING:
    from featx.engine import Plan, PlanCounts, PlannedTrack
    from featx.engine.planning.survey import Survey

_COLUMNS = ("fresh", "reused", "new", "stale", "retry", "failed", "skipped")


@click.command("plan")
@run_options
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
    **options: Any,
) -> None:
    """Show what a run would do over INPUTS, without doing it.

    fresh: the store has it. reused: it has it of the same content under another id. new: never
    computed. stale: computed from other contents, parameters, weights or versions. failed: failed
    before, and stays so unless --failed is given.

    Takes the same options as featx run.
    """
    if write_config is not None:
        write_run_file(context, write_config)
        click.echo(f"Wrote {write_config}. Next: featx run -c {write_config}")
        return
    from featx.engine import PlanCounts, plan

    planned = plan(**parse_run_options(**options))
    counts = PlanCounts.of(planned.extractors)
    with planned.inputs:
        survey = planned.survey(gone=True)
        for track in planned:
            counts.add(track)
            if listing and not as_json:
                _list(planned, track)
    if as_json:
        echo_json(_as_json(planned, counts, survey))
    else:
        _show(planned, counts, survey)


def _list(planned: Plan, track: PlannedTrack) -> None:
    for unit in track.units:
        if unit.state != "fresh":
            name = planned.extractors[unit.extractor].name
            why = f": {unit.reason}" if unit.reason else ""
            click.echo(printable(f"{track.source.track_id}  {name}  {unit.state}{why}"))


def _as_json(planned: Plan, counts: PlanCounts, survey: Survey) -> dict[str, Any]:
    return {
        "store": str(planned.store),
        "files": counts.tracks,
        "to_do": counts.to_do,
        "elsewhere": survey.elsewhere,
        "gone": survey.gone,
        "left_out": survey.left_out,
        "notes": planned.notes(),
        "extractors": [
            {
                "name": extractor.name,
                "full_name": extractor.full_name,
                "recipe": extractor.recipe.id,
                "weights": extractor.recipe.weights,
                "features": list(extractor.features),
                "states": {state: counts.states[extractor.name][state] for state in _COLUMNS},
                "stale": dict(counts.stale[extractor.name]),
            }
            for extractor in planned.extractors
        ],
    }


def _show(planned: Plan, counts: PlanCounts, survey: Survey) -> None:
    from featx.engine.planning.preparing import untrained_message

    rows = [
        [
            extractor.name,
            ", ".join(extractor.features),
            *(str(counts.states[extractor.name][state]) for state in _COLUMNS),
        ]
        for extractor in planned.extractors
    ]
    shown = [
        index
        for index, name in enumerate(_COLUMNS, 2)
        if name in ("fresh", "new", "stale") or any(row[index] != "0" for row in rows)
    ]
    names = ("extractor", "features", *_COLUMNS)
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
    click.echo(counts.line)
