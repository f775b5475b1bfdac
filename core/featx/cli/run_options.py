"""What ``featx plan``, ``run`` and ``scan`` share: what is computed, and limits of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from featx.cli.run_file import config_option
from featx.commands import (
    complete_feature,
    json_option,
    local_class,
    no_plugin_option,
    parse_pairs,
    parse_settings,
    parse_size,
    parse_weights,
    plugin_option,
    session,
    set_option,
    split_names,
)

if TYPE_CHECKING:
    from featx.audio import Limits

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def input_options(function: Decorated) -> Decorated:
    """Add INPUTS and what decides which files they mean."""
    options = [
        click.argument("inputs", nargs=-1, required=True, metavar="INPUTS..."),
        click.option(
            "--exclude",
            multiple=True,
            metavar="PATTERN",
            help="Ignore files and folders, such as '*.wav', live or 'demos/*'. May be repeated.",
        ),
        click.option(
            "-0", "--null", is_flag=True, help="Names on stdin end with NUL bytes (find -print0)."
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def downmix_option(function: Decorated) -> Decorated:
    """Add ``--downmix``: how several channels become one."""
    return click.option(
        "--downmix",
        default="mean",
        show_default=True,
        metavar="WAY",
        help="Down-mix of several channels: mean, left, right, or mid-side (the louder of both).",
    )(function)


def where_option(function: Decorated) -> Decorated:
    """Add ``--where COLUMN=VALUE``, repeatable."""
    return click.option(
        "--where",
        multiple=True,
        metavar="COLUMN=VALUE",
        help="Only tracks with this label of a manifest or of STORE, such as artist=Bach. May be "
        "repeated.",
    )(function)


def jobs_option(function: Decorated) -> Decorated:
    """Add ``-j/--jobs``."""
    return click.option(
        "-j", "--jobs", type=click.IntRange(min=1), help="Workers; one per core if unset."
    )(function)


def run_options(function: Decorated) -> Decorated:
    """Add inputs, ``-o`` and all options that decide what is computed."""
    options = [
        input_options,
        plugin_option,
        click.option(
            "-o",
            "--output",
            "store",
            required=True,
            type=click.Path(path_type=Path),
            metavar="STORE",
            help="Folder of the store; created if it does not exist.",
        ),
        click.option(
            "--features",
            metavar="NAME.FEATURE,...",
            shell_complete=complete_feature,
            multiple=True,
            callback=split_names,
            help="Outputs to store, such as mfcc.summary,mfcc.frames. Default: clip features "
            "(one vector per track) and events.",
        ),
        where_option,
        click.option(
            "--part",
            metavar="K/N",
            help="Only the tracks of part K of N, such as 3/100. Parts may run at once.",
        ),
        set_option,
        click.option(
            "--weights",
            multiple=True,
            metavar="[NAME=]PATH",
            help="Weights to use instead of the installed ones: a file, a folder, or 'untrained' "
            "for random weights.",
        ),
        click.option(
            "--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 or mps."
        ),
        click.option("--failed", is_flag=True, help="Retry tracks that failed before."),
        click.option(
            "--rehash", is_flag=True, help="Detect changed files by hash, not by size and time."
        ),
        click.option(
            "--quality",
            default="HQ",
            show_default=True,
            help="Resampling quality (soxr): QQ, LQ, MQ, HQ or VHQ.",
        ),
        downmix_option,
        click.option(
            "--level",
            type=float,
            metavar="DBFS",
            help="Scale every waveform to this RMS, such as -20; by default none is scaled.",
        ),
        config_option,
        no_plugin_option,
        json_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


def parse_run_options(
    *,
    plugins: tuple[str, ...],
    features: tuple[str, ...],
    settings: tuple[str, ...],
    weights: tuple[str, ...],
    where: tuple[str, ...],
    part: str | None,
    **others: Any,
) -> dict[str, Any]:
    """Return the options of `run_options` as arguments of `featx.engine.plan` and `run`.

    Raises `ParameterError` for ``--set``, ``--features``, ``--weights``, ``--where`` or ``--part``
    of a wrong form.
    """
    from featx.engine.planning.parts import Part

    by_name = _extractors(plugins)
    return {
        **others,
        "extractors": list(by_name.values()),
        "features": list(features) or None,
        "params": parse_settings(settings, list(by_name)),
        "weights": parse_weights(weights),
        "where": parse_pairs("--where", where),
        "part": None if part is None else Part.parse(part),
        "disabled": session().disabled,
    }


def _extractors(plugins: tuple[str, ...]) -> dict[str, Any]:
    """Return names of extractors as they are, and classes for ``folder/file.py:Class``, by name."""
    by_name: dict[str, Any] = {}
    for plugin in plugins:
        cls = local_class(plugin)
        if cls is None:
            by_name[plugin] = plugin
            continue
        from featx.registry.local import local_extractor

        by_name[local_extractor(cls).spec.name] = cls
    return by_name


def limit_options(function: Decorated) -> Decorated:
    """Add ``--max-hours``, ``--max-size`` and ``--max-channels``, given to `parse_limits`."""
    options = [
        click.option(
            "--max-hours",
            type=click.FloatRange(min=0, min_open=True),
            metavar="HOURS",
            help="Reject longer tracks; 6 if unset.",
        ),
        click.option(
            "--max-size", type=parse_size, metavar="SIZE", help="Reject larger files; 8G if unset."
        ),
        click.option(
            "--max-channels",
            type=click.IntRange(min=1),
            metavar="N",
            help="Reject files with more channels; 32 if unset.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def parse_limits(
    *, max_hours: float | None, max_size: int | None, max_channels: int | None
) -> Limits:
    """Return the options of `limit_options` as limits; what is not given has its default."""
    from featx.audio import Limits

    limits: dict[str, Any] = {
        "max_seconds": None if max_hours is None else max_hours * 3600,
        "max_bytes": max_size,
        "max_channels": max_channels,
    }
    return Limits(**{name: value for name, value in limits.items() if value is not None})
