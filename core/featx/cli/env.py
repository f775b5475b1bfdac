"""``featx env``: environments of their own for plugins that conflict with others."""

from __future__ import annotations

import click

from featx.commands import echo_json, echo_table, json_option


@click.group("env")
def command() -> None:
    """Install plugins with conflicting requirements side by side.

    An environment has a Python of its own with featx and one or more plugins. 'featx run' uses the
    extractors of all environments, in one command and into one store.
    """


@command.command("create", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@click.option(
    "--pip",
    "options",
    multiple=True,
    metavar="OPTION",
    help="Further argument for pip install, such as --pip=--no-index. May be repeated.",
)
def create(name: str, packages: tuple[str, ...], options: tuple[str, ...]) -> None:
    """Create the environment NAME and install featx and every PACKAGE into it.

    A PACKAGE is whatever pip install takes: a name, a folder, a wheel.
    """
    from featx.environments import create_environment

    made = create_environment(name, packages, options=options)
    click.echo(f"{made.name}: {', '.join(made.extractors)}")


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the environments and their extractors."""
    from featx.environments import list_environments

    found = list_environments()
    if as_json:
        echo_json(
            [
                {
                    "name": item.name,
                    "packages": list(item.packages),
                    "extractors": list(item.extractors),
                    "python": str(item.python),
                }
                for item in found
            ]
        )
        return
    rows = [(item.name, " ".join(item.packages), " ".join(item.extractors)) for item in found]
    echo_table(("environment", "packages", "extractors"), rows)


@command.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Delete the environment NAME; stores keep what it computed."""
    from featx.environments import remove_environment

    remove_environment(name)
    click.echo(f"{name} removed")
