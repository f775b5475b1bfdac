"""Options that commands share, and what their texts mean."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from featx.commands.completion import complete_extractor
from featx.commands.session import Session
from featx.errors import ParameterError, listed

if TYPE_CHECKING:
    from featx.interfaces import Extractor
    from featx.store import Store

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?) *(?P<unit>[KMGT]?)(i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def split_names(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> tuple[str, ...]:
    """Split the values of a repeatable option at commas; each name is returned once.

    The ``callback`` of every repeatable option whose values are names. A class of a file whose path
    contains commas stays whole.

    Raises
    ------
    ParameterError
        If a name is empty; the option is named.
    """
    del context
    names: list[str] = []
    for value in values:
        is_class = os.path.isfile(value.rpartition(":")[0])  # noqa: PTH113  (no error for long names)
        names += [value] if is_class else [name.strip() for name in value.split(",")]
    if "" in names:
        option = max(parameter.opts, key=len)
        raise ParameterError(f"{option} must be names separated by commas, got {listed(values)}.")
    return tuple(dict.fromkeys(names))


def plugin_option(function: Decorated) -> Decorated:
    """Add ``--plugin NAME``, repeatable, given to the command as ``plugins`` (tuple of str)."""
    return click.option(
        "-p",
        "--plugin",
        "plugins",
        multiple=True,
        required=True,
        metavar="NAME[,NAME]",
        callback=split_names,
        shell_complete=complete_extractor,
        help="Extractor to use, such as 'mfcc', 'featx-spectral:mfcc' or 'my/file.py:MyClass'. "
        "May be repeated.",
    )(function)


def local_class(name: str) -> type[Extractor] | None:
    """Return the class that ``folder/file.py:Class`` names; None for other names.

    Raises
    ------
    PluginError
        If the file does not exist, cannot be run, or has no such class.
    """
    if not name.rpartition(":")[0].endswith(".py"):
        return None
    from featx.registry.local import class_of_file

    return class_of_file(name)


def no_plugin_option(function: Decorated) -> Decorated:
    """Add ``--no-plugin NAME``, repeatable; its names reach `registry` by the session."""

    def remember(
        context: click.Context, parameter: click.Parameter, names: tuple[str, ...]
    ) -> None:
        disabled = context.ensure_object(Session).disabled
        disabled.extend(split_names(context, parameter, names))

    return click.option(
        "--no-plugin",
        multiple=True,
        metavar="NAME[,NAME]",
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="Disable a plugin, by its name or that of its distribution. May be repeated.",
    )(function)


def json_option(function: Decorated) -> Decorated:
    """Add ``--json``, given to the command as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Write the result as JSON.")(
        function
    )


def overwrite_option(function: Decorated) -> Decorated:
    """Add ``--overwrite``; without it commands refuse to replace a file."""
    return click.option("--overwrite", is_flag=True, help="Replace existing files.")(function)


def gone_option(function: Decorated) -> Decorated:
    """Add ``--gone``: also tracks whose file is gone."""
    return click.option(
        "--gone",
        is_flag=True,
        help="Include tracks whose file no longer exists, as recorded by the last run.",
    )(function)


def output_option(*, dir_okay: bool, help: str) -> Callable[[Decorated], Decorated]:  # noqa: A002
    """Add ``-o/--output`` for what may as well be the argument OUT; given to `one_output`."""
    kind = click.Path(dir_okay=dir_okay, path_type=Path)

    def decorate(function: Decorated) -> Decorated:
        option = click.option("-o", "--output", type=kind, metavar="OUT", help=help)
        return click.argument("out", type=kind, required=False)(option(function))

    return decorate


def one_output(out: Path | None, output: Path | None) -> Path:
    """Return the argument OUT or what ``-o`` gives."""
    target = out or output
    if target is None or (out and output):
        raise click.UsageError("Give the output once: -o OUT.")
    return target


def only_extractor(store: Store) -> str:
    """Return the extractor of a store that holds one, where ``--plugin`` is not given."""
    names = list(store)
    if len(names) != 1:
        raise ParameterError(f"--plugin must name one of {listed(names)}, got none.")
    return names[0]


def set_option(function: Decorated) -> Decorated:
    """Add ``--set KEY=VALUE``, repeatable, given as ``settings`` (tuple of str, unparsed)."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="[NAME.]KEY=VALUE",
        help="Set a parameter, such as mfcc.n_mfcc=20. May be repeated.",
    )(function)


def parse_settings(pairs: Sequence[str], extractors: Sequence[str]) -> dict[str, dict[str, str]]:
    """Split ``--set`` values by extractor.

    Parameters
    ----------
    pairs : sequence of str
        ``extractor.key=value``, or ``key=value`` where there is one extractor; ``loss.key`` is a
        key of its training.
    extractors : sequence of str
        Names as the user gave them, short or full.

    Returns
    -------
    dict of str to dict
        For each of ``extractors`` its keys and values, unparsed.

    Raises
    ------
    ParameterError
        If a pair has another form, names an extractor that is not used, or leaves it open.
    """
    settings: dict[str, dict[str, str]] = {name: {} for name in extractors}
    for pair in pairs:
        path, equals, value = pair.partition("=")
        owner, dot, key = path.partition(".") if "." in path else ("", "", path)
        if owner == "loss" and len(extractors) == 1:  # a parameter of the loss it is trained with
            owner, key = extractors[0], path
        if not equals or not key:
            raise ParameterError(f"--set must look like extractor.key=value, got {pair!r}.")
        if not dot:
            if len(extractors) != 1:
                raise ParameterError(
                    f"--set must name the extractor where there are several, got {pair!r}. "
                    f"Write for example {extractors[0]}.{pair}."
                )
            owner = extractors[0]
        matches = [
            name
            for name in extractors
            if owner in (name, name.rpartition(":")[2]) or owner.rpartition(":")[2] == name
        ]
        if len(matches) != 1:
            raise ParameterError(
                f"--set must name one of the extractors {listed(extractors)}, got {pair!r}."
            )
        settings[matches[0]][key] = value
    return settings


def parse_pairs(option: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """Split values such as ``artist=Mira Voss`` at their first equals sign.

    Raises
    ------
    ParameterError
        If a value has no name or no content; ``option`` is named.
    """
    pairs = []
    for value in values:
        name, _, content = value.partition("=")
        if not (name and content):
            raise ParameterError(f"{option} must look like name=value, got {value!r}.")
        pairs.append((name, content))
    return pairs


def parse_mapping(option: str, values: Sequence[str]) -> dict[str, str]:
    """Split values as `parse_pairs` does, where every name may be given once.

    Raises
    ------
    ParameterError
        If a value has another form, or a name has two contents.
    """
    mapping: dict[str, str] = {}
    for name, content in parse_pairs(option, values):
        if mapping.setdefault(name, content) != content:
            raise ParameterError(
                f"{option} must give {name} once, got {mapping[name]!r} and {content!r}."
            )
    return mapping


def parse_weights(values: Sequence[str]) -> str | dict[str, str] | None:
    """Return what ``--weights PATH`` or ``--weights NAME=PATH`` (repeatable) mean.

    Returns
    -------
    str, dict of str to str, or None
        One path for every extractor, one per extractor, or nothing where nothing was given.

    Raises
    ------
    ParameterError
        If a bare path stands beside others.
    """
    bare = [value for value in values if "=" not in value]
    if bare and len(values) > 1:
        raise ParameterError(
            f"--weights must be one path, or NAME=PATH for each extractor, got {listed(values)}."
        )
    return bare[0] if bare else dict(parse_pairs("--weights", values)) or None


def parse_size(text: str) -> int:
    """Return the bytes that ``2G``, ``500M`` or a plain number mean; a ``type`` of click."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a size. Write for example 2G or 500M.")
    return int(float(match["number"]) * _UNITS[match["unit"].upper()])
