"""featx merge: one tidy HDF5 file made from a store folder."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from featx.errors import ParameterError, StoreError
from featx.store.admission import check_hashes, hash_descriptor
from featx.store.filenames import refuse_existing
from featx.store.labels import recode
from featx.store.merged import MERGED_FORMAT, MERGED_VERSION, remember_merged
from featx.store.paths import is_store_folder, sync_folder
from featx.store.reading import Store, label_recipes, open_store
from featx.store.records import ShardInfo, TrackRecord, canonical_json
from featx.store.shard import (
    LIBVER,
    FileSink,
    chunk_shape,
    fixed_text,
    pack_text,
    write_dataset,
    write_labels,
    write_text,
)
from featx.store.sources import Entry, FolderSource
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray

#: Columns of the outcomes.
OUTCOME_FIELDS = ("track_id", "content", "recipe", "status", "feature", "code", "reason")

#: Bytes of values held in memory while merging.
BATCH_BYTES = 32 * 2**20


def merge(
    store: str | os.PathLike[str], out: str | os.PathLike[str], *, overwrite: bool = False
) -> ShardInfo:
    """Write the current state of a store folder into one HDF5 file.

    Every shard is checked against its SHA-256 first. Values that later runs replaced are omitted.

    Parameters
    ----------
    store : path
        A store folder.
    out : path
        The file to write, usually ``*.h5``; it appears when it is complete.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    ShardInfo
        Path, size and SHA-256 of the file; ``recipe`` is empty.

    Raises
    ------
    ParameterError
        If ``out`` exists or ``store`` is not a folder.
    StoreError
        If the store is damaged, or the file cannot be written.
    """
    folder, out = Path(store).resolve(), Path(out).resolve()
    if not is_store_folder(folder):
        raise ParameterError(f"store must be a store folder, got {folder}.")
    refuse_existing([out], overwrite=overwrite)
    temporary = out.with_name(f".{out.name}.tmp-{uuid.uuid4().hex[:8]}")
    try:
        with open_store(folder, gone=True) as opened:
            source = opened.source
            if not isinstance(source, FolderSource):
                raise ParameterError(f"store must be a store folder, got {folder}.")
            check_hashes(source.view)
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                info = _write_file(descriptor, opened, source, out)
            finally:
                os.close(descriptor)
        temporary.rename(out)
        sync_folder(out.parent)
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    remember_merged(out)
    return info


def _write_file(descriptor: int, opened: Store, source: FolderSource, out: Path) -> ShardInfo:
    sink = FileSink(descriptor)
    try:
        with h5py.File(sink, "w", libver=LIBVER) as file:
            _write_content(file, opened, source)
    finally:
        if sink.fault is not None:
            raise sink.fault
    size, sha256 = hash_descriptor(descriptor)
    os.fsync(descriptor)
    return ShardInfo(
        path=str(out),
        recipe="",
        size=size,
        sha256=sha256,
        n_tracks=len(opened.tracks),
        features=tuple(f"{name}/{feature}" for name in opened for feature in opened[name]),
    )


def _write_content(file: h5py.File, opened: Store, source: FolderSource) -> None:
    file.attrs["format"] = np.bytes_(MERGED_FORMAT)
    file.attrs["version"] = np.int64(MERGED_VERSION)
    write_text(file, "digest", opened.digest())
    labels = label_recipes(opened.recipes)
    write_text(
        file,
        "recipes",
        canonical_json(
            [
                {"name": name, "recipe": item.to_json(), "licences": source.licences(item.id)}
                for name, item in labels.items()
            ]
        ),
    )
    rows = _write_tracks(file.create_group("tracks"), list(opened.tracks.records()))
    outcomes = [
        [getattr(item, name) for name in OUTCOME_FIELDS]
        for item in source.current()
        if item.status != "ok"
    ]
    write_text(file, "outcomes", json.dumps(outcomes, separators=(",", ":")))
    extractors = file.create_group("extractors")
    for name in labels:
        group = extractors.create_group(f"{name}/features")
        for feature, view in opened[name].items():
            entries = source.entries(view.recipe.id, feature)
            if entries:
                _write_feature(group.create_group(feature), source, feature, entries, rows)


def _write_tracks(group: Any, records: Sequence[TrackRecord]) -> Mapping[str, int]:
    """Write the table of tracks; return row by id."""
    texts = {
        ("ids", "offsets"): [record.track_id for record in records],
        ("paths", "path_offsets"): [record.path for record in records],
        ("tags", "tag_offsets"): [canonical_json(dict(record.tags)) for record in records],
        ("notes", "note_offsets"): [canonical_json(dict(record.notes)) for record in records],
        ("labels", "label_offsets"): [canonical_json(record.labels) for record in records],
    }
    for (name, offsets_name), column in texts.items():
        packed, offsets = pack_text(column)
        write_dataset(group, name, packed)
        write_dataset(group, offsets_name, offsets)
    write_dataset(group, "content", fixed_text([record.content for record in records]))
    durations = [np.nan if item.duration is None else item.duration for item in records]
    write_dataset(group, "duration", np.array(durations, np.float64))
    for name in ("size", "mtime_ns", "sr", "channels"):
        numbers = [getattr(record, name) or 0 for record in records]
        write_dataset(group, name, np.array(numbers, np.int64))
    return {record.track_id: row for row, record in enumerate(records)}


def _write_feature(
    group: Any,
    source: FolderSource,
    feature: str,
    entries: Sequence[Entry],
    rows: Mapping[str, int],
) -> None:
    count = len(entries)
    lengths, sr = np.zeros(count, np.int64), np.zeros(count, np.int64)
    digests, axis = np.zeros((count, 16), np.uint8), np.zeros(count, np.int64)
    content: list[str] = [""] * count
    specs: list[FeatureSpec] = []
    for container, members in _by_container(entries, 0, count):
        with source.lock:
            block = source.block(container, feature)
            rows_here = [entries[i].row for i in members]
            lengths[members] = np.diff(block.offsets)[rows_here]
            sr[members] = block.sr[rows_here]
            digests[members] = block.digests[rows_here]
            for i, row in zip(members, rows_here, strict=True):
                content[i] = block.content[row].decode("ascii")
                spec = block.spec(row)
                if spec not in specs:
                    specs.append(spec)
                axis[i] = specs.index(spec)
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    write_dataset(group, "offsets", offsets)
    write_dataset(group, "digests", digests)
    write_dataset(group, "sr", sr)
    write_dataset(group, "axis", axis)
    write_dataset(group, "content", fixed_text(content))
    write_dataset(group, "tracks", np.array([rows[entry.track_id] for entry in entries], np.int64))
    write_text(group, "spec", canonical_json([spec.to_json() for spec in specs]))
    shape, dtype = (int(offsets[-1]), specs[0].dim), np.dtype(specs[0].dtype)
    values = group.create_dataset(
        "values",
        shape=shape,
        dtype=dtype,
        chunks=chunk_shape(shape, dtype.itemsize),
        maxshape=None if shape[0] else (None, shape[1]),
        fletcher32=True,
    )
    labels = source.labels(specs[0], dict.fromkeys(entry.container for entry in entries))
    if labels:
        write_labels(group, labels)
    for first, last in _batches(offsets, dtype.itemsize * shape[1]):
        buffer: AnyArray = np.empty((int(offsets[last] - offsets[first]), shape[1]), dtype)
        for container, members in _by_container(entries, first, last):
            with source.lock:
                block = source.block(container, feature)
                pieces = block.many([entries[i].row for i in members])
                if labels:
                    joined = recode(specs[0], np.concatenate(pieces), block.labels, labels)
                    pieces = np.split(joined, np.cumsum([len(item) for item in pieces])[:-1])
            for i, piece in zip(members, pieces, strict=True):
                start = int(offsets[i] - offsets[first])
                buffer[start : start + len(piece)] = piece
        if len(buffer):
            values[int(offsets[first]) : int(offsets[last])] = buffer


def _by_container(entries: Sequence[Entry], first: int, last: int) -> list[tuple[int, list[int]]]:
    """Return container and places of entries from ``first`` up to ``last``."""
    groups: dict[int, list[int]] = {}
    for i in range(first, last):
        groups.setdefault(entries[i].container, []).append(i)
    return list(groups.items())


def _batches(offsets: AnyArray, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of tracks whose values take about `BATCH_BYTES`."""
    first, count = 0, len(offsets) - 1
    while first < count:
        limit = int(offsets[first]) + BATCH_BYTES // max(1, row_bytes)
        last = max(first + 1, int(np.searchsorted(offsets, limit, side="right")) - 1)
        yield first, min(last, count)
        first = last
