"""What extractors find in one recording, without a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from featx.commands import complete_extractor, parse_settings, split_names
from featx.errors import ParameterError, listed

if TYPE_CHECKING:
    from featx.annotations import Events
    from featx.types import Features

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

__all__ = ["events_of", "extract", "extractor_option", "split_features"]


def extractor_option(help: str) -> Callable[[Decorated], Decorated]:  # noqa: A002
    """Add ``--plugin NAME``, repeatable, given to the command as ``plugins`` (tuple of str)."""
    return click.option(
        "-p",
        "--plugin",
        "plugins",
        multiple=True,
        callback=split_names,
        metavar="NAME[,NAME]",
        shell_complete=complete_extractor,
        help=help,
    )


def split_features(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> tuple[str, ...]:
    """Split values such as ``spectral.frames:flatness,centroid,chroma.frames`` into features.

    The ``callback`` of options that name features with columns: what has no dot is a further column
    of the feature before it.
    """
    features: list[str] = []
    for name in split_names(context, parameter, values):
        if "." not in name and features and ":" in features[-1].rpartition(".")[2]:
            features[-1] += f",{name}"
        else:
            features.append(name)
    return tuple(features)


def extract(audio: Path, plugins: Sequence[str], settings: Sequence[str]) -> dict[str, Features]:
    """Return all features of a recording by the names of the extractors, as ``featx run`` has them.

    Raises
    ------
    ParameterError, WeightsError, AudioError, ExtractionError
        As ``featx.open_extractor`` and its ``file``.
    """
    import featx

    params = parse_settings(settings, plugins)
    features = {}
    for name in plugins:
        with featx.open_extractor(name, params=params[name]) as extractor:
            features[name] = extractor.file(audio)
    return features


def events_of(features: Features, plugin: str) -> Events:
    """Return the first output of an extractor that is events.

    Raises
    ------
    ParameterError
        If there is none.
    """
    for name, spec in features.specs.items():
        if spec.kind == "events":
            return features.events(name)
    raise ParameterError(
        f"plugin must be an extractor of events, such as beats, got {plugin!r}, which gives "
        f"{listed(features.specs)}."
    )
