"""``featx plugins``: what is installed, what it gives, and what is wrong with it."""

from __future__ import annotations

import dataclasses

import click

from featx.commands import echo_json, echo_table, json_option, no_plugin_option, registry
from featx.registry import PluginRecord


@click.command("plugins")
@json_option
@no_plugin_option
def command(as_json: bool) -> None:
    """List installed plugins and their extractors.

    A plugin that cannot be loaded is listed as BROKEN with the reason; all commands work without
    it.
    """
    records = registry().plugins
    if as_json:
        echo_json([dataclasses.asdict(record) for record in records])
        return
    columns = ("plugin", "distribution", "version", "kind", "names", "status")
    echo_table(columns, [row for record in records for row in _rows(record)])
    broken = sum(record.status == "broken" for record in records)
    if broken:
        click.echo(f"{broken} of {len(records)} plugins are broken.", err=True)


def _rows(record: PluginRecord) -> list[tuple[str, ...]]:
    status = {"ok": "ok", "broken": "BROKEN", "disabled": "off"}[record.status]
    reason = f"{status}: {record.reason}" if record.reason else status
    kinds = {"extractor": record.extractors, "loss": record.losses, "index": record.indexes}
    origin = (record.name, record.distribution, record.version)
    rows: list[tuple[str, ...]] = [
        (*origin, kind, ", ".join(names), reason) for kind, names in kinds.items() if names
    ]
    return rows or [(*origin, "", "", reason)]
