"""Where featx keeps what can be made again, and files that appear when they are complete."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    r"""Return the folder for weights and other things that can be made again.

    ``FEATX_CACHE`` if set; else the platform's: ``$XDG_CACHE_HOME/featx`` or ``~/.cache/featx``,
    on macOS ``~/Library/Caches/featx``, on Windows ``%LOCALAPPDATA%\featx``. It may not exist yet.
    """
    if chosen := os.environ.get("FEATX_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "featx"
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    base = os.environ.get(variable, "")
    # the XDG specification says that relative paths are to be ignored
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "featx"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside ``path`` that takes its place when the block ends well."""
    temporary = path.with_name(f".featx-{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
