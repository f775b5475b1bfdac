"""What commands write: tables, JSON, progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from featx.progress import Meter


def echo_json(value: Any) -> None:
    """Write ``value`` as indented JSON to stdout; names that are not UTF-8 are escaped."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    click.echo(text)


def echo_json_line(value: Any) -> None:
    """Write ``value`` as one line of JSON in ASCII to stdout, at once."""
    import json

    click.echo(json.dumps(value))


@contextmanager
def meter(unit: str, total: int | None = None) -> Iterator[Meter]:
    """Show on stderr how far a command is: a bar on a terminal, a line every 30 s elsewhere.

    Parameters
    ----------
    unit : str
        What is counted, in the plural.
    total : int, optional
        How many there are. Without it the block calls ``begin`` itself.
    """
    from featx.progress import choose_meter

    shown = choose_meter(unit)
    if total is not None:
        shown.begin(total)
    try:
        yield shown
    finally:
        shown.end()


@contextmanager
def progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show a `meter` by calls of ``advance(done, total)``, which functions take as ``progress``."""
    with meter(unit) as shown:
        begun = False

        def advance(done: int, total: int) -> None:
            nonlocal begun
            if not begun:
                shown.begin(total)
                begun = True
            shown.update(done)

        yield advance


_MINUTE, _HOUR, _TENTHS = 60, 3600, 10.0


def duration_text(seconds: float | None) -> str:
    """Return ``0.4 s``, ``12 s``, ``3 min`` or ``2 h 5 min``; ``unknown`` for None."""
    if seconds is None:
        return "unknown"
    if seconds < _TENTHS:
        return f"{seconds:.1f} s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    if seconds < 2 * _HOUR:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def size_text(size: float | None) -> str:
    """Return ``512 B``, ``1.5 kB`` or ``3 GB``, in powers of 1000; ``unknown`` for None."""
    if size is None:
        return "unknown"
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"


def printable(text: str) -> str:
    """Return ``text`` with control characters spelled out: names may come from strangers."""
    if text.isprintable():
        return text
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii")
        for mark in text
    )


def echo_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    styles: Mapping[str, str] | None = None,
) -> None:
    """Write a table: by rich on a terminal, as plain aligned columns into pipes and files.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : sequence of sequences of str
        As many cells each. Control characters are spelled out: cells hold words of plugins and
        files, which could otherwise steer the terminal.
    title : str
        Above the table, on a terminal only.
    styles : mapping of str to str, optional
        Colours of cells on a terminal by their text, such as ``{"fail": "red"}``.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
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
        click.echo(_cards(columns, rows, console.width), nl=False)
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
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in row))
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
    widths = [min(_LONG_WORD, max(lengths, default=1)) for lengths in words]
    spare = room - sum(widths)
    if spare < 0:
        return None
    wanting = sorted(range(len(columns)), key=lambda i: natural[i] - widths[i])
    for place, i in enumerate(wanting):
        more = min(natural[i] - widths[i], spare // (len(wanting) - place))
        widths[i] += more
        spare -= more
    return widths


def _cards(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return one block of lines per row, for tables that are wider than the terminal."""
    head = max(map(len, columns)) + _TABLE_GAP
    blocks = (
        "".join(
            f"{column.ljust(head)}{line}\n"
            for column, cell in zip(columns, row, strict=True)
            if cell
            for column, line in _hanging(column, cell, width - head)
        )
        for row in rows
    )
    return "\n".join(blocks)


def _hanging(column: str, cell: str, width: int) -> Iterator[tuple[str, str]]:
    """Yield a cell in lines, the first beside the name of its column; paths stay whole."""
    import textwrap

    lines = textwrap.wrap(
        cell, max(width, _LONG_WORD), break_long_words=False, break_on_hyphens=False
    )
    for number, line in enumerate(lines or [""]):
        yield ("" if number else column), line


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines: list[Sequence[str]] = [columns, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )
