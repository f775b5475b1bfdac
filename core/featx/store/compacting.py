"""featx compact: many small shards of a store become few larger ones."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError
from featx.store.admission import check_hashes
from featx.store.catalogue import ShardContent
from featx.store.labels import decode
from featx.store.locking import lock_store
from featx.store.paths import is_store_folder, regular_file, sync_folder
from featx.store.records import Cost, Recipe, TrackRecord
from featx.store.sources import Block, FolderSource
from featx.store.writer import StoreWriter

if TYPE_CHECKING:
    from featx.types import AnyArray

#: What a shard holds at most after compaction; they bound its ledger line, and the memory that
#: making it takes.
TARGET_TRACKS = 4096
TARGET_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class CompactReport:
    """What `compact` did: numbers of shards of the store and their bytes, before and after."""

    shards_before: int
    shards: int
    bytes_before: int
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(kw_only=True)
class _Shard:
    """A small shard: its rows that are needed, and what it says of them."""

    content: ShardContent
    ids: list[str]
    provenance: str


@dataclass(kw_only=True)
class _Batch:
    """Shards that become one."""

    shards: list[_Shard] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    size: int = 0

    def takes(self, shard: _Shard) -> bool:
        """Whether the shard fits; no track may be twice in one."""
        return (
            self.size + shard.content.shard.size <= TARGET_BYTES
            and len(self.ids) + len(shard.ids) <= TARGET_TRACKS
            and self.ids.isdisjoint(shard.ids)
        )

    def add(self, shard: _Shard) -> None:
        """Take a shard."""
        self.shards.append(shard)
        self.ids.update(shard.ids)
        self.size += shard.content.shard.size


def compact(store: str | os.PathLike[str]) -> CompactReport:
    """Rewrite small shards of a store folder into larger ones; all values stay as they are.

    Shards become one if they have the same recipe, features and provenance. Rows that no track
    needs any more are dropped. A new shard takes the place of the old ones in one transaction, and
    then these are deleted: a kill leaves files that ``featx verify --clean`` removes.

    Parameters
    ----------
    store : path
        A store folder.

    Raises
    ------
    ParameterError
        If ``store`` is no store folder.
    StoreError
        If it is damaged, in use by a run, or cannot be written.
    """
    folder = Path(store).resolve()
    if not is_store_folder(folder):
        raise ParameterError(f"store must be a store folder, got {store}.")
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock_store(folder))
        source = stack.enter_context(contextlib.closing(FolderSource(folder, gone=True)))
        before = source.view.shards()
        check_hashes(source.view)
        writers: dict[str, StoreWriter] = {}
        for recipe in source.view.recipes():
            for batch in _batches(source, recipe):
                provenance = batch[0].provenance
                if provenance not in writers:
                    writer = StoreWriter(folder, provenance=json.loads(provenance))
                    writers[provenance] = stack.enter_context(writer)
                _rewrite(writers[provenance], source, recipe, batch)
        source.view.refresh()
        after = source.view.shards()
    return CompactReport(
        shards_before=len(before),
        shards=len(after),
        bytes_before=sum(shard.size for shard in before),
        bytes=sum(shard.size for shard in after),
    )


def _batches(source: FolderSource, recipe: Recipe) -> Iterator[list[_Shard]]:
    """Yield what is to become one shard, two shards or more at a time."""
    open_batches: dict[tuple[str, str], _Batch] = {}
    for content in source.view.contents(recipe.id):
        if 2 * content.shard.size > TARGET_BYTES or 2 * len(content.rows) > TARGET_TRACKS:
            continue
        shard = _read(source, content)
        key = (content.layout, shard.provenance)
        batch = open_batches.setdefault(key, _Batch())
        if not batch.takes(shard):
            if len(batch.shards) > 1:
                yield batch.shards
            batch = open_batches[key] = _Batch()
        batch.add(shard)
    yield from (batch.shards for batch in open_batches.values() if len(batch.shards) > 1)


def _read(source: FolderSource, content: ShardContent) -> _Shard:
    with source.lock:
        ids = source.ids(content.shard.sid)
        provenance = source.provenance(content.shard.sid)
    return _Shard(content=content, ids=[ids[row] for row in content.rows], provenance=provenance)


def _rewrite(
    writer: StoreWriter, source: FolderSource, recipe: Recipe, shards: Sequence[_Shard]
) -> None:
    """Write one shard in place of several, commit it, and delete them."""
    features = [name for name, _ in json.loads(shards[0].content.layout)]
    values: list[dict[str, AnyArray]] = []
    tracks: list[TrackRecord] = []
    srs: list[int] = []
    with source.lock:
        for shard in shards:
            rows = shard.content.rows
            blocks = {name: source.block(shard.content.shard.sid, name) for name in features}
            columns = {name: _values(block, rows) for name, block in blocks.items()}
            values += [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
            block = next(iter(blocks.values()))
            srs += block.sr[rows].tolist()
            tracks += [
                TrackRecord(track_id=name, path="", content=content.decode(), size=-1, mtime_ns=-1)
                for name, content in zip(shard.ids, block.content[rows], strict=True)
            ]
            specs = [block.spec(0) for block in blocks.values()]
    order = sorted(range(len(tracks)), key=lambda i: tracks[i].track_id)
    origins = [(shard.content.shard.sha256, row) for shard in shards for row in shard.content.rows]
    writer.write_shard(
        recipe,
        specs,
        [tracks[i] for i in order],
        [values[i] for i in order],
        [srs[i] for i in order],
        cost=Cost(*map(sum, zip(*(shard.content.cost for shard in shards), strict=True))),
        origins=[origins[i] for i in order],
    )
    for shard in shards:
        regular_file(writer.folder, shard.content.shard.path)
        path = writer.folder / shard.content.shard.path
        path.unlink()
    sync_folder(path.parent)


def _values(block: Block, rows: Sequence[int]) -> list[AnyArray]:
    """Return the values of some tracks in the form that a writer takes."""
    spec = block.spec(0)
    values = block.many(rows)
    if spec.kind == "clip":
        return [item[0] for item in values]
    return [decode(spec, item, block.labels) for item in values] if spec.has_labels else values
