"""A look at the inputs before anything is computed: how many, and whether their ids fit the store.

A track_id names one file for good. Another folder may hold files of the same relative names; they
must not replace what the store knows, and a run reports them before it computes anything.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from featx.audio import content_hash, file_state
from featx.engine.planning.inputs import Inputs, InputTrack
from featx.errors import AudioError, ParameterError
from featx.store.catalogue import LedgerView
from featx.store.paths import is_store_folder
from featx.store.records import TrackRecord

#: Unknown files of which none is known by another id, after which no more are looked up.
_TRIED = 1000


@dataclass(kw_only=True)
class Survey:
    """How many files the inputs hold, and how their ids fit the store.

    ``elsewhere`` counts tracks that the store has under another id; ``example`` is the id in the
    store and the id now of the first of them. ``gone`` counts tracks of the store whose file lay in
    one of the given folders and is not there any more.
    """

    files: int = 0
    elsewhere: int = 0
    example: tuple[str, str] = ("", "")
    gone: int = 0

    def notes(self) -> list[str]:
        """Return what a user should know, in sentences."""
        notes = []
        if self.elsewhere:
            notes.append(
                f"{_count(self.elsewhere, 'file is', 'files are')} in this store under other ids "
                f"({self.example[0]} instead of {self.example[1]}): give the same folder as "
                "before, or a manifest with a column track_id."
            )
        if self.gone:
            notes.append(
                f"{_count(self.gone, 'track of this store has', 'tracks of this store have')} no "
                "file any more; the results stay."
            )
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
        return result
    with LedgerView(store) as view:
        unknown = 0
        for source in inputs:
            result.files += 1
            record = view.track(source.track_id)
            if record is not None:
                if is_elsewhere(record, source.path):
                    check_identity(record, source)
            elif unknown < _TRIED or result.elsewhere:
                unknown += 1
                _look_elsewhere(view, source, result)
        if gone:
            result.gone = sum(1 for record in view.tracks() if _is_gone(record, inputs.folders))
    return result


def is_elsewhere(record: TrackRecord, path: str) -> bool:
    """Return whether the file that the store knows still exists and is not the one at ``path``."""
    if record.path == path or not os.path.isfile(record.path):  # noqa: PTH113
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
        f"has it for {record.path}, which is another file and still there. Give both folders in "
        "one command, or a manifest with a column track_id, or use another store."
    )


def _look_elsewhere(view: LedgerView, source: InputTrack, result: Survey) -> None:
    """Look the file up by the ids that other folders above it, or below, would have given it."""
    parts = source.path.replace(os.sep, "/").lstrip("/").split("/")
    for start in range(len(parts) - 1, -1, -1):
        name = "/".join(parts[start:])
        record = None if name == source.track_id else view.track(name)
        if record is not None and (record.path == source.path or _looks_like(record, source.path)):
            result.example = result.example if result.elsewhere else (name, source.track_id)
            result.elsewhere += 1
            return


def _looks_like(record: TrackRecord, path: str) -> bool:
    return file_state(path) == (record.size, record.mtime_ns)


def _is_gone(record: TrackRecord, folders: tuple[str, ...]) -> bool:
    inside = any(record.path.startswith(f"{folder.rstrip(os.sep)}{os.sep}") for folder in folders)
    return inside and not os.path.lexists(record.path)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
