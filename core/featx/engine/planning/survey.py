"""A look at the inputs before anything is computed: how many, and whether their ids fit the store.

A track_id names one file for good. Another folder may hold files of the same relative names; they
must not replace what the store knows, and a run reports them before it computes anything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featx import remote
from featx.audio import content_hash
from featx.engine.planning.inputs import Inputs, InputTrack, batches, left_out_note
from featx.errors import AudioError, ParameterError
from featx.store.catalogue import LedgerView
from featx.store.paths import is_gone, is_store_folder
from featx.store.records import TrackRecord


@dataclass(kw_only=True)
class Survey:
    """How many files the inputs hold, and how their ids fit the store.

    ``elsewhere`` counts files whose path the store has under another id, ``example`` is the id in
    the store and the id now of the first of them. ``gone`` counts tracks of the store whose file
    lay in one of the given folders and is not there any more, ``left_out`` files of the folders
    that are no inputs, by reason.
    """

    files: int = 0
    elsewhere: int = 0
    example: tuple[str, ...] = ()
    gone: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def elsewhere_note(self) -> str:
        """What is wrong where files would get second ids."""
        return (
            f"{_count(self.elsewhere, 'file is', 'files are')} in this store under other ids "
            f"({self.example[0]} instead of {self.example[1]}): give the same folder as "
            "before, or a manifest with a column track_id."
        )

    def notes(self) -> list[str]:
        """Return what a user should know, in sentences."""
        notes = [left_out_note(self.left_out)] if self.left_out else []
        if self.elsewhere:
            notes.append(self.elsewhere_note)
        if self.gone:
            notes.append(gone_note(self.gone))
        return notes


def survey(inputs: Inputs, store: str | os.PathLike[str], *, gone: bool = False) -> Survey:
    """Walk the inputs once and compare their ids with those of the store, which need not exist.

    With ``gone``, tracks whose files are gone are counted, too; this examines one file per track of
    the store. If a file has the id of another file that the store knows and that is still there,
    this raises `ParameterError`.
    """
    result = Survey()
    if not is_store_folder(Path(store)):
        result.files = inputs.count()
        result.left_out = dict(inputs.left_out)
        return result
    with LedgerView(store) as view:
        for sources in batches(inputs):
            result.files += len(sources)
            paths = view.paths([source.track_id for source in sources])
            for source in sources:
                path = paths.get(source.track_id)
                if path == source.path:
                    continue
                record = None if path is None else view.track(source.track_id)
                if record is not None:
                    if is_elsewhere(record, source.path):
                        check_identity(record, source)
                elif (other := view.track_at(source.path)) is not None:
                    result.example = result.example or (other.track_id, source.track_id)
                    result.elsewhere += 1
        result.left_out = dict(inputs.left_out)
        if gone:
            result.gone = sum(1 for _ in gone_tracks(view, inputs.folders))
    return result


def gone_tracks(view: LedgerView, folders: tuple[str, ...]) -> Iterator[TrackRecord]:
    """Yield the tracks whose file lay in one of ``folders`` and is not there any more."""
    inside = tuple(f"{folder.rstrip(os.sep)}{os.sep}" for folder in folders)
    for track_id, path in view.all_paths() if folders else ():
        if path.startswith(inside) and is_gone(path):
            record = view.track(track_id)
            if record is not None:
                yield record


def gone_note(count: int) -> str:
    """Return what to say of ``count`` tracks whose file is gone."""
    return (
        f"{_count(count, 'track of this store has', 'tracks of this store have')} no file any "
        "more; the results stay until featx prune --gone, but are left out of exports and searches."
    )


def is_elsewhere(record: TrackRecord, path: str) -> bool:
    """Return whether the file that the store knows still exists and is not the one at ``path``."""
    if record.path == path or remote.without_query(record.path) == remote.without_query(path):
        return False
    is_url = remote.is_url(record.path)
    if not (remote.exists(record.path) if is_url else os.path.isfile(record.path)):  # noqa: PTH113
        return False
    try:
        return not os.path.samefile(record.path, path)  # noqa: PTH121
    except OSError:
        return True


def check_identity(record: TrackRecord, source: InputTrack) -> None:
    """Raise `ParameterError` unless ``source`` holds the very bytes that the store knows."""
    with contextlib.suppress(OSError, AudioError):
        same_size = os.path.getsize(source.path) == record.size  # noqa: PTH202
        if same_size and content_hash(source.path) == record.content:
            return
    raise ParameterError(
        f"track_id must name one file, got {source.track_id!r} for {source.path}, while the store "
        f"has it for {record.path}, which is another existing file. Give both folders in "
        "one command, or a manifest with a column track_id, or use another store."
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
