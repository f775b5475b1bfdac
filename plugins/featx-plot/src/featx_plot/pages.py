"""Pages of one file: styles, scripts and data inside, and a policy that forbids the network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from featx.store.records import TrackRecord

#: What a page may load: its own styles and scripts, by their hashes, and audio of its own place.
_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src data:; "
    "media-src 'self' file: data:; base-uri 'none'; form-action 'none'"
)

_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
<body>
{body}
{scripts}</body>
</html>
"""


def page(
    title: str, body: str, *, styles: Sequence[str], scripts: Sequence[str] = (), data: Any = None
) -> str:
    """Return a page that loads nothing from the network.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML, in which all text is escaped.
    styles, scripts : sequence of str
        Names of files of this package, joined in this order.
    data : JSON value, optional
        What ``JSON.parse(document.getElementById("data").textContent)`` gives the scripts.
    """
    style = "\n".join(asset(name) for name in styles)
    code = "\n".join(asset(name) for name in scripts)
    blocks = []
    if data is not None:
        blocks.append(f'<script type="application/json" id="data">{script_json(data)}</script>\n')
    if code:
        blocks.append(f"<script>{code}</script>\n")
    policy = _POLICY.format(style=_hash(style), script=_hash(code) if code else "'none'")
    return _PAGE.format(
        policy=policy,
        title=html.escape(shown(title)),
        style=style,
        body=body,
        scripts="".join(blocks),
    )


@cache
def asset(name: str) -> str:
    """Return a file of the folder ``page`` of this package."""
    return (resources.files("featx_plot") / "page" / name).read_text(encoding="utf-8")


def script_json(value: Any) -> str:
    """Return ``value`` as JSON that no parser of HTML takes for anything but text.

    ASCII only; what could end the element or begin a comment is escaped.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def shown(text: str) -> str:
    """Return ``text`` with control characters and undecodable bytes spelled out."""
    return "".join(
        mark
        if unicodedata.category(mark) not in ("Cc", "Cs")
        else mark.encode("unicode_escape").decode("ascii")
        for mark in text
    )


def song_name(record: TrackRecord) -> str:
    """Return the title of a track, or else the name of its file without the suffix."""
    return shown(record.tags.get("title", "").strip() or Path(record.track_id).stem)


def song_details(record: TrackRecord) -> str:
    """Return artist and album of a track, or else its folder."""
    known = [record.tags.get(name, "").strip() for name in ("artist", "album")]
    folder = Path(record.track_id).parent.as_posix()
    return shown(" · ".join(filter(None, known)) or ("" if folder == "." else folder))


def relative_path(path: str, folder: Path) -> str:
    """Return where a file lies as seen from a folder, with slashes."""
    return os.path.relpath(path, folder.resolve()).replace(os.sep, "/")


def relative_url(path: str, folder: Path) -> str:
    """Return `relative_path` as an address; bytes that are no UTF-8 stay what they are."""
    return quote_from_bytes(os.fsencode(relative_path(path, folder)), safe="/")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
