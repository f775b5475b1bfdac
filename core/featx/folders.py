"""Where featx keeps what can be made again, and how files are replaced and told apart."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
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


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    import hashlib

    with open(path, "rb") as stream:  # noqa: PTH123  (text as well)
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside ``path`` that takes its place when the block ends well."""
    import tempfile

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes private files
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
