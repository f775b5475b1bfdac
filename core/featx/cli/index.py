"""``featx index``: indexes of a store for quick search."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featx.commands import (
    complete_feature,
    counted,
    echo_json,
    echo_table,
    json_option,
    no_plugin_option,
    parse_mapping,
    printable,
    registry,
    session,
)

if TYPE_CHECKING:
    from featx.index import IndexDescription


@click.group("index")
def command() -> None:
    """Build indexes for fast search, and list them.

    The default search is exact and needs no index. For millions of tracks, plugins provide
    approximate indexes, which compare a query with only some of the tracks.
    """


@command.command("build")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--features",
    "feature",
    metavar="NAME",
    shell_complete=complete_feature,
    help="Clip feature, such as 'mfcc.summary'; by default 'embedding' or the only one.",
)
@click.option(
    "--index",
    "name",
    metavar="NAME",
    default="exact",
    show_default=True,
    help="Installed index, short or full name; 'featx index list' lists them.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Set a parameter of the index. May be repeated.",
)
@click.option(
    "--zscore", is_flag=True, help="Scale every dimension to mean 0 and standard deviation 1 first."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder to write; a saved index there is replaced.  "
    "[default: STORE/indexes/FEATURE-INDEX, with --zscore FEATURE-zscore-INDEX]",
)
@no_plugin_option
@json_option
def build(
    store: Path,
    feature: str | None,
    name: str,
    settings: tuple[str, ...],
    zscore: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Build an index of a clip feature of STORE, measure it, and save it.

    Prints which share of the 10 nearest tracks, as found by exact search, the index finds.
    'featx search STORE QUERY --index FOLDER' uses the saved index.
    """
    from featx.index import Gallery
    from featx.index.saved import FOLDER
    from featx.store import open_store

    started = time.monotonic()
    with open_store(store) as opened:
        gallery = Gallery(
            opened,
            feature=feature,
            zscore=zscore,
            index=name,
            index_params=parse_mapping("--set", settings),
            disabled=session().disabled,
        )
        folder = gallery.folder if output is None else output
        description = gallery.save(folder)
    seconds = time.monotonic() - started
    if as_json:
        echo_json({"folder": str(folder), "seconds": seconds, **description.to_json()})
        return
    click.echo(
        f"{printable(str(folder))}: {description.index} of {printable(description.name)}, "
        f"{counted(description.tracks, 'track')}, {description.dim} dimensions, "
        f"{_recall(description)}; {seconds:.1f} s"
    )
    if folder.resolve().parent != (store / FOLDER).resolve():
        click.echo(
            f"It lies outside of {printable(str(store / FOLDER))}: featx index list does not list "
            f"it, and a search needs --index {printable(str(folder))}.",
            err=True,
        )


@command.command("list")
@click.argument("store", required=False, type=click.Path(exists=True, path_type=Path))
@no_plugin_option
@json_option
def list_(store: Path | None, as_json: bool) -> None:
    """List installed indexes; with STORE those that are saved in it.

    'featx search' refuses saved indexes that are not current: outdated (the values in the store
    have changed), other version (of the installed plugin), or not installed.
    """
    if store is not None:
        _list_saved(store, as_json)
        return
    from featx.index import EXACT

    specs = {"featx:exact": EXACT}
    specs.update({name: item.spec for name, item in registry().indexes.items()})
    if as_json:
        echo_json(
            [
                {
                    "index": name,
                    "version": spec.version,
                    "exact": spec.exact,
                    "summary": spec.summary,
                }
                for name, spec in specs.items()
            ]
        )
        return
    rows = [
        (name, spec.version, "yes" if spec.exact else "no", spec.summary)
        for name, spec in specs.items()
    ]
    echo_table(("index", "version", "exact", "summary"), rows)


def _list_saved(store: Path, as_json: bool) -> None:
    from featx.index import saved_indexes
    from featx.store import open_store

    with open_store(store) as opened:
        indexes = saved_indexes(opened, disabled=session().disabled)
    if as_json:
        echo_json(
            [{"folder": str(folder), "state": state, **(about.to_json() if about else {})}
             for folder, (about, state) in indexes.items()]
        )  # fmt: skip
        return
    rows = [
        (
            str(folder.relative_to(opened.path)),
            about.index,
            ", ".join(f"{key}={value}" for key, value in about.params.items()) or "-",
            about.name,
            "yes" if about.zscore else "no",
            str(about.tracks),
            _recall(about),
            state,
        )
        if about
        else (str(folder.relative_to(opened.path)), *[""] * 6, state)
        for folder, (about, state) in indexes.items()
    ]
    columns = ("folder", "index", "params", "feature", "zscore", "tracks", "recall", "state")
    echo_table(columns, rows)


def _recall(description: IndexDescription) -> str:
    shares = [
        f"{'' if name == 'vectors' else f'{name} '}recall@10 "
        + ("not measured" if share is None else f"{share:.3f}")
        for name, share in description.recall.items()
    ]
    return ", ".join(shares)
