"""featx tag: labels of a manifest for tracks that a store has already."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featx.errors import ParameterError
from featx.manifest import MANIFEST_COLUMNS, ManifestRow, manifest_columns, read_manifest
from featx.store.catalogue import LedgerView
from featx.store.locking import lock_store
from featx.store.paths import store_id
from featx.store.records import TrackRecord
from featx.store.writer import StoreWriter

_AT_ONCE = 500
#: Unknown rows that a report names.
_NAMED = 10


@dataclass(kw_only=True)
class TagReport:
    """What `tag` did: rows read, tracks changed, and rows that name no track of the store.

    ``examples`` are places and paths of the first unknown rows, ``ignored`` columns not asked for.
    """

    rows: int = 0
    changed: int = 0
    unknown: int = 0
    examples: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


def tag(
    store: str | os.PathLike[str],
    manifest: str | os.PathLike[str],
    *,
    columns: Sequence[str] = (),
) -> TagReport:
    """Give tracks of a store folder the labels of a manifest, without extracting anything.

    Rows are matched by path, or else by ``track_id``. An empty cell changes nothing.

    Parameters
    ----------
    store : path
        A store folder.
    manifest : path
        As `featx.manifest.read_manifest` takes it.
    columns : sequence of str
        Columns to read besides those of `featx.manifest.MANIFEST_COLUMNS`.

    Raises
    ------
    ParameterError
        If the manifest has wrong lines, or no row names a track of the store.
    StoreError
        If ``store`` is not a store folder, is in use by a run, or cannot be written.
    """
    folder = Path(store)
    store_id(folder)
    taken = {"path", "track_id", *MANIFEST_COLUMNS, *columns}
    report = TagReport(ignored=[name for name in manifest_columns(manifest) if name not in taken])
    pending: dict[str, TrackRecord] = {}
    with (
        lock_store(folder),
        LedgerView(folder) as view,
        StoreWriter(folder, provenance={}) as writer,
    ):
        for row in read_manifest(manifest, columns=columns):
            report.rows += 1
            record = _track(view, row)
            if record is None:
                report.unknown += 1
                if len(report.examples) < _NAMED:
                    report.examples.append(f"{row.where}: {row.path}")
                continue
            labelled = record.labelled(row.tags)
            if labelled != record:
                report.changed += 1
                pending[record.track_id] = labelled
            if len(pending) == _AT_ONCE:
                writer.record_all(list(pending.values()))
                pending.clear()
        writer.record_all(list(pending.values()))
    if report.rows == report.unknown:
        tried = "; ".join(report.examples[:1]) or "no row"
        raise ParameterError(
            f"manifest {manifest} must name tracks of {store} by path or track_id, got {tried}."
        )
    return report


def _track(view: LedgerView, row: ManifestRow) -> TrackRecord | None:
    record = view.track(row.track_id)
    if record is None or record.path != row.path:
        record = view.track_at(row.path) or record
    return record
