"""Checks before libhdf5 sees a file: hashes in this process, structure in a child."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featx.errors import StoreError
from featx.guarded import Answer, Child, ChildDiedError, Request
from featx.store.catalogue import LedgerView
from featx.store.paths import regular_file, shard_path
from featx.store.seals import seal_fits, user_key

#: Seconds that the check of one file may take, besides one second per 8 MiB.
TIME_LIMIT = 30.0
_BYTES_PER_SECOND = 8 * 2**20


def hash_descriptor(descriptor: int) -> tuple[int, str]:
    """Return size and SHA-256 of an open file, from its first byte on."""
    digest = hashlib.sha256()
    size = 0
    os.lseek(descriptor, 0, os.SEEK_SET)
    while block := os.read(descriptor, 2**20):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()


def hash_file(folder: Path, relative: str) -> tuple[int, str]:
    """Return size and SHA-256 of a plain file below ``folder``, following no link."""
    regular_file(folder, relative)
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(folder / relative, flags)
        try:
            return hash_descriptor(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"{folder / relative} cannot be read: {error.strerror}.") from error


def shard_problem(
    inspector: ChildInspector, folder: Path, relative: str, facts: dict[str, Any]
) -> str:
    """Return what is wrong with a shard, or an empty string.

    ``facts`` are ``size``, ``sha256``, ``recipe`` and ``listing`` of its ledger line.
    """
    try:
        n_bytes = regular_file(folder, relative).st_size
        if n_bytes != facts["size"]:
            return f"it must have {facts['size']} bytes, got {n_bytes}"
        size, sha256 = hash_file(folder, relative)
    except StoreError as error:
        return str(error).rstrip(".")
    if sha256 != facts["sha256"]:
        return "its bytes do not fit the SHA-256 of the ledger"
    answer = inspector.inspect(folder / relative, kind="shard", size=size)
    if "refused" in answer:
        return str(answer["refused"])
    for key in ("recipe", "listing"):
        if answer[key] != facts[key]:
            return f"its {key} does not fit the ledger"
    return ""


class ChildInspector:
    """A supervised child process that opens HDF5 files; started when needed, replaced when dead."""

    def __init__(self, *, time_limit: float = TIME_LIMIT) -> None:
        self._time_limit = time_limit
        self._child: Child | None = None

    def __enter__(self) -> ChildInspector:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def inspect(self, path: Path, *, kind: str, size: int) -> dict[str, Any]:
        """Return what the child finds in ``path``, or ``{"refused": reason}``."""
        limit = self._time_limit + size / _BYTES_PER_SECOND
        request = Request(values={"path": os.fspath(path), "kind": kind})
        reason = ""
        for _ in range(2):  # a child may also be killed for reasons of the machine
            child = self._start()
            try:
                child.send(request, seconds=limit)
                answer: Answer = child.receive(seconds=limit)
            except ChildDiedError as error:
                self._child = None
                if error.cause == "timeout":
                    return {"refused": f"its check did not end within {limit:.0f} s"}
                reason = f"opening it fails: {error.reason}"
            except BaseException:
                self.close()
                raise
            else:
                return dict(answer.values)
        return {"refused": reason}

    def _start(self) -> Child:
        if self._child is None:
            self._child = Child(
                "featx.store.structure:serve",
                answers=[Answer],
                environment={"HDF5_PLUGIN_PRELOAD": "::"},
            )
        return self._child

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child = None


def check_hashes(view: LedgerView) -> None:
    """Raise `StoreError` unless every shard has the bytes that its ledger line promises."""
    for shard in view.shards():
        if hash_file(view.folder, shard.path) != (shard.size, shard.sha256):
            raise StoreError(
                f"{view.folder / shard.path} is damaged: its bytes do not fit the ledger. "
                f"{_remedy(view)}"
            )


def check_sizes(view: LedgerView, recipes: Sequence[str]) -> None:
    """Raise `StoreError` unless every shard of ``recipes`` is there with its size.

    No file is opened: it costs one look at the folder per shard.
    """
    problems = []
    for shard in view.shards(recipes):
        try:
            n_bytes = regular_file(view.folder, shard.path).st_size
        except StoreError as error:
            problems.append(str(error))
            continue
        if n_bytes != shard.size:
            problems.append(
                f"{view.folder / shard.path} must have {shard.size} bytes, got {n_bytes}."
            )
    _complain(view, problems)


def _complain(view: LedgerView, problems: Sequence[str]) -> None:
    if problems:
        more = f" And {len(problems) - 3} more." if len(problems) > 3 else ""
        raise StoreError(
            f"store {view.folder} is damaged: {' '.join(problems[:3])}{more} {_remedy(view)}"
        )


def _remedy(view: LedgerView) -> str:
    return (
        f"featx verify --repair {view.folder} moves damaged shards aside; the next featx run "
        "computes what was in them."
    )


def admit_shards(view: LedgerView, *, time_limit: float = TIME_LIMIT) -> None:
    """Check every shard that this user has neither written here nor seen checked as it is now.

    Raises `StoreError` if one is damaged or missing; the first few are named.
    """
    key = user_key()
    verified = view.verified()
    problems = []
    admitted = []
    with ChildInspector(time_limit=time_limit) as inspector:
        for sid, recipe, sha256, size, sealed, listing in view.shards():
            relative = shard_path(recipe, sha256)
            try:
                status = regular_file(view.folder, relative)
            except StoreError as error:
                problems.append(str(error))
                continue
            now = (status.st_size, status.st_mtime_ns, status.st_ino)
            own = seal_fits(key, sealed, view.folder / relative, sha256, status)
            if status.st_size == size and (own or verified.get(sid) == now):
                continue
            facts = {"size": size, "sha256": sha256, "recipe": recipe, "listing": listing}
            problem = shard_problem(inspector, view.folder, relative, facts)
            if problem:
                problems.append(f"{view.folder / relative}: {problem}.")
            else:
                admitted.append((sid, *now))
    view.remember_verified(admitted)
    _complain(view, problems)
