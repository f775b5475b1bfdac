"""Groups whose commands are imported when they are called, and the commands of plugins."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from featx.commands.session import Session
from featx.errors import PluginError
from featx.registry import COMMAND_GROUP, InstalledEntry, discover, switched_off

_CACHE = "featx.commands.plugin_commands"


class CommandGroup(click.Group):
    """A group whose commands are imported when called: those of a table, then those of plugins.

    Parameters
    ----------
    table : mapping of str to (module, help)
        Command name to the module that holds it as ``command``, and its line of ``--help``. These
        win over commands of plugins.
    prefix : str
        What the entry points of plugins' commands for this group begin with, such as ``plot.``;
        empty for the root group.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, tuple[str, str]],
        prefix: str = "",
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.table = table
        self.prefix = prefix

    def claims(self, ctx: click.Context) -> dict[str, list[InstalledEntry]]:
        """Return the entry points of plugins for this group, by short and by full name."""
        commands = {}
        for name, claims in sorted(plugin_commands(ctx).items()):
            distribution, colon, own = name.rpartition(":")
            if own.startswith(self.prefix):
                commands[f"{distribution}{colon}{own.removeprefix(self.prefix)}"] = claims
        return commands

    def plugin_names(self, ctx: click.Context) -> list[str]:
        """Return the short names of plugins' commands that the table does not hold."""
        return [
            name
            for name in self.claims(ctx)
            if not {":", "."} & set(name) and name not in self.table
        ]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands of the table in their order, then those of plugins by name."""
        return [*self.table, *super().list_commands(ctx), *self.plugin_names(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; full names (``DISTRIBUTION:COMMAND``) work as well.

        Raises
        ------
        PluginError
            If a plugin's command cannot be loaded, or two plugins claim its name.
        """
        if cmd_name in self.table:
            command = importlib.import_module(self.table[cmd_name][0]).command
            assert isinstance(command, click.Command)
            return command
        own = super().get_command(ctx, cmd_name)
        claims = self.claims(ctx).get(cmd_name)
        return own if own or not claims else load_command(cmd_name, claims)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing any command."""
        own = [(name, text) for name, (_, text) in self.table.items()]
        own += [(name, item.get_short_help_str()) for name, item in self.commands.items()]
        for title, rows in (("Commands", own), ("Commands of plugins", self.plugin_rows(ctx))):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def plugin_rows(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Return names and help lines of the commands of plugins."""
        claims = self.claims(ctx)
        return [
            (name, f"From {' and '.join(f'{f.distribution} {f.version}' for f in claims[name])}.")
            for name in self.plugin_names(ctx)
        ]


def plugin_commands(ctx: click.Context) -> dict[str, list[InstalledEntry]]:
    """Return the commands of plugins that are not switched off, by short and by full name."""
    if _CACHE not in ctx.meta:
        disabled = ctx.ensure_object(Session).disabled
        commands: dict[str, list[InstalledEntry]] = {}
        for claim in discover(COMMAND_GROUP):
            off = switched_off(claim) or any(claim.answers_to(name) for name in disabled)
            if claim.entry_point is None or off:
                continue
            commands.setdefault(claim.name, []).append(claim)
            commands.setdefault(f"{claim.distribution}:{claim.name}", []).append(claim)
        ctx.meta[_CACHE] = commands
    known: dict[str, list[InstalledEntry]] = ctx.meta[_CACHE]
    return known


def load_command(name: str, claims: list[InstalledEntry]) -> click.Command:
    """Import a plugin's command.

    Raises
    ------
    PluginError
        If it cannot be loaded, is not a command, or two plugins use its name.
    """
    if len(claims) > 1:
        full = " and ".join(f"'{claim.distribution}:{claim.name}'" for claim in claims)
        raise PluginError(
            f"command {name!r} must be unambiguous, but is claimed by {full}. "
            "Use one of these full names."
        )
    (claim,) = claims
    assert claim.entry_point is not None
    origin = f"command {name!r} of {claim.distribution} {claim.version}"
    try:
        command = claim.entry_point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(
            f"{origin} must be importable, but raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(command, click.Command):
        raise PluginError(f"{origin} must be a click.Command, got {type(command).__name__}.")
    return command
