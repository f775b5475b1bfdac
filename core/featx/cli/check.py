"""``featx check``: run the conformance kit on an installed extractor, loss or index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.commands import (
    EXIT_FAILURES,
    complete_extractor,
    echo_json,
    echo_table,
    json_option,
    local_class,
    no_plugin_option,
    parse_pairs,
    parse_settings,
    set_option,
)

if TYPE_CHECKING:
    from featx.testing import Report

_STYLES = {"pass": "green", "xfail": "yellow", "skip": "yellow", "fail": "red", "xpass": "red"}


@click.command("check")
@click.argument("name", shell_complete=complete_extractor)
@click.option("--long", is_flag=True, help="Also test an hour of audio.")
@click.option(
    "--expect",
    "expectations",
    multiple=True,
    metavar="CHECK=REASON",
    help="Declare a known failure with its reason. The check fails if it does not occur.",
)
@click.option(
    "--weights",
    type=click.Path(exists=True, path_type=Path),
    help="Weights to use instead of the installed ones.",
)
@click.option(
    "--device", default="cpu", show_default=True, help="Device on which the extractor runs."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1.0),
    default=300.0,
    show_default=True,
    help="Limit in seconds for each process of the check.",
)
@set_option
@json_option
@no_plugin_option
def command(
    name: str,
    long: bool,
    expectations: tuple[str, ...],
    weights: Path | None,
    device: str,
    timeout: float,
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Check whether an extractor, loss or index follows the rules for plugins.

    NAME is a short or full name, or my/file.py:MyClass for an extractor without a package. The
    plugin runs in separate processes, on synthesised signals. The exit code is 0 if it passes and 3
    if not; docs/plugin-authoring.md explains every check.
    """
    report = _examine(
        name,
        expected=dict(parse_pairs("--expect", expectations)),
        params=parse_settings(settings, [name])[name],
        only_extractors={"long": long, "weights": weights, "device": device},
        timeout=timeout,
    )
    if as_json:
        echo_json(report.to_json())
    else:
        _show(report)
    return 0 if report.passed else EXIT_FAILURES


def _examine(
    name: str,
    *,
    expected: Mapping[str, str],
    params: Mapping[str, str],
    only_extractors: Mapping[str, Any],
    timeout: float,
) -> Report:
    from featx.testing import examine_extractor, examine_index, examine_loss
    from featx.testing.conformance.runner import kind_of

    cls = local_class(name)
    kind = "extractor" if cls else kind_of(name)
    if kind == "extractor":
        return examine_extractor(
            cls or name, params=params, expected=expected, timeout=timeout, **only_extractors
        )
    examine = {"loss": examine_loss, "index": examine_index}[kind]
    return examine(name, params=params, expected=expected, timeout=timeout)


def _show(report: Report) -> None:
    rows = [(item.id, item.status, item.message) for item in report.outcomes]
    title = f"{report.kind} {report.name}"
    echo_table(("check", "result", "message"), rows, title=title, styles=_STYLES)
    for note in report.notes:
        click.echo(note)
    click.echo(report.summary().splitlines()[0] + ".")
