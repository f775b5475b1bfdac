"""Features of a store as one JSON document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.store.descriptions import JSON_FORMAT, JSON_VERSION, about
from featx.store.event_files import by_track
from featx.store.filenames import exported_id, text_file
from featx.store.reading import Store
from featx.store.records import valid_text
from featx.store.views import FeatureView

if TYPE_CHECKING:
    from featx.types import AnyArray


def write_json(store: Store, chosen: dict[str, FeatureView], path: Path) -> list[Path]:
    """Write all features into one document, a line per track, so that memory stays small.

    ``format``, ``version``, ``features`` (what each one is, see `about`) and ``tracks``: ``id``,
    ``duration``, ``labels``, ``notes``, ``values`` by feature, and for frames their time ``axes``.
    Numbers are the shortest that read back as the same value of the feature's dtype.
    """
    head = {
        "format": JSON_FORMAT,
        "version": JSON_VERSION,
        "features": {label: about(view) for label, view in chosen.items()},
    }
    with text_file(path) as stream:
        stream.write(_text(head)[:-1] + ', "tracks": [')
        for number, (track_id, views) in enumerate(by_track(chosen)):
            stream.write(("," if number else "") + "\n" + _text(_track(store, track_id, views)))
        stream.write("\n]}\n")
    return [path]


def _track(store: Store, track_id: str, views: dict[str, FeatureView]) -> dict[str, Any]:
    record = store.tracks[track_id]
    plain: dict[str, Any] = {
        "id": exported_id(track_id),
        "duration": record.duration,
        "labels": {name: valid_text(text) for name, text in record.tags.items()},
        "notes": dict(record.notes),
        "values": {label: _plain(view[track_id]) for label, view in views.items()},
    }
    axes = {label: _axis(view, track_id) for label, view in views.items()}
    if axes := {label: axis for label, axis in axes.items() if axis}:
        plain["axes"] = axes
    return plain


def _axis(view: FeatureView, track_id: str) -> dict[str, Any]:
    if view.spec.kind != "frames":
        return {}
    spec, sr, _ = view.axis(track_id)
    return {"sr": sr, "first": str(spec.first), "hop": str(spec.hop)}


def _plain(values: AnyArray) -> list[Any]:
    if values.dtype.names:
        columns = (_plain(values[name]) for name in values.dtype.names)
        return [list(row) for row in zip(*columns, strict=True)]
    if values.dtype.kind == "f" and values.dtype.itemsize < 8:  # as few digits as it has
        values = values.astype(str).astype(float)
    return list(values.tolist())


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
