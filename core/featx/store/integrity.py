"""featx verify: checks that every byte of a store is what was committed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from featx.errors import ParameterError, StoreError
from featx.store.admission import TIME_LIMIT, ChildInspector, shard_problem
from featx.store.catalogue import LedgerView
from featx.store.ingest import MALFORMED
from featx.store.ledger import ledger_files, read_lines
from featx.store.locking import lock_store
from featx.store.paths import (
    DAMAGED,
    LEDGERS,
    SHARDS,
    TEMPORARY,
    is_merged_file,
    is_store_folder,
    plain_folder,
    regular_file,
    shard_path,
    store_id,
    sync_folder,
)
from featx.store.records import listing_hash


@dataclass(frozen=True)
class Damage:
    """A file and what is wrong with it."""

    path: str
    problem: str


@dataclass
class VerifyReport:
    """What `verify` found.

    ``damage`` empty means that every committed byte is intact. ``repaired`` is damage that this
    call took out of the store, ``lost`` counts values that went with it, now or earlier, and were
    not computed again since. ``leftovers`` are files that killed writers left behind (temporary
    files, shards that no ledger commits); readers ignore them. ``shards`` is None for merged files.
    """

    path: str
    shards: int | None = 0
    bytes: int = 0
    tracks: int = 0
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    damage: list[Damage] = field(default_factory=list)
    repaired: list[Damage] = field(default_factory=list)
    lost: int = 0
    leftovers: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def intact(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damage

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "intact": self.intact}


def verify(
    path: str | os.PathLike[str],
    *,
    rebuild: bool = True,
    clean: bool = False,
    repair: bool = False,
    time_limit: float = TIME_LIMIT,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check a store folder or a merged file completely and make its caches again.

    Sizes and hashes are checked before libhdf5 sees a file, and its structure in a child process
    with a time limit.

    Parameters
    ----------
    path : path
        A store folder, or a file made by ``featx merge``.
    rebuild : bool
        Make the catalogue again from the ledgers.
    clean : bool
        Remove leftovers of killed writers; needs the run lock, and ledgers without damage.
    repair : bool
        Move damaged shards into the folder ``damaged`` of the store and revoke them and missing
        ones, so that the store opens again and the next run computes what they held. Nothing is
        deleted. Needs the run lock, and ledgers without damage.
    time_limit : float > 0
        Seconds that the structure of one file may take, besides one second per 8 MiB.
    progress : callable or None
        Called with the number of checked shards and of all shards.

    Returns
    -------
    VerifyReport

    Raises
    ------
    StoreError
        If ``path`` is not a store, or ``clean`` or ``repair`` meets a run that is going on.
    ParameterError
        If ``clean`` or ``repair`` is asked of a merged file.
    """
    started = time.monotonic()
    path = Path(path).resolve()
    report = VerifyReport(path=str(path))
    if is_merged_file(path):
        if clean or repair:
            raise ParameterError(
                f"clean and repair require a store folder, got {path}. Merge it again."
            )
        _verify_merged(path, report, time_limit)
        report.seconds = time.monotonic() - started
        return report
    if not is_store_folder(path):
        raise StoreError(f"store must be a store folder or a merged file, got {path}.")
    store_id(path)
    with lock_store(path) if clean or repair else contextlib.nullcontext():
        present = sorted(_present(path))
        committed = _read_ledgers(path, report)
        _check_shards(path, committed, report, time_limit=time_limit, progress=progress)
        report.leftovers = [name for name in present if name not in committed]
        if repair:
            _repair(path, committed, report)
        if clean:
            _clean(path, report)
    if rebuild and not any(item.path.startswith(LEDGERS) for item in report.damage):
        _rebuild(path, committed, report)
    report.seconds = time.monotonic() - started
    return report


def _verify_merged(path: Path, report: VerifyReport, time_limit: float) -> None:
    from featx.store.merged import MergedSource, merged_problem, remember_merged

    report.bytes = path.stat().st_size
    report.shards = None
    problem = merged_problem(path, time_limit=time_limit)
    if problem:
        report.damage.append(Damage(path.name, problem))
        return
    remember_merged(path)
    source = MergedSource(path)
    try:
        _count(source, report)
    finally:
        source.close()


def _count(source: Any, report: VerifyReport) -> None:
    report.tracks = source.count_tracks()
    for item in source.current():
        setattr(report, item.status, getattr(report, item.status) + 1)


def _present(folder: Path) -> Iterator[str]:
    """Yield every file of the store that may be a shard or a temporary file."""
    for entry in folder.iterdir():
        if entry.name.startswith(TEMPORARY):
            yield entry.name
    base = folder / SHARDS
    if base.is_symlink() or not base.is_dir():
        return
    for recipe in base.iterdir():
        if recipe.is_symlink() or not recipe.is_dir():
            yield f"{SHARDS}/{recipe.name}"
        else:
            yield from (f"{SHARDS}/{recipe.name}/{entry.name}" for entry in recipe.iterdir())


def _read_ledgers(folder: Path, report: VerifyReport) -> dict[str, dict[str, Any]]:
    """Return what the ledgers say of each shard, noting damaged ledgers in the report."""
    committed: dict[str, dict[str, Any]] = {}
    revoked: dict[str, int] = {}
    try:
        files = ledger_files(folder)
    except StoreError as error:
        report.damage.append(Damage(LEDGERS, str(error)))
        return committed
    for ledger in files:
        name = f"{LEDGERS}/{ledger.name}"
        offset = 0
        try:
            for offset, entry in read_lines(folder, ledger.name):  # noqa: B007  (used below)
                if entry.get("kind") == "shard":
                    relative = shard_path(entry["recipe"], entry["sha256"])
                    before = committed.get(relative, {"stamp": -1})["stamp"]
                    committed[relative] = {
                        "size": entry["size"],
                        "sha256": entry["sha256"],
                        "recipe": entry["recipe"],
                        "listing": listing_hash(entry["described"], entry["units"]),
                        "stamp": max(entry["stamp"], before),
                    }
                    for sha256, _ in entry.get("origins", ()):
                        relative = shard_path(entry["recipe"], sha256)
                        revoked[relative] = max(entry["stamp"], revoked.get(relative, -1))
                elif entry.get("kind") == "revoke":
                    for shard in entry["shards"]:
                        relative = shard_path(*shard)
                        revoked[relative] = max(entry["stamp"], revoked.get(relative, -1))
        except MALFORMED as error:
            report.damage.append(Damage(name, f"{error}" or type(error).__name__))
            continue
        if offset < ledger.size:
            report.notes.append(
                f"{name}: the last line was cut off at byte {offset}; what it began never counted."
            )
    return {
        relative: facts
        for relative, facts in committed.items()
        if facts["stamp"] > revoked.get(relative, -1)
    }


def _check_shards(
    folder: Path,
    committed: dict[str, dict[str, Any]],
    report: VerifyReport,
    *,
    time_limit: float,
    progress: Callable[[int, int], None] | None,
) -> None:
    with ChildInspector(time_limit=time_limit) as inspector:
        for number, (relative, facts) in enumerate(sorted(committed.items())):
            problem = shard_problem(inspector, folder, relative, facts)
            if problem:
                report.damage.append(Damage(relative, problem))
            else:
                report.bytes += facts["size"]
            if progress is not None:
                progress(number + 1, len(committed))
    report.shards = len(committed)


def _repair(folder: Path, committed: dict[str, dict[str, Any]], report: VerifyReport) -> None:
    """Move damaged shards aside, then revoke them; a kill in between leaves a missing shard."""
    from featx.store.writer import StoreWriter

    if any(item.path.startswith(LEDGERS) for item in report.damage):
        report.notes.append(
            "Nothing was repaired: shards can be revoked only where all ledgers are intact. "
            "Restore the damaged ledger from a copy."
        )
        return
    report.repaired = [item for item in report.damage if item.path in committed]
    plain_folder(folder, SHARDS)
    for item in report.repaired:
        if (folder / item.path).parent.is_symlink():  # what lies behind it is not the store's
            report.notes.append(f"{item.path} was not moved: its folder is a link.")
        else:
            _move_aside(folder, item.path)
    with contextlib.closing(StoreWriter(folder, provenance={})) as writer:
        facts = [committed.pop(item.path) for item in report.repaired]
        writer.revoke([(fact["recipe"], fact["sha256"]) for fact in facts])
    report.shards = len(committed)
    report.damage = [item for item in report.damage if item not in report.repaired]


def _move_aside(folder: Path, relative: str) -> None:
    """Move one file into the folder of damaged ones, where nothing of the same name is replaced."""
    source = folder / relative
    if not os.path.lexists(source):
        return
    (folder / DAMAGED).mkdir(exist_ok=True)
    target_folder = plain_folder(folder, DAMAGED)
    stem = f"{source.parent.name}-{source.stem}"
    names = (f"{stem}{f'-{number}' if number else ''}{source.suffix}" for number in range(10_000))
    target = next(path for name in names if not os.path.lexists(path := target_folder / name))
    source.rename(target)
    sync_folder(target_folder)
    sync_folder(source.parent)


def _clean(folder: Path, report: VerifyReport) -> None:
    if any(item.path.startswith(LEDGERS) for item in report.damage):
        report.notes.append(
            "Nothing was removed: with a damaged ledger, shards may only seem to be left over."
        )
        return
    for name in report.leftovers:
        target = folder / name
        if target.is_dir() and not target.is_symlink():
            report.notes.append(f"{name} is a folder that does not belong here; it was kept.")
            continue
        target.unlink()
        report.removed.append(name)
    report.leftovers = [name for name in report.leftovers if name not in set(report.removed)]


def _note_outdated(view: LedgerView, report: VerifyReport) -> None:
    names = {recipe.id: recipe.extractor for recipe in view.recipes()}
    for recipe, feature, count in view.outdated():
        report.notes.append(
            f"{names[recipe]}@{recipe}.{feature}: {count} values follow an earlier description of "
            "this output (other dimension, type, units or columns) and are skipped; featx run "
            "computes them again. The extractor changed without a new version."
        )


def _rebuild(folder: Path, committed: dict[str, dict[str, Any]], report: VerifyReport) -> None:
    """Make the catalogue again and note in it which shards are intact."""
    damaged = {item.path for item in report.damage}
    try:
        with LedgerView(folder) as view:
            view.rebuild()
            intact = []
            for shard in view.shards():
                if shard.path in committed and shard.path not in damaged:
                    status = regular_file(folder, shard.path)
                    intact.append((shard.sid, status.st_size, status.st_mtime_ns, status.st_ino))
            view.remember_verified(intact)
            _note_outdated(view, report)
            report.lost = sum(view.lost(recipe.id) for recipe in view.recipes())
            _count(view, report)
    except StoreError as error:
        report.damage.append(Damage(LEDGERS, str(error)))
