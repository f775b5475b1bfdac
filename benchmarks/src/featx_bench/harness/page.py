"""The page of results: one file that opens anywhere and asks nothing of the network."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from featx.manifest import read_manifest

if TYPE_CHECKING:
    from featx_bench.harness.tables import Table

__all__ = ["write_page"]


def write_page(table: Table, path: Path) -> Path:
    """Write the page of ``table``; audio is linked relative to it.

    Returns
    -------
    Path
        ``path``.
    """
    summary = table.summary
    document = {
        "featx": summary["featx"],
        "finished": summary["finished"],
        "machine": summary["machine"],
        "competitors": len(summary["competitors"]),
        "tasks": {name: _task(table, name, path.parent) for name in table.tasks},
    }
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, default=list)
    page = _file("page.html")
    for mark, content in (
        ("/*STYLE*/", _file("page.css")),
        ("/*SCRIPT*/", _file("page.js")),
        # nothing in the data may end the script element
        ("/*DATA*/", text.replace("<", "\\u003c")),
    ):
        before, _, after = page.partition(mark)
        page = before + content + after
    path.write_text(page, encoding="utf-8")
    return path


def _task(table: Table, name: str, folder: Path) -> dict[str, Any]:
    fields = table.tasks[name]
    metric = fields["metric"]
    tracks = {
        text: cell.metrics[metric]["tracks"]
        for (task, text), cell in table.cells.items()
        if task == name and cell.measured and metric in cell.metrics
    }
    shown = {track for values in tracks.values() for track in values}
    return {
        "summary": fields["summary"],
        "rows": [asdict(row) for row in table.rows(name)],
        "tracks": tracks,
        "paths": _paths(fields["manifest"], shown, folder),
    }


def _paths(manifest: str, tracks: set[str], folder: Path) -> dict[str, str]:
    """Return addresses of audio files relative to ``folder``."""
    if not manifest or not Path(manifest).is_file():
        return {}
    return {
        row.track_id: quote(Path(os.path.relpath(row.path, folder.resolve())).as_posix())
        for row in read_manifest(manifest)
        if row.track_id in tracks
    }


def _file(name: str) -> str:
    return resources.files("featx_bench.harness").joinpath(name).read_text(encoding="utf-8")
