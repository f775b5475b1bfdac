"""The run lock: two runs on one store do not meet."""

from __future__ import annotations

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
from featx.store.paths import LOCK, create_store


@contextmanager
def lock_store(folder: str | os.PathLike[str]) -> Iterator[int]:
    """Hold the run lock of the store in ``folder``, which is created if need be.

    The lock dies with its holder (it is an advisory lock of the operating system), so a killed run
    leaves nothing to clean up. Writers opened while it is held belong to this run.

    Yields
    ------
    int
        The number of this run, larger than that of every earlier one.

    Raises
    ------
    StoreError
        If another process holds the lock; the message names its pid and host.
    """
    import fcntl

    folder = Path(folder)
    create_store(folder)
    try:
        descriptor = os.open(
            folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666
        )
    except OSError as error:
        raise StoreError(f"{folder} cannot be locked: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            run = next_run(folder)
            _announce(descriptor, run)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                holder = read_announcement(folder)
                raise StoreError(
                    f"{folder} is in use by process {holder.get('pid', 'unknown')} on host "
                    f"{holder.get('host', 'unknown')}. Wait for that run, or stop it."
                ) from error
            remedy = ""
            if error.errno in {errno.ENOLCK, errno.ENOTSUP, errno.EINVAL}:
                remedy = (
                    " Its file system has no locks (flock). Put the store on a local disk and copy "
                    "it afterwards, or mount that file system with locks."
                )
            raise StoreError(f"{folder} cannot be locked: {error.strerror}.{remedy}") from error
        try:
            yield run
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def lock_holder(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return what the last run that took the lock says of itself; None if it ended in order.

    ``held`` is True while it works, and False if it was killed. Nothing is changed.
    """
    import fcntl

    holder = read_announcement(Path(folder))
    if not holder:
        return None
    try:
        descriptor = os.open(Path(folder) / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"{folder} cannot be examined: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return {**holder, "held": error.errno in {errno.EWOULDBLOCK, errno.EACCES}}
    finally:
        os.close(descriptor)
    return {**holder, "held": False}


def _announce(descriptor: int, run: int) -> None:
    """Say in the lock file who holds it."""
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "run": run}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({**holder, "time": time.time_ns()}).encode() + b"\n", 0)
