"""``featx plugins``: what is installed, what it gives, and what is wrong with it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from featx._version import __version__
from featx.commands import (
    EXIT_FAILURES,
    echo_json,
    echo_table,
    json_option,
    no_plugin_option,
    plugin_commands,
    registry,
)
from featx.errors import ParameterError
from featx.registry import COMMAND_GROUP, PLUGIN_GROUP, PluginRecord, discover, normalise

_LINE = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[\w.+!-]+)")


@click.group("plugins", invoke_without_command=True)
@json_option
@no_plugin_option
@click.pass_context
def command(context: click.Context, /, as_json: bool) -> None:
    """List installed plugins with their extractors, losses, indexes and commands.

    A plugin that cannot be loaded is listed as BROKEN with the reason; all commands work without
    it.
    """
    if context.invoked_subcommand is not None:
        return
    records = registry().plugins
    commands = _commands(context)
    if as_json:
        echo_json(_as_json(records, commands))
        return
    columns = ("plugin", "distribution", "version", "kind", "names", "status")
    rows = [row for record in records for row in _rows(record)]
    rows += [
        ("", distribution, version, "command", ", ".join(names), "ok")
        for (distribution, version), names in commands.items()
    ]
    echo_table(columns, sorted(rows, key=lambda row: row[1]))
    broken = sum(record.status == "broken" for record in records)
    if broken:
        click.echo(f"{broken} of {len(records)} plugins are broken.", err=True)


def _commands(context: click.Context) -> dict[tuple[str, str], list[str]]:
    """Return the commands of every distribution that is not disabled, without importing them."""
    commands: dict[tuple[str, str], list[str]] = {}
    for name, claims in plugin_commands(context).items():
        for claim in claims if ":" not in name else ():
            commands.setdefault((claim.distribution, claim.version), []).append(
                claim.name.replace(".", " ")
            )
    return commands


def _as_json(
    records: Iterable[PluginRecord], commands: dict[tuple[str, str], list[str]]
) -> list[dict[str, Any]]:
    """Return records with their commands, and distributions that have commands only."""
    left = dict(commands)
    plain = []
    for record in records:
        names = left.pop((record.distribution, record.version), [])
        plain.append({**dataclasses.asdict(record), "commands": names})
    for (distribution, version), names in left.items():
        only = PluginRecord(
            name="", distribution=distribution, version=version, value="", status="ok"
        )
        plain.append({**dataclasses.asdict(only), "commands": names})
    return sorted(plain, key=lambda item: str(item["distribution"]))


@command.command("freeze")
def freeze() -> None:
    """Write featx and the distributions of all plugins with their versions, one per line.

    'featx plugins freeze > plugins.lock' keeps a list that 'featx plugins sync plugins.lock'
    compares with another installation; 'pip install -r plugins.lock' installs it. No plugin is
    loaded.
    """
    for name, version in _installed().items():
        click.echo(f"{name}=={version}")


@command.command("sync")
@click.argument("lock", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_context
def sync(context: click.Context, /, lock: Path, as_json: bool) -> None:
    """Compare this installation with LOCK, and show the pip commands that make it equal.

    Nothing is installed or removed. Exit code 3 if something is missing, another version, or extra.
    """
    wanted, installed = _read_lock(lock), _installed()
    rows = [
        (name, wanted.get(name, ""), installed.get(name, ""), state)
        for name in sorted({*wanted, *installed})
        if (state := _state(wanted.get(name), installed.get(name)))
    ]
    install = [f"{name}=={version}" for name, version, _, state in rows if state != "extra"]
    remove = [name for name, *_, state in rows if state == "extra"]
    commands = [f"pip install {' '.join(install)}"] * bool(install)
    commands += [f"pip uninstall {' '.join(remove)}"] * bool(remove)
    if as_json:
        keys = ("distribution", "wanted", "installed", "state")
        differences = [dict(zip(keys, row, strict=True)) for row in rows]
        echo_json({"differences": differences, "commands": commands})
    elif rows:
        echo_table(("distribution", "wanted", "installed", "state"), rows)
        for text in commands:
            click.echo(text)
    else:
        click.echo(
            f"All {len(wanted)} distributions of {lock} are installed, and no other plugins."
        )
    context.exit(EXIT_FAILURES if rows else 0)


def _installed() -> dict[str, str]:
    """Return distributions of plugins and commands, featx first, with their versions."""
    entries = [*discover(PLUGIN_GROUP), *discover(COMMAND_GROUP)]
    found = {entry.distribution: entry.version for entry in entries}
    return {"featx": __version__, **dict(sorted(found.items()))}


def _read_lock(lock: Path) -> dict[str, str]:
    wanted = {}
    for number, line in enumerate(lock.read_text(encoding="utf-8-sig").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ParameterError(
                f"{lock}, line {number} must look like featx-spectral==0.1.0, got {text[:80]!r}. "
                "Write the file with: featx plugins freeze"
            )
        wanted[normalise(match["name"])] = match["version"]
    return wanted


def _state(wanted: str | None, installed: str | None) -> str:
    if wanted is None:
        return "extra"
    if installed is None:
        return "missing"
    return "" if wanted == installed else "other version"


def _rows(record: PluginRecord) -> list[tuple[str, ...]]:
    status = {"ok": "ok", "broken": "BROKEN", "disabled": "off"}[record.status]
    reason = f"{status}: {record.reason}" if record.reason else status
    kinds = {"extractor": record.extractors, "loss": record.losses, "index": record.indexes}
    origin = (record.name, record.distribution, record.version)
    rows: list[tuple[str, ...]] = [
        (*origin, kind, ", ".join(names), reason) for kind, names in kinds.items() if names
    ]
    return rows or [(*origin, "", "", reason)]
