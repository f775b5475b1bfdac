"""Options and output that commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from featx.cli.group import Session
from featx.errors import ParameterError, listed

if TYPE_CHECKING:
    from featx.registry import Registry
    from featx.store import Store

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def session() -> Session:
    """Return the root options of the running command."""
    return click.get_current_context().ensure_object(Session)


def registry() -> Registry:
    """Load the plugins that ``--no-plugin`` leaves."""
    from featx.registry import load_registry

    return load_registry(disabled=session().disabled)


def complete_extractor(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the names of working extractors for the shell."""
    del parameter
    from featx.registry import load_registry

    known = load_registry(disabled=context.ensure_object(Session).disabled)
    return [
        CompletionItem(known.shortest_name(name), help=item.spec.summary)
        for name, item in known.extractors.items()
        if known.shortest_name(name).startswith(incomplete)
    ]


def plugin_option(function: Decorated) -> Decorated:
    """Add ``--plugin NAME``, repeatable, given to the command as ``plugins`` (tuple of str)."""
    return click.option(
        "-p",
        "--plugin",
        "plugins",
        multiple=True,
        required=True,
        metavar="NAME",
        shell_complete=complete_extractor,
        help="Extractor to use, such as 'mfcc' or 'featx-spectral:mfcc'. May be repeated.",
    )(function)


def no_plugin_option(function: Decorated) -> Decorated:
    """Add ``--no-plugin NAME``, repeatable; its names reach `registry` by the session."""

    def remember(
        context: click.Context, parameter: click.Parameter, names: tuple[str, ...]
    ) -> None:
        del parameter
        context.ensure_object(Session).disabled.extend(names)

    return click.option(
        "--no-plugin",
        multiple=True,
        metavar="NAME",
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="Leave out a plugin, by its name or its distribution's. May be repeated.",
    )(function)


def json_option(function: Decorated) -> Decorated:
    """Add ``--json``, given to the command as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON for machines.")(
        function
    )


def overwrite_option(function: Decorated) -> Decorated:
    """Add ``--overwrite``; without it commands refuse to replace a file."""
    return click.option("--overwrite", is_flag=True, help="Replace files that exist.")(function)


def output_option(*, dir_okay: bool, help: str) -> Callable[[Decorated], Decorated]:  # noqa: A002
    """Add ``-o/--output`` for what may as well be the argument OUT; given to `one_output`."""
    kind = click.Path(dir_okay=dir_okay, path_type=Path)

    def decorate(function: Decorated) -> Decorated:
        option = click.option("-o", "--output", type=kind, metavar="OUT", help=help)
        return click.argument("out", type=kind, required=False)(option(function))

    return decorate


def one_output(out: Path | None, output: Path | None) -> Path:
    """Return the argument OUT or what ``-o`` gives."""
    given = out or output
    if given is None or (out and output):
        raise click.UsageError("Give what to write once: -o OUT.")
    return given


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
        ``extractor.key=value``, or ``key=value`` where there is one extractor.
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
        owner, dot, key = path.rpartition(".")
        if not equals or not key:
            raise ParameterError(f"--set must look like extractor.key=value, got {pair!r}.")
        if not dot:
            if len(extractors) != 1:
                raise ParameterError(
                    f"--set must name the extractor where there are several, got {pair!r}. "
                    f"Write for instance {extractors[0]}.{pair}."
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


def parse_pairs(option: str, values: Sequence[str]) -> dict[str, str]:
    """Split the values ``name=content`` of a repeatable option.

    Raises
    ------
    ParameterError
        If one has another form, or a name is given twice with different contents.
    """
    pairs: dict[str, str] = {}
    for value in values:
        name, equals, content = value.partition("=")
        if not (name and equals and content):
            raise ParameterError(f"{option} must look like name=value, got {value!r}.")
        if pairs.get(name, content) != content:
            raise ParameterError(
                f"{option} must give {name} once, got {pairs[name]!r} and {content!r}."
            )
        pairs[name] = content
    return pairs


def echo_json(value: Any) -> None:
    """Write ``value`` as indented JSON to stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def counted(number: int, word: str) -> str:
    """Return ``1 track`` or ``2 tracks``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """Return ``text`` with control characters spelled out: names may come from strangers."""
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii")
        for mark in text
    )


def echo_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Write a table: by rich on a terminal, as plain aligned columns into pipes and files.

    Control characters become ``?``: cells hold words of plugins and files, which could otherwise
    steer the terminal.
    """
    rows = [[_printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        click.echo(_plain_table(columns, rows), nl=False)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    room = console.width - _TABLE_EDGES - _TABLE_GAP * (len(columns) - 1)
    widths = column_widths(columns, rows, room)
    if widths is None:
        click.echo(_cards(columns, rows), nl=False)
        return
    table = Table(
        box=SIMPLE_HEAD,
        title=title or None,
        title_justify="left",
        pad_edge=False,
        collapse_padding=True,
    )
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, overflow="fold", width=width)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


#: Columns of a terminal that a table's edges and the gap between two of its columns take.
_TABLE_EDGES, _TABLE_GAP = 2, 2
#: Words longer than this, such as paths, may be broken; names are not.
_LONG_WORD = 24


def column_widths(
    columns: Sequence[str], rows: Sequence[Sequence[str]], room: int
) -> list[int] | None:
    """Return widths that break no word, or only long ones; None if the table does not fit."""
    lines = [columns, *rows]
    natural = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    words = [[len(word) for line in lines for word in line[i].split()] for i in range(len(columns))]
    widths = [min(_LONG_WORD, max(found, default=1)) for found in words]
    spare = room - sum(widths)
    if spare < 0:
        return None
    wanting = sorted(range(len(columns)), key=lambda i: natural[i] - widths[i])
    for place, i in enumerate(wanting):
        more = min(natural[i] - widths[i], spare // (len(wanting) - place))
        widths[i] += more
        spare -= more
    return widths


def _cards(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return one block of lines per row, for tables that are wider than the terminal."""
    width = max(map(len, columns))
    blocks = (
        "".join(
            f"{column.ljust(width)}  {cell}\n"
            for column, cell in zip(columns, row, strict=True)
            if cell
        )
        for row in rows
    )
    return "\n".join(blocks)


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines: list[Sequence[str]] = [columns, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )
