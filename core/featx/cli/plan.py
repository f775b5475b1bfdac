"""``featx plan``: what a run would do, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from featx.cli.run_options import parse_run_options, run_options
from featx.commands import echo_json, echo_table, printable

if TYPE_CHECKING:
    from featx.engine import Plan, PlanCounts, PlannedTrack
    from featx.engine.planning.survey import Survey

_COLUMNS = ("fresh", "new", "stale", "retry", "failed", "skipped")


@click.command("plan")
@run_options
@click.option("--list", "listing", is_flag=True, help="List every track that is not fresh.")
def command(as_json: bool, listing: bool, **options: Any) -> None:
    """Show what a run would do over INPUTS, without doing it.

    fresh: the store has it. new: never computed. stale: computed from other contents, parameters,
    weights or versions. failed: failed before, and stays so unless --failed is given.

    Takes the same options as featx run.
    """
    from featx.engine import PlanCounts, plan

    planned = plan(**parse_run_options(**options))
    counts = PlanCounts.of(planned.extractors)
    with planned.inputs:
        found = planned.survey(gone=True)
        for track in planned:
            counts.add(track, planned.extractors)
            if listing and not as_json:
                _list(planned, track)
    if as_json:
        echo_json(_as_json(planned, counts, found))
    else:
        _show(planned, counts, found)


def _list(planned: Plan, track: PlannedTrack) -> None:
    for unit in track.units:
        if unit.state != "fresh":
            name = planned.extractors[unit.job].name
            why = f": {unit.reason}" if unit.reason else ""
            click.echo(printable(f"{track.source.track_id}  {name}  {unit.state}{why}"))


def _as_json(planned: Plan, counts: PlanCounts, found: Survey) -> dict[str, Any]:
    return {
        "store": str(planned.store),
        "files": counts.tracks,
        "to_do": counts.to_do,
        "elsewhere": found.elsewhere,
        "gone": found.gone,
        "extractors": [
            {
                "name": job.name,
                "full_name": job.full_name,
                "recipe": job.recipe.id,
                "weights": job.recipe.weights,
                "features": list(job.features),
                "states": {state: counts.states[job.name][state] for state in _COLUMNS},
                "stale": dict(counts.stale[job.name]),
            }
            for job in planned.extractors
        ],
    }


def _show(planned: Plan, counts: PlanCounts, found: Survey) -> None:
    from featx.engine.planning.preparing import untrained_message

    rows = []
    for job in planned.extractors:
        states = counts.states[job.name]
        rows.append([job.name, ", ".join(job.features), *(str(states[name]) for name in _COLUMNS)])
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
    for job in planned.extractors:
        if text := untrained_message(job):
            click.echo(text)
    for note in found.notes():
        click.echo(printable(note))
    click.echo(f"{counts.to_do} of {counts.tracks} files to do")
