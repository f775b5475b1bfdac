"""``featx bench tasks``, ``run``, ``show`` and ``diff``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from featx.commands import (
    EXIT_FAILURES,
    counted,
    echo_json,
    echo_table,
    json_option,
    meter,
    parse_size,
)

_OUT = click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("benchmark"),
    show_default=True,
    help="Folder of the results: features, cells, costs, the page.",
)


@click.command("tasks")
@json_option
def tasks_command(as_json: bool) -> None:
    """List the tasks that are installed."""
    from featx_bench.harness.specs import load_tasks

    tasks, broken = load_tasks()
    if as_json:
        echo_json(
            {
                "tasks": [
                    {**vars(spec), "name": name, "options": dict(spec.options)}
                    for name, spec in tasks.items()
                ],
                "broken": broken,
            }
        )
        return
    echo_table(
        ("task", "metric", "needs", "what it measures"),
        [
            (
                name,
                spec.metric,
                f"bench prepare {spec.needs}" if spec.needs else spec.source or "nothing",
                spec.summary,
            )
            for name, spec in tasks.items()
        ],
    )
    for distribution, reason in broken.items():
        click.echo(f"{distribution} is BROKEN: {reason}", err=True)


@click.command("run")
@click.argument("names", metavar="[TASK]...", nargs=-1)
@click.option(
    "--all", "everything", is_flag=True, help="All tasks but those on sets that are not prepared."
)
@click.option(
    "--with",
    "competitors",
    multiple=True,
    metavar="EXTRACTOR[.FEATURE][:KEY=VALUE...]",
    help="A competitor; several joined by + are fused. By default every installed extractor.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Annotated recordings; by default FEATX_TEST_DATA.",
)
@click.option("-j", "--jobs", type=click.IntRange(1), help="Worker processes.")
@click.option(
    "--limit",
    type=float,
    default=15.0,
    show_default=True,
    help="Minutes per data set and extractor.",
)
@click.option("--timeout", type=float, default=300.0, show_default=True, help="Seconds per track.")
@click.option(
    "--memory", type=parse_size, default="4G", show_default=True, help="Of every process."
)
@click.option("--again", is_flag=True, help="Measure costs and failed cells again.")
@_OUT
@json_option
def run_command(
    names: tuple[str, ...],
    everything: bool,
    competitors: tuple[str, ...],
    data: Path | None,
    jobs: int | None,
    limit: float,
    timeout: float,
    memory: int,
    again: bool,
    folder: Path,
    as_json: bool,
) -> None:
    """Measure extractors on tasks and write a table and a page.

    What was measured before with the same data, parameters and weights is kept: run the command
    again to resume. Tasks and competitors of the table in FOLDER stay in it unless --all is given
    without --with. The exit code is 3 if every cell was skipped, for example because data is
    missing.
    """
    from featx.registry import load_registry
    from featx_bench.harness.competitors import default_competitors, parse_competitor
    from featx_bench.harness.page import write_page
    from featx_bench.harness.running import Limits, run_table
    from featx_bench.harness.specs import choose_tasks, load_tasks
    from featx_bench.harness.tables import read_table
    from featx_bench.sets import prepared_manifest

    if not names and not everything:
        raise click.UsageError("name tasks (see 'featx bench tasks'), or give --all.")
    tasks, broken = load_tasks()
    for distribution, reason in broken.items():
        click.echo(f"{distribution} is BROKEN: {reason}", err=True)
    if everything:
        names = tuple(
            name
            for name, spec in tasks.items()
            if not spec.needs or prepared_manifest(spec.needs, folder / "data").is_file()
        )
    registry = load_registry()
    texts = [  # values of parameters may hold commas
        name for text in competitors for name in ([text] if "=" in text else text.split(","))
    ]
    chosen = choose_tasks(tasks, names)
    entries = [parse_competitor(text) for text in dict.fromkeys(texts)]
    for member in (member for entry in entries for member in entry.members):
        member.check_installed(registry)
    entries = entries or default_competitors(registry)
    environment = os.environ.get("FEATX_TEST_DATA", "")
    with meter("cells") as shown:
        results = run_table(
            chosen,
            entries,
            folder,
            data=data or (Path(environment) if environment else None),
            limits=Limits(cell=60.0 * limit, track=timeout, memory=memory),
            jobs=jobs,
            registry=registry,
            again=again,
            add=bool(competitors) or not everything,
            progress=shown,
        )
    table = read_table(results)
    page = write_page(table, folder / "index.html")
    table.write(folder)
    if as_json:
        echo_json(table.to_json())
    else:
        click.echo(table.to_text())
        click.echo(f"{counted(len(table.cells), 'cell')}: {page}")
    competing = {entry.text for entry in entries}
    cells = [
        cell
        for cell in table.cells.values()
        if cell.task in chosen and cell.competitor in competing
    ]
    if all(cell.status == "skipped" for cell in cells):
        reasons = dict.fromkeys(cell.reason for cell in cells)
        click.echo("\n  ".join(["nothing was measured:", *reasons]), err=True)
        click.get_current_context().exit(EXIT_FAILURES)


@click.command("prepare")
@click.argument("name", metavar="[SET]", required=False)
@click.argument(
    "place",
    metavar="[FOLDER]",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--partial", is_flag=True, help="Use what is there if files are missing.")
@_OUT
@json_option
def prepare_command(
    name: str | None, place: Path | None, partial: bool, folder: Path, as_json: bool
) -> None:
    """Prepare a public set that you have in FOLDER for the tasks that need it.

    Without arguments the sets are listed. Audio stays where it is. Files that are missing are
    named.
    """
    from featx_bench.harness.specs import load_tasks
    from featx_bench.sets import SETS, prepare_set

    if name is None:
        echo_table(("set", "what it is"), [(key, item.summary) for key, item in SETS.items()])
        return
    if place is None:
        needs = f" Its folder holds {SETS[name].needs}." if name in SETS else ""
        raise click.UsageError(f"name the folder of {name}.{needs}")
    manifest, tracks = prepare_set(name, place, folder / "data", partial=partial)
    tasks = [key for key, spec in load_tasks()[0].items() if spec.needs == name]
    if as_json:
        echo_json({"manifest": str(manifest), "tracks": tracks, "tasks": tasks})
        return
    click.echo(f"{counted(tracks, 'track')}: {manifest}")
    if tasks:
        click.echo(f"Run: featx bench run {' '.join(tasks)} -o {folder}")


@click.command("show")
@click.argument("names", metavar="[TASK]...", nargs=-1)
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write the table into a Markdown file, between its two marks 'featx bench'.",
)
@_OUT
@json_option
def show_command(names: tuple[str, ...], into: Path | None, folder: Path, as_json: bool) -> None:
    """Show results that 'featx bench run' has stored, and write the page again."""
    from featx_bench.harness.cells import Results
    from featx_bench.harness.page import write_page
    from featx_bench.harness.tables import read_table, write_into

    table = read_table(Results(folder)).only(names)
    if into is not None:
        write_into(into, table)
    if as_json:
        echo_json(table.to_json())
        return
    click.echo(table.to_text())
    if not names:
        click.echo(write_page(table, folder / "index.html"))


@click.command("diff")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.argument("first", metavar="FEATURE")
@click.argument("second", metavar="FEATURE")
@click.option("-k", "k", type=click.IntRange(1), default=10, show_default=True, help="Neighbours.")
@click.option("-n", "--number", type=click.IntRange(1), default=10, show_default=True)
@json_option
def diff_command(store: Path, first: str, second: str, k: int, number: int, as_json: bool) -> None:
    """Compare two clip features of STORE: common neighbours, CKA, tracks that moved most.

    A FEATURE is EXTRACTOR[.FEATURE]; EXTRACTOR@RECIPE tells two versions, parameters or weights of
    one extractor apart (see featx ls).
    """
    import numpy as np

    from featx import open_store
    from featx.index import Gallery
    from featx_bench.harness.differences import compare_features

    with open_store(store) as opened:
        views = []
        for text in (first, second):
            extractor, _, feature = text.partition(".")
            gallery = Gallery(opened, extractor, feature or None)
            views.append((gallery.view.ids, np.asarray(gallery.vectors)))
    places = [{track: row for row, track in enumerate(ids)} for ids, _ in views]
    shared = tuple(track for track in places[0] if track in places[1])
    a, b = (
        values[[rows[track] for track in shared]]
        for (_, values), rows in zip(views, places, strict=True)
    )
    found = compare_features(shared, a, b, k=min(k, max(1, len(shared) - 2)))
    if as_json:
        echo_json({"tracks": len(shared), **found.to_json()})
        return
    value, low, high = found.overlap
    click.echo(f"{counted(len(shared), 'track')} with both features")
    click.echo(
        f"common neighbours among {found.k}: {value:.3f} ({low:.3f}-{high:.3f}), "
        f"chance {found.chance:.3f}"
    )
    click.echo(f"linear CKA: {found.cka:.3f}")
    echo_table(
        ("track", "neighbours kept"),
        [(track, f"{share:.2f}") for track, share in found.moved[:number]],
    )
