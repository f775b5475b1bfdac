"""The run lock: two runs on one store do not meet, unless each has a part of the tracks."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featx.errors import StoreError
from featx.store.ledger import next_run, read_announcement
from featx.store.paths import LOCK, TEMPORARY, create_store

_PART = f"{TEMPORARY}part-"
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


@contextmanager
def lock_store(
    folder: str | os.PathLike[str], *, part: tuple[int, int] | None = None
) -> Iterator[int]:
    """Hold the run lock of the store in ``folder``, which is created if need be.

    The lock dies with its holder (it is an advisory lock of the operating system), so a killed run
    leaves nothing to clean up. Writers opened while it is held belong to this run. Runs over
    different parts, ``(number, count)``, hold the lock together; nothing else does meanwhile.

    Yields
    ------
    int
        The number of this run, larger than that of every earlier one.

    Raises
    ------
    StoreError
        If another process holds the lock; the message names its pid and host.
    """
    folder = Path(folder)
    create_store(folder)
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(_locked(folder, LOCK, shared=part is not None))
        if part is not None:
            os.ftruncate(lock, 0)  # no killed run counts as the one that is going on
            lock = stack.enter_context(_locked(folder, part_name(part)))
            stack.callback((folder / part_name(part)).unlink, missing_ok=True)
        run = next_run(folder)
        _announce(lock, run, part)
        stack.callback(os.ftruncate, lock, 0)
        yield run


def part_name(part: tuple[int, int]) -> str:
    """Return the name of the file that the run over one part locks and announces itself in."""
    return f"{_PART}{part[0]}-of-{part[1]}"


@contextmanager
def _locked(folder: Path, name: str, *, shared: bool = False) -> Iterator[int]:
    """Hold the lock on a file in ``folder``; yields its descriptor."""
    import fcntl

    path = folder / name
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StoreError(f"{folder} cannot be locked: {error.strerror}.") from error
        try:
            try:
                mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            except OSError as error:
                raise StoreError(_refusal(folder, name, error)) from error
            if _is_at(descriptor, path):  # its last holder may have removed it meanwhile
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _refusal(folder: Path, name: str, error: OSError) -> str:
    """Return what to say where a lock cannot be taken."""
    if error.errno in _HELD:
        holders = [read_announcement(folder, name)] if name != LOCK else lock_holders(folder)
        holder = next(iter(holders), {})
        others = f", and by {len(holders) - 1} more" if len(holders) > 1 else ""
        part = f" for part {holder['part']}" if holder.get("part") else ""
        return (
            f"{folder} is in use by process {holder.get('pid', 'unknown')} on host "
            f"{holder.get('host', 'unknown')}{part}{others}. Wait for that run, or stop it."
        )
    remedy = ""
    if error.errno in {errno.ENOLCK, errno.ENOTSUP, errno.EINVAL}:
        remedy = (
            " Its file system has no locks (flock). Put the store on a local disk and copy "
            "it afterwards, or mount that file system with locks."
        )
    return f"{folder} cannot be locked: {error.strerror}.{remedy}"


def lock_holders(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return what runs say of themselves that did not end in order, those over parts included.

    ``held`` is True for one that is working, and False for one that was killed. Nothing is changed.
    """
    folder = Path(folder)
    names = [LOCK, *sorted(path.name for path in folder.glob(f"{_PART}*"))]
    announced = ((name, read_announcement(folder, name)) for name in names)
    return [{**holder, "held": _is_held(folder / name)} for name, holder in announced if holder]


def _is_held(path: Path) -> bool:
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:  # the run over a part has just ended
        return False
    except OSError as error:
        raise StoreError(f"{path.parent} cannot be examined: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _HELD
    finally:
        os.close(descriptor)
    return False


def _announce(descriptor: int, run: int, part: tuple[int, int] | None) -> None:
    """Say in the lock file who holds it."""
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "run": run}
    if part is not None:
        holder["part"] = f"{part[0]}/{part[1]}"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({**holder, "time": time.time_ns()}).encode() + b"\n", 0)
