"""How kernels are compiled, and where the compiled code is kept.

Numba files compiled code by the source of the function itself and does not see that something it
calls or something that writes its code has changed. Therefore the folder is named after a hash of
all sources that a kernel may be made of: a changed kernel never meets stale code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.caching import IndexDataCacheFile

from featx.folders import cache_folder


def kernel(function: Callable) -> Callable:
    """Compile ``function`` on first use; it runs without the interpreter lock.

    A decorator for kernels of featx and of plugins. The compiled code is kept in a folder named
    after a hash of the sources of `featx.kernels` and of the package that the function belongs to;
    where nothing can be written, and for functions without a file, every process compiles for
    itself.

    Parameters
    ----------
    function : function
        Takes arrays and scalars and writes into its last arrays; returns nothing, allocates
        nothing, raises nothing.

    Returns
    -------
    function
        The compiled function; the function itself under ``NUMBA_DISABLE_JIT=1``.
    """
    folder = None
    if Path(function.__code__.co_filename).is_file():
        folder = kernel_folder(function.__module__.partition(".")[0])
    if folder is None:
        return njit(nogil=True, error_model="numpy")(function)
    # numba reads the folder when it decorates; other people's kernels keep theirs
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        compiled = njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before
    if not config.DISABLE_JIT:
        compiled._cache._cache_file.__class__ = FilesBySignature
    return compiled


class FilesBySignature(IndexDataCacheFile):
    """Compiled code of a function, in files named after the signature it was compiled for.

    numba numbers the files. Two processes that compile two signatures at the same time may both
    take the same number: one's code is then found under the other's signature.
    """

    def save(self, key: Any, data: Any) -> None:
        """Write the code, then the index; a name lost from the index costs one compilation."""
        digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
        name = self._data_name(int.from_bytes(digest, "big"))
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})


def part(function: Callable) -> Callable:
    """Mark a part of a kernel: its code goes into every kernel that calls it.

    A function that is compiled on its own and then linked is optimised again with its caller, and
    once more with the caller's caller. Large parts are therefore compiled where they are used.

    Parameters
    ----------
    function : function
        Called by functions under `kernel` or `part` only. It may return values.

    Returns
    -------
    function
    """
    return njit(nogil=True, error_model="numpy", inline="always")(function)


def on_compile(tell: Callable[[], None]) -> None:
    """Call ``tell`` in this thread when a function begins to be compiled; loading one is none."""
    from numba.core import event

    home = threading.get_ident()

    class _Listener(event.Listener):
        def on_start(self, _: object) -> None:
            if threading.get_ident() == home:
                tell()

        def on_end(self, _: object) -> None:
            """Nothing to tell."""

    event.register("numba:compile", _Listener())


@cache
def kernel_folder(package: str = "featx") -> Path | None:
    """Return the folder for compiled kernels of a top-level package, made if need be.

    What lies in it is run: below a base it is ours alone at every level. None if there is no such
    folder that can be written.
    """
    name = f"kernels-{package.strip('_')}-{_sources_hash(package)}"
    for base, *levels in _bases():
        try:
            folder = Path(base)
            folder.mkdir(parents=True, exist_ok=True)
            for level in (*levels, name):
                folder = folder / level
                folder.mkdir(mode=0o700, exist_ok=True)
                if not _is_ours(folder):
                    break
            else:
                if os.access(folder, os.W_OK | os.X_OK):
                    return folder
        except OSError:
            continue
    return None


def _is_ours(folder: Path) -> bool:
    """Return whether ``folder`` is no link, belongs to this user, and nobody else may write."""
    about = folder.lstat()
    if not hasattr(os, "getuid"):
        return stat.S_ISDIR(about.st_mode)
    writable = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not writable


def _sources_hash(package: str) -> str:
    """Return a hash of the sources of `featx.kernels` and of all modules of a package."""
    digest = hashlib.blake2b(digest_size=6)
    paths = sorted(Path(__file__).parent.glob("*.py"))
    if package != "featx":
        module = sys.modules.get(package)
        for folder in getattr(module, "__path__", ()):
            paths += sorted(Path(folder).rglob("*.py"))
        if file := getattr(module, "__file__", None):
            paths.append(Path(file))
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _bases() -> Iterator[tuple[str | Path, ...]]:
    """Yield candidates with the levels below them that must be ours.

    These are numba's own variable, the cache folder of featx, and the temporary folder.
    """
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield (chosen,)
    with contextlib.suppress(RuntimeError):  # the user may have no home
        yield (cache_folder(),)
    user = os.getuid() if hasattr(os, "getuid") else "user"
    with contextlib.suppress(OSError):  # none that can be written
        yield tempfile.gettempdir(), f"featx-{user}"
