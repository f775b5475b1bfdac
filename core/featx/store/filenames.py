"""File names made of track ids, which may come from strangers."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featx.errors import ParameterError
from featx.folders import replacing

_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|%]')
_LONGEST_NAME = 180
#: What tables cannot hold, or spreadsheets take for a formula; and the sign of the escapes.
_ODD = re.compile(r"[\x00-\x1f\x7f\\\udc80-\udcff]|\A[=+\-@]")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def exported_id(track_id: str) -> str:
    r"""Return a track id as tables have it: one line of valid UTF-8, and no formula.

    Control characters, backslashes, bytes that are not UTF-8, and a first ``=``, ``+``, ``-`` or
    ``@`` become ``\xNN``; different ids stay different, and `read_exported_id` gives them back.
    """
    return _ODD.sub(lambda match: f"\\x{ord(match.group()) & 0xFF:02x}", track_id)


def read_exported_id(text: str) -> str:
    """Return the track id that `exported_id` has written."""
    return _ESCAPED.sub(lambda match: os.fsdecode(bytes.fromhex(match.group(1))), text)


def safe_name(name: str) -> str:
    """Return a relative path for ``name`` that stays below any folder it is joined to."""
    parts = []
    for part in name.split("/"):
        text = _UNSAFE.sub(lambda match: f"%{ord(match.group()):02X}", part)
        if text in {"", ".", ".."}:
            text = "".join(f"%{ord(mark):02X}" for mark in part) or "%"
        if len(os.fsencode(text)) > _LONGEST_NAME:
            digest = hashlib.blake2b(os.fsencode(text), digest_size=6).hexdigest()
            text = f"{os.fsdecode(os.fsencode(text)[: _LONGEST_NAME - 20])}-{digest}"
        parts.append(text)
    return "/".join(parts)


def track_file(folder: Path, track_id: str, suffix: str) -> Path:
    """Return the file of one track below ``folder``."""
    return folder / f"{safe_name(track_id)}{suffix}"


def refuse_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Raise `ParameterError` if one of ``paths`` exists and must not be replaced."""
    existing = [] if overwrite else [path for path in paths if os.path.lexists(path)]
    if existing:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise ParameterError(
            f"output must be a new file, got {existing[0]}{more}, which exists. Choose another "
            f"path, or add --overwrite (overwrite=True) to replace it."
        )


@contextmanager
def text_file(path: Path) -> Iterator[Any]:
    """Open a text file for writing, which appears under its name when it is complete."""
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as stream:
        yield stream
