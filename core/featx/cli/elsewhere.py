"""What ``featx run`` does for extractors of other environments: it runs itself there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.cli.run_file import run_file_values
from featx.commands import EXIT_FAILURES, echo_json_line, registry
from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.environments import Environment

#: Options whose values belong to an extractor, with what ends its name.
_OF_EXTRACTORS = {
    "set": ("settings", "."),
    "features": ("features", "."),
    "weights": ("weights", "="),
}


def run_elsewhere(context: click.Context, options: dict[str, Any]) -> int | None:
    """Run ``featx run`` in every environment that has one of the extractors.

    Their names, and all that belongs to them, are taken out of ``options``. Returns an exit code;
    None if all extractors are installed here.
    """
    from featx.environments import run_in_environment, split_by_environment

    here, elsewhere = split_by_environment(options["plugins"], registry().extractors)
    if not elsewhere:
        return None
    if "-" in options["inputs"]:
        raise ParameterError(
            "inputs must be files or folders for extractors of other environments "
            f"({', '.join(item.name for item in elsewhere)}), got '-'."
        )
    alone = len(options["plugins"]) == 1
    code = 0
    for environment, names in elsewhere.items():
        values = _values(context, names, alone=alone)
        finished = run_in_environment(environment, values)
        code = max(code, EXIT_FAILURES if finished["failed"] else 0)
        _show(environment, finished, as_json=context.params["as_json"])
    options["plugins"] = tuple(here)
    for name, sign in _OF_EXTRACTORS.values():
        options[name] = tuple(_of(options[name], here, sign, alone=False))
    return code


def _values(context: click.Context, names: list[str], *, alone: bool) -> dict[str, Any]:
    """Return the options of this run for some extractors only, with absolute paths."""
    values = run_file_values(context, Path("/"))
    for key in ("inputs", "output"):
        found = values[key]
        values[key] = (
            [_absolute(item) for item in found] if isinstance(found, list) else _absolute(found)
        )
    for key, (_, sign) in _OF_EXTRACTORS.items():
        if key in values:
            values[key] = _of(values[key], names, sign, alone=alone)
    return {**values, "plugin": names}


def _absolute(item: str) -> str:
    return os.path.normpath(f"/{item}")


def _of(texts: Any, names: list[str], sign: str, *, alone: bool) -> list[str]:
    """Return the texts that begin with one of ``names``; all of them for the only extractor."""
    if alone:
        return list(texts)
    return [text for text in texts if text.startswith(tuple(f"{name}{sign}" for name in names))]


def _show(environment: Environment, finished: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        echo_json_line({**finished, "event": "environment", "environment": environment.name})
        return
    counts = [
        f"{name}: {dict(units).get('ok', 0)} computed" for name, units in finished["units"].items()
    ]
    click.echo(f"in {environment.name}: {', '.join(counts) or 'nothing to do'}")
    click.echo(
        f"in {environment.name}: {finished['inputs']} in = {finished['ok']} ok + "
        f"{finished['failed']} failed + {finished['skipped']} skipped"
    )
