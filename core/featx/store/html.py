"""What a notebook shows of a store and its features."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def html_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a heading and a table in HTML; all cells are escaped, names come from strangers."""

    def line(cells: Iterable[object], mark: str) -> str:
        return "".join(f"<{mark}>{html.escape(str(cell))}</{mark}>" for cell in cells)

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return (
        f"<div><p><b>{html.escape(title)}</b></p><table><thead><tr>{line(columns, 'th')}</tr>"
        f"</thead><tbody>{body}</tbody></table></div>"
    )
