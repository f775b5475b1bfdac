"""``featx new``: write a complete plugin distribution that passes ``featx check`` as it is."""

from __future__ import annotations

from pathlib import Path

import click

from featx.commands import no_plugin_option, registry
from featx.errors import ParameterError, listed


@click.command("new")
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder in which the package folder is created; by default the current folder.",
)
@click.option(
    "--kind",
    type=click.Choice(["extractor", "loss", "index", "network", "command", "task"]),
    default="extractor",
    show_default=True,
    help="Content of the plugin; a network is an extractor that runs a PyTorch module.",
)
@click.option("--author", default="", metavar="NAME", help="Author in pyproject.toml and LICENSE.")
@click.option("--force", is_flag=True, help="Allow the name of an installed extractor.")
@no_plugin_option
def command(name: str, folder: Path, kind: str, author: str, force: bool) -> None:
    """Write a new plugin with an extractor (or a loss, ...) NAME.

    'featx new my-extractor' makes the folder featx-my-extractor with the package
    featx_my_extractor. Its extractor computes the loudness of frames and passes 'featx check
    my-extractor'; change it step by step. The pages docs/plugin-authoring.md, docs/losses.md,
    docs/indexes.md, docs/networks.md, docs/hooks.md and docs/benchmarks.md explain the kinds.
    """
    from featx.testing.template_writer import trial, write_plugin

    if not force:
        _refuse_taken(name.removeprefix("featx-"))
    made = write_plugin(name, folder=folder, author=author, kind=kind)
    short = made.name.removeprefix("featx-")
    click.echo(f"Wrote {made}. Next:")
    click.echo(f"  pip install -e {made}")
    click.echo(f"  featx {trial(kind, short)}")
    if kind == "extractor":
        click.echo(f"  featx run --plugin {short} MUSIC -o OUT")


def _refuse_taken(name: str) -> None:
    """Raise `ParameterError` if an installed extractor or distribution has this name.

    With two extractors of one name neither could be asked for by it.
    """
    if any(item.distribution == f"featx-{name}" for item in registry().plugins):
        raise ParameterError(
            f"name must not be that of an installed distribution, got {name!r}, which makes "
            f"featx-{name}. Choose another name, or use --force to keep it."
        )
    taken = [full for full in registry().extractors if full.rpartition(":")[2] == name]
    if taken:
        raise ParameterError(
            f"name must not be that of an installed extractor, got {name!r}, which is "
            f"{listed(taken)}: with both installed, only the full names would work. Choose "
            f"another name, or use --force to keep it."
        )
