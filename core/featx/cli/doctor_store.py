"""``featx doctor STORE``: the health of a store, without changing it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from featx.cli.doctor import Finding
from featx.commands import counted, duration_text, progress, size_text

if TYPE_CHECKING:
    from featx.store import VerifyReport

#: Less free space than this stops a run soon, or is worth a note.
_TOO_LITTLE, _LITTLE = 100e6, 2e9


def examine_store(store: Path) -> Iterator[Finding]:
    """Check ledgers, every shard, leftovers, lock, space, and what became of the tracks."""
    from featx.store import verify
    from featx.store.locking import lock_holders
    from featx.store.paths import is_store_folder

    with progress("shards") as advance:
        report = verify(store, rebuild=False, progress=advance)
    is_folder = is_store_folder(store)
    readable = not any(item.path.startswith("ledger") for item in report.damage)
    gone = _count(store, report) if is_folder and readable else 0
    yield _content(report)
    yield from _damage(report, is_folder=is_folder)
    if is_folder:
        holders = lock_holders(store)
        yield from map(_lock, holders) if holders else [_lock(None)]
        yield from _leftovers(store, report, in_use=any(holder["held"] for holder in holders))
        yield _space(store)
    yield from _tracks(store, report, gone)


def _count(store: Path, report: VerifyReport) -> int:
    """Add what the ledgers say to a report, and return the number of tracks without a file."""
    from featx.store import LedgerView
    from featx.store.paths import is_gone

    with LedgerView(store) as view:
        report.tracks = view.count_tracks()
        report.failed = sum(outcome.status == "failed" for outcome in view.current())
        report.lost = sum(view.lost(recipe.id) for recipe in view.recipes())
        return sum(is_gone(record.path) for record in view.tracks())


def _content(report: VerifyReport) -> Finding:
    shards = "" if report.shards is None else f", {counted(report.shards, 'shard')}"
    detail = f"{report.path}: {counted(report.tracks, 'track')}{shards}, {size_text(report.bytes)}"
    return Finding(check="store", status="ok", detail=detail)


def _damage(report: VerifyReport, *, is_folder: bool) -> Iterator[Finding]:
    """Report what is damaged in ledgers and shards, and what went with repaired shards."""
    for item in report.damage:
        if not is_folder:
            remedy = "Merge it again from its store: featx merge STORE -o FILE --overwrite"
        elif item.path.startswith("ledger"):
            remedy = "Restore it from a copy; without it nothing can be repaired."
        else:
            remedy = f"Run: featx verify {report.path} --repair; the next run computes it again."
        yield Finding(check=item.path, status="FAILED", detail=f"{item.problem} {remedy}")
    if not report.damage:
        yield Finding(check="bytes", status="ok", detail="all as committed, by their SHA-256")
    for note in report.notes:
        yield Finding(check="ledgers", status="note", detail=note)
    if report.lost:
        detail = (
            f"{counted(report.lost, 'result')} lost with damaged shards. The next featx run with "
            "the same arguments computes them again."
        )
        yield Finding(check="lost", status="note", detail=detail)


def _lock(holder: dict[str, object] | None) -> Finding:
    if holder is None:
        return Finding(check="lock", status="ok", detail="free")
    began = holder.get("time")
    ago = duration_text(time.time() - began / 1e9) if isinstance(began, int) else "some time"
    who = f"run {holder.get('run')}, process {holder.get('pid')} on {holder.get('host')}"
    if holder["held"]:
        detail = f"held for {ago} by {who}. Wait for it, or stop it; a new run then resumes."
    else:
        detail = f"free; {who}, begun {ago} ago, was killed. Run the same command to resume."
    return Finding(check="lock", status="note", detail=detail)


def _leftovers(store: Path, report: VerifyReport, *, in_use: bool) -> Iterator[Finding]:
    if not report.leftovers:
        return
    size = sum(_size(store / name) for name in report.leftovers)
    found = f"{counted(len(report.leftovers), 'file')} ({size_text(size)}) that no ledger names"
    remedy = f"Killed runs left them; to remove them run: featx verify {report.path} --clean"
    if in_use:
        remedy = "The run that is going on may be writing them."
    yield Finding(check="leftovers", status="note", detail=f"{found}. {remedy}")


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _space(store: Path) -> Finding:
    free = shutil.disk_usage(store).free
    detail = f"{size_text(free)} free"
    if not os.access(store, os.W_OK | os.X_OK):
        detail += "; the folder is read-only for this user. Copy the store to add to it."
        return Finding(check="space", status="note", detail=detail)
    if free < _LITTLE:
        detail += ". Free some; featx plan estimates how much a run needs."
    if free < _TOO_LITTLE:
        return Finding(check="space", status="FAILED", detail=detail)
    return Finding(check="space", status="note" if free < _LITTLE else "ok", detail=detail)


def _tracks(store: Path, report: VerifyReport, gone: int) -> Iterator[Finding]:
    """Report failures, and files that are gone."""
    if report.failed:
        detail = f"{counted(report.failed, 'result')} failed. Codes and meanings: featx ls {store}"
        yield Finding(check="failures", status="note", detail=detail)
    if gone:
        detail = (
            f"{counted(gone, 'track')} whose file is gone. If the files were moved, give the new "
            f"folder to featx run; to forget them run: featx prune {store} --gone"
        )
        yield Finding(check="files", status="note", detail=detail)
