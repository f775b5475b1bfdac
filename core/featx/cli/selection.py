"""What ``featx plan`` and ``featx run`` share: options that say which work is meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from featx.cli.common import (
    json_option,
    no_plugin_option,
    parse_settings,
    plugin_option,
    session,
    set_option,
)
from featx.errors import ParameterError, listed

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?) *(?P<unit>[KMGT]?)(i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The options of `selection_options`, ready for `featx.engine.plan` and `run`."""

    inputs: tuple[str, ...]
    store: Path
    arguments: dict[str, Any]


def parse_size(text: str) -> int:
    """Return the bytes that ``2G``, ``500M`` or a plain number mean."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no size. Write for instance 2G or 500M.")
    return int(float(found["number"]) * _UNITS[found["unit"].upper()])


def selection_options(function: Decorated) -> Decorated:
    """Add inputs, ``-o`` and all options that decide what is computed."""
    options = [
        click.argument("inputs", nargs=-1, required=True, metavar="INPUTS..."),
        plugin_option,
        click.option(
            "-o",
            "--output",
            "store",
            required=True,
            type=click.Path(path_type=Path),
            metavar="STORE",
            help="Folder of the store; made if there is none.",
        ),
        click.option(
            "--features",
            metavar="NAME.FEATURE,...",
            multiple=True,
            help="Outputs to store, such as mfcc.summary,mfcc.frames. Default: clip features.",
        ),
        set_option,
        click.option(
            "--weights",
            multiple=True,
            metavar="[NAME=]PATH",
            help="Weights to use instead of the installed ones: a file, a folder of them, or "
            "'untrained' for a random network.",
        ),
        click.option(
            "--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 or mps."
        ),
        click.option("--failed", is_flag=True, help="Try again what failed before."),
        click.option(
            "--rehash", is_flag=True, help="Compare contents by hash, not by size and time."
        ),
        click.option(
            "--quality",
            default="HQ",
            show_default=True,
            help="Of resampling: QQ, LQ, MQ, HQ or VHQ.",
        ),
        no_plugin_option,
        json_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


def select(
    *,
    inputs: tuple[str, ...],
    store: Path,
    plugins: tuple[str, ...],
    features: tuple[str, ...],
    settings: tuple[str, ...],
    weights: tuple[str, ...],
    **arguments: Any,
) -> Selection:
    """Parse the options of `selection_options`.

    Raises
    ------
    ParameterError
        For ``--set``, ``--features`` or ``--weights`` of a wrong form.
    """
    wanted = [name.strip() for part in features for name in part.split(",")]
    if "" in wanted:
        raise ParameterError(
            f"--features must be names separated by commas, got {listed(features)}."
        )
    return Selection(
        inputs=inputs,
        store=store,
        arguments={
            **arguments,
            "extractors": plugins,
            "features": wanted or None,
            "params": parse_settings(settings, plugins),
            "weights": _weights(weights),
            "disabled": session().disabled,
        },
    )


def _weights(given: tuple[str, ...]) -> str | dict[str, str] | None:
    if not given:
        return None
    named = dict(item.split("=", 1) for item in given if "=" in item)
    bare = [item for item in given if "=" not in item]
    if (bare and named) or len(bare) > 1:
        raise ParameterError(
            f"--weights must be one path, or NAME=PATH for each extractor, got {listed(given)}."
        )
    return bare[0] if bare else named
