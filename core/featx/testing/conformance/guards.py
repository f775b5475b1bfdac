"""Watches a process for what a plugin must not do: unpickle, reach the network, write files.

These are checks for honest mistakes in a child process, not a sandbox: code that means harm, or
that goes around Python, is not stopped.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

#: Packages that unpickle what they have written themselves.
_PICKLE_USERS = ("numba", "multiprocessing", "concurrent")

#: Endings of numba's cache of compiled kernels, written beside the modules.
_KERNEL_CACHE = (".nbi", ".nbc")

_DESCRIPTORS = "/proc/self/fd"

_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

#: Audit events that change the file system: where their path is, and its folder's descriptor.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.chmod": ((0, 2),),
    "os.truncate": ((0, None),),
}

_NETWORK = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
)


class Guards:
    """Findings of one process; `install` cannot be undone, so only children call it.

    Parameters
    ----------
    allowed : sequence of Path
        Folders that may be written to.
    """

    def __init__(self, allowed: Sequence[Path]) -> None:
        self._allowed = tuple(os.path.realpath(folder) for folder in allowed)
        self._quiet = False
        self.pickles: list[str] = []
        self.network: list[str] = []
        self.writes: list[str] = []

    def install(self) -> None:
        """Start watching, for as long as the process lives."""
        self._watch_pickle()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self._quiet:
            return
        if event == "open":
            path, mode, flags = args
            writing = any(letter in (mode or "") for letter in "wax+") or flags & _WRITE_FLAGS
            if writing:
                self._note_write(path)
        elif event in _CHANGES:
            for path, folder in _CHANGES[event]:
                descriptor = -1 if folder is None else args[folder]
                self._note_write(args[path], descriptor, makes_folder=event == "os.mkdir")
        elif event == "pickle.find_class":
            self._note_pickle(f"{args[0]}.{args[1]}")
        elif event in _NETWORK:
            self._note_network(event, args)

    def _note_write(self, path: Any, folder: int = -1, *, makes_folder: bool = False) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        if folder >= 0 and not os.path.isdir(_DESCRIPTORS):  # noqa: PTH112
            return  # the target of a descriptor is unknown; what made its folder was recorded
        self._quiet = True  # realpath must not be heard itself
        try:
            base = f"{_DESCRIPTORS}/{folder}" if folder >= 0 else ""
            name = os.path.realpath(os.path.join(base, os.fsdecode(path)))  # noqa: PTH118
        finally:
            self._quiet = False
        inside = any(
            name == folder or name.startswith(folder + os.sep)
            for folder in (*self._allowed, "/dev", "/proc")
        )
        # a cache folder that is made for the first time may need the folders above it
        inside |= makes_folder and any(f.startswith(name + os.sep) for f in self._allowed)
        if not inside and not name.endswith(_KERNEL_CACHE) and not _in_kernel_cache():
            self.writes.append(f"{name} ({_caller()})")

    def _note_network(self, event: str, args: tuple[Any, ...]) -> None:
        address = (
            args[1] if event in ("socket.connect", "socket.bind", "socket.sendto") else args[0]
        )
        if isinstance(address, (str, bytes)) and event in ("socket.connect", "socket.bind"):
            return  # a socket of this machine's file system
        self.network.append(f"{event} {address!r} ({_caller()})")
        raise PermissionError(
            f"the conformance check refuses {event} to {address!r}: extractors do not use the "
            "network; weights come from featx weights fetch"
        )

    def _note_pickle(self, what: str) -> None:
        if not _called_by(_PICKLE_USERS):
            self.pickles.append(f"{what} ({_caller()})")

    def _watch_pickle(self) -> None:
        import _pickle

        original = {name: getattr(pickle, name) for name in ("load", "loads")}
        base = pickle.Unpickler
        guards = self

        class Unpickler(base):  # type: ignore[misc, valid-type]
            def load(self) -> Any:
                guards._note_pickle("pickle.Unpickler.load")
                return super().load()

        def watched(name: str) -> Callable[..., Any]:
            def call(*args: Any, **settings: Any) -> Any:
                guards._note_pickle(f"pickle.{name}")
                return original[name](*args, **settings)

            return call

        for module in (pickle, _pickle):
            vars(module).update(load=watched("load"), loads=watched("loads"), Unpickler=Unpickler)


def _modules_above() -> list[str]:
    """Return the names of the modules on the stack, innermost first."""
    frame: FrameType | None = sys._getframe(1)
    names = []
    while frame is not None:
        names.append(str(frame.f_globals.get("__name__", "")))
        frame = frame.f_back
    return names


def _called_by(packages: Sequence[str]) -> bool:
    return any(name.partition(".")[0] in packages for name in _modules_above())


def _in_kernel_cache() -> bool:
    return "numba.core.caching" in _modules_above()


def _caller() -> str:
    """Return the innermost place that is neither this module nor the standard library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        root = name.partition(".")[0]
        if name != __name__ and root not in sys.stdlib_module_names:
            return f"by {name}, line {frame.f_lineno}"
        frame = frame.f_back
    return "by the standard library"
