"""featx prune: forgets tracks, recipes and failures, and frees the shards that nobody needs."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.errors import ParameterError
from featx.remote import is_url, missing
from featx.store.catalogue import CommittedShard, LedgerView
from featx.store.locking import lock_store
from featx.store.paths import is_gone, regular_file, sync_folder
from featx.store.reading import open_store
from featx.store.sources import FolderSource
from featx.store.writer import StoreWriter


@dataclass(frozen=True, kw_only=True)
class PruneReport:
    """What `prune` forgets, or would: ids of tracks and recipes, numbers of results and failures.

    Of the tracks, exports and searches still show ``shown``, whose files went since the last run.
    ``shards`` and ``bytes`` are freed. ``shared`` results lie in shards with others that are
    needed; their bytes stay on the disk until those are forgotten, too.
    """

    tracks: tuple[str, ...]
    recipes: tuple[str, ...]
    results: int
    failures: int
    shared: int
    shards: int
    bytes: int
    done: bool
    shown: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


def prune(
    store: str | os.PathLike[str],
    *,
    gone: bool = False,
    recipes: Sequence[str] = (),
    tracks: Sequence[str] = (),
    failed: bool = False,
    dry_run: bool = True,
) -> PruneReport:
    """Forget results of a store folder; a forgotten one counts as never computed.

    Parameters
    ----------
    store : path
        A store folder.
    gone : bool
        Tracks whose file no longer exists.
    recipes : sequence of str
        Recipes, named as the store lists them, such as ``mfcc@0123abcd``.
    tracks : sequence of str
        Ids of tracks.
    failed : bool
        Failed units, so that the next run tries them again.
    dry_run : bool
        Only report what would be forgotten.

    Raises
    ------
    ParameterError
        If nothing is chosen, a name is unknown, or every file of the store is gone.
    StoreError
        If ``store`` is damaged, in use by a run, or cannot be written.
    """
    if not (gone or recipes or tracks or failed):
        raise ParameterError("prune must be given what to delete: gone, recipes, tracks or failed.")
    folder = Path(store).resolve()
    with lock_store(folder) if not dry_run else contextlib.nullcontext():
        with open_store(folder, gone=True) as opened:
            if not isinstance(opened.source, FolderSource):
                raise ParameterError(f"store must be a store folder, got the file {store}.")
            view = opened.source.view
            names = [opened.tracks[name].track_id for name in tracks]
            entry = {
                "tracks": [*names, *(_gone(view, folder) if gone else ())],
                "recipes": [opened.recipe(name).id for name in recipes],
                "units": _failed(view) if failed else [],
            }
            results, shared, freed = view.forgetting(entry)
            shown = len(set(entry["tracks"]) - view.gone()) if gone else 0
        report = PruneReport(
            tracks=tuple(entry["tracks"]),
            recipes=tuple(entry["recipes"]),
            results=results,
            failures=len(entry["units"]),
            shared=shared,
            shards=len(freed),
            bytes=sum(shard.size for shard in freed),
            done=not dry_run,
            shown=shown,
        )
        if not dry_run:
            _forget(folder, entry, freed)
    return report


def _gone(view: LedgerView, folder: Path) -> list[str]:
    names = [record.track_id for record in view.tracks() if is_gone(record.path)]
    urls = {record.track_id: record.path for record in view.tracks() if is_url(record.path)}
    names += itertools.compress(urls, missing(list(urls.values())))
    if names and len(names) == view.count_tracks():
        raise ParameterError(
            f"gone must not remove every track, got a store of {len(names)} tracks in {folder} "
            f"of which no file exists. Is the disk mounted? Otherwise name the tracks one by one."
        )
    return names


def _failed(view: LedgerView) -> list[list[str]]:
    return [
        [item.track_id, item.recipe, item.feature]
        for item in view.current()
        if item.status == "failed"
    ]


def _forget(folder: Path, entry: dict[str, Any], freed: Iterable[CommittedShard]) -> None:
    """Commit first, then delete: a kill in between leaves files that no ledger commits.

    Shards are revoked before their tracks are forgotten, so that the same command can be repeated.
    """
    with StoreWriter(folder, provenance={}) as writer:
        writer.revoke([(shard.recipe, shard.sha256) for shard in freed])
        writer.forget(**entry)
    for shard in freed:
        path = folder / shard.path
        regular_file(folder, shard.path)
        path.unlink()
        sync_folder(path.parent)
