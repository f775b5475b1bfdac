"""Run files: the inputs and options of ``featx run`` and ``featx plan`` as TOML."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from featx.commands import replacing
from featx.errors import ParameterError, listed, meant

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

#: options of `featx run` that `featx plan` does not have
_OF_RUNS = (
    *("timeout", "memory", "max-hours", "max-size", "max-channels", "new-ids", "isolate"),
    "scheduler",
)
#: what names files; paths in a run file are relative to its folder
_PATHS = ("inputs", "output")
#: what says how a command answers
_NOT_IN_FILES = (
    *("config", "write-config", "sample", "json", "list", "no-plugin", "help"),
    *("parts", "array"),
)


def config_option(function: Decorated) -> Decorated:
    """Add ``-c/--config FILE``, whose values hold where the command line gives none."""
    return click.option(
        "-c",
        "--config",
        is_eager=True,
        expose_value=False,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        callback=_read,
        help="Take inputs and options from a run file (TOML); the command line overrides it.",
    )(function)


def _read(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    del parameter
    if path is None:
        return
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} must be a run file in TOML: {error}.") from error
    known = _by_name(context.command)
    for key, value in plain.items():
        name = key.replace("_", "-")
        if name not in known:
            if name in _OF_RUNS:
                continue
            raise ParameterError(
                f"{path} must hold options of featx {context.info_name}, got {key!r}."
                f"{meant(name, known, otherwise=f' Known: {listed(known)}.')}"
            )
        given = list(_settings(value)) if name in ("set", "where") else value
        if name in _PATHS:
            given = [_relative(path, item) for item in _as_list(given)]
            given = given if known[name].nargs == -1 else given[0]
        elif known[name].multiple:
            given = _as_list(given)
        context.default_map = {**(context.default_map or {}), str(known[name].name): given}


def _by_name(command: click.Command) -> dict[str, Any]:
    """Return the parameters of a command by the longest of their names, without dashes."""
    names = {max(item.opts, key=len).lstrip("-"): item for item in command.params}
    return {name: item for name, item in names.items() if name not in _NOT_IN_FILES}


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _relative(path: Path, item: Any) -> Any:
    return item if _is_no_path(item) else os.path.normpath(path.parent / str(item))


def _settings(value: Any) -> Iterator[str]:
    """Yield ``extractor.key=value`` for texts of this form, and for a table of tables."""
    if not isinstance(value, dict):
        yield from _as_list(value)
        return
    for key, item in value.items():
        if isinstance(item, dict):
            yield from (f"{key}.{text}" for text in _settings(item))
        else:
            text = ",".join(map(str, item)) if isinstance(item, list) else item
            yield f"{key}={text}"


def write_run_file(context: click.Context, path: Path, **defaults: Any) -> None:
    """Write the inputs and options of this command line, from where ``-c`` reads them.

    ``defaults`` are written where the command line has no value.
    """
    values = defaults | run_file_values(context, path.absolute().parent)
    lines = [f"{key} = {json.dumps(item, ensure_ascii=False)}\n" for key, item in values.items()]
    with replacing(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def run_file_values(context: click.Context, folder: Path) -> dict[str, Any]:
    """Return the inputs and options of this command line, paths relative to ``folder``."""
    values: dict[str, Any] = {}
    for name, item in _by_name(context.command).items():
        source = context.get_parameter_source(str(item.name))
        if source not in (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP):
            continue
        value = context.params[str(item.name)]
        if name in _PATHS:
            items = [_from_folder(folder, part) for part in value] if item.nargs == -1 else None
            value = _from_folder(folder, value) if items is None else items
        values[name] = list(value) if isinstance(value, tuple) else value
    return values


def _from_folder(folder: Path, item: str | Path) -> str:
    return str(item) if _is_no_path(item) else os.path.relpath(item, folder)


def _is_no_path(item: Any) -> bool:
    from featx.remote import is_url

    return str(item) == "-" or is_url(str(item))
