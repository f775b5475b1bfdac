"""The lazy root group: finds commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import click

from featx.errors import (
    AudioError,
    ExtractionError,
    FeatxError,
    PluginError,
    StoreError,
    TrainingError,
)
from featx.registry import COMMAND_GROUP, Found, disabled_by_environment, discover

EXIT_USAGE = 2
EXIT_FAILURES = 3
EXIT_DAMAGED = 4
EXIT_INTERRUPTED = 130

_COMMANDS_KEY = "featx.cli.plugin_commands"


@dataclass
class Session:
    """Root options, kept in ``Context.obj`` for every command."""

    debug: bool = field(default_factory=lambda: os.environ.get("FEATX_DEBUG") == "1")
    disabled: list[str] = field(default_factory=list)


class RootGroup(click.Group):
    """A group whose commands are imported when called.

    Parameters
    ----------
    table : mapping of str to (module, help)
        Commands of featx itself; they win over commands of plugins.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return featx's commands in their order, then those of plugins by name."""
        return [*self.table, *sorted(set(_plugin_commands(ctx)) - set(self.table))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command.

        Raises
        ------
        PluginError
            If a plugin's command cannot be loaded, or two plugins claim its name.
        """
        if cmd_name in self.table:
            command = importlib.import_module(self.table[cmd_name][0]).command
            assert isinstance(command, click.Command)
            return command
        claims = _plugin_commands(ctx).get(cmd_name, [])
        return load_command(cmd_name, claims) if claims else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does, but suggest the nearest name for an unknown command."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            import difflib

            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])
        extra = {
            name: " and ".join(f"{found.distribution} {found.version}" for found in claims)
            for name, claims in sorted(_plugin_commands(ctx).items())
            if name not in self.table and not set(":.") & set(name)
        }
        if extra:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, f"From {origin}.") for name, origin in extra.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; errors end in one line on stderr and an exit code."""
        run = functools.partial(
            super().main, args, prog_name, complete_var, standalone_mode=False, **extra
        )
        if not standalone_mode:
            return run()
        try:
            result: Any = run()
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort as abort:
            interrupt = abort.__cause__
            for note in getattr(interrupt, "__notes__", ["Interrupted."]):
                click.echo(note, err=True)
            sys.exit(EXIT_INTERRUPTED)
        except FeatxError as error:
            _show(error, args)
        sys.exit(result if isinstance(result, int) else 0)


def _show(error: FeatxError, args: Sequence[str] | None) -> NoReturn:
    given = sys.argv[1:] if args is None else args
    if "--debug" in given or os.environ.get("FEATX_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    else:
        click.echo(f"Error: {error}", err=True)
    if isinstance(error, StoreError):
        sys.exit(EXIT_DAMAGED)
    failures = (AudioError, ExtractionError, TrainingError)
    sys.exit(EXIT_FAILURES if isinstance(error, failures) else EXIT_USAGE)


def _plugin_commands(ctx: click.Context) -> dict[str, list[Found]]:
    """Return the commands of plugins that are not switched off, by short and by full name."""
    if _COMMANDS_KEY not in ctx.meta:
        disabled = [*disabled_by_environment(), *(ctx.params.get("no_plugin") or ())]
        commands: dict[str, list[Found]] = {}
        for found in discover(COMMAND_GROUP):
            if found.entry is None or any(found.answers_to(name) for name in disabled):
                continue
            commands.setdefault(found.name, []).append(found)
            commands.setdefault(f"{found.distribution}:{found.name}", []).append(found)
        ctx.meta[_COMMANDS_KEY] = commands
    known: dict[str, list[Found]] = ctx.meta[_COMMANDS_KEY]
    return known


def subcommands(ctx: click.Context, command: str) -> dict[str, list[Found]]:
    """Return the commands of plugins that are called ``<command>.<name>``, by their name."""
    prefix = f"{command}."
    return {
        name.removeprefix(prefix): claims
        for name, claims in _plugin_commands(ctx).items()
        if name.startswith(prefix)
    }


def load_command(name: str, claims: list[Found]) -> click.Command:
    """Import a plugin's command.

    Raises
    ------
    PluginError
        If it cannot be loaded, is no command, or two plugins claim its name.
    """
    if len(claims) > 1:
        full = " and ".join(f"'{found.distribution}:{found.name}'" for found in claims)
        raise PluginError(
            f"command {name!r} must be unambiguous, but is claimed by {full}. "
            "Use one of these full names."
        )
    (found,) = claims
    assert found.entry is not None
    origin = f"command {name!r} of {found.distribution} {found.version}"
    try:
        command = found.entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(
            f"{origin} must be importable, but raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(command, click.Command):
        raise PluginError(f"{origin} must be a click.Command, got {type(command).__name__}.")
    return command
