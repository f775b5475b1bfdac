"""Events for people: JAMS annotations and Audacity labels, one file per track."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.store.filenames import safe_name, text_file, track_file
from featx.store.reading import FeatureView, Store
from featx.types import FeatureSpec

if TYPE_CHECKING:
    from featx.types import AnyArray

JAMS_VERSION = "0.3.4"

_START = ("time", "onset", "start")
_END = ("end", "offset", "stop")
_CONFIDENCE = ("confidence", "probability", "salience", "strength")


@dataclass(frozen=True)
class EventColumns:
    """Which columns of an events feature say when, how long and how sure; the rest is the value."""

    start: int | None
    end: int | None
    duration: int | None
    confidence: int | None
    rest: tuple[int, ...]

    @classmethod
    def of(cls, spec: FeatureSpec) -> EventColumns:
        """Find the columns of ``spec`` by their names."""
        given = spec.column_names

        def find(*names: str) -> int | None:
            return next((given.index(name) for name in names if name in given), None)

        known = (find(*_START), find(*_END), find("duration"), find(*_CONFIDENCE))
        return cls(*known, tuple(i for i in range(spec.dim) if i not in known))

    def span(self, row: AnyArray) -> tuple[float, float]:
        """Return start and duration of one event in seconds, none of them negative."""
        start = 0.0 if self.start is None else max(0.0, float(row[self.start]))
        if self.duration is not None:
            return start, max(0.0, float(row[self.duration]))
        if self.end is not None:
            return start, max(0.0, float(row[self.end]) - start)
        return start, 0.0


def namespace_of(spec: FeatureSpec) -> str:
    """Return the JAMS namespace that fits the columns of an events feature.

    Beats, onsets, notes, tempi and pitches have one of their own; everything else is ``vector``:
    the numbers in the order of the columns.
    """
    columns = EventColumns.of(spec)
    names = [spec.columns[i].name for i in columns.rest]
    units = [spec.columns[i].unit.lower() for i in columns.rest]
    lasting = columns.end is not None or columns.duration is not None
    if names in (["position"], ["beat"]) or (not names and "beat" in spec.name):
        return "beat"
    if not names:
        return "segment_open" if lasting else "onset"
    if len(names) == 1:
        if units == ["hz"]:
            return "note_hz" if lasting else "pitch_hz"
        if units == ["midi"] or names == ["midi"]:
            return "note_midi" if lasting else "pitch_midi"
        if names == ["tempo"]:
            return "tempo"
    return "vector"


def annotation(view: FeatureView, track_id: str) -> dict[str, Any]:
    """Return one JAMS annotation: the events of one feature of one track."""
    spec, columns = view.spec, EventColumns.of(view.spec)
    namespace = namespace_of(spec)
    data = []
    for row in view[track_id]:
        start, duration = columns.span(row)
        value: Any = [float(row[i]) for i in columns.rest]
        if namespace == "segment_open":
            value = spec.name
        elif namespace != "vector":
            value = value[0] if value else None
        sure = None if columns.confidence is None else float(row[columns.confidence])
        data.append({"time": start, "duration": duration, "value": value, "confidence": sure})
    return {
        "namespace": namespace,
        "data": data,
        "annotation_metadata": {
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "version": view.recipe.version,
            "corpus": "",
            "annotation_tools": f"featx {view.recipe.extractor}",
            "annotation_rules": "",
            "validation": "",
            "data_source": "program",
        },
        "sandbox": {
            "feature": spec.name,
            "recipe": view.recipe.id,
            "columns": [spec.columns[i].name for i in columns.rest],
            "units": [spec.columns[i].unit for i in columns.rest],
        },
        "time": 0.0,
        "duration": None,
    }


def jams_files(chosen: dict[str, FeatureView], folder: Path) -> list[Path]:
    """Return the files that `write_jams` writes."""
    return [track_file(folder, track_id, ".jams") for track_id, _ in _by_track(chosen)]


def audacity_files(chosen: dict[str, FeatureView], folder: Path) -> list[Path]:
    """Return the files that `write_audacity` writes."""
    return [
        _label_file(folder, track_id, label)
        for track_id, views in _by_track(chosen)
        for label in views
    ]


def _label_file(folder: Path, track_id: str, label: str) -> Path:
    return track_file(folder, track_id, f".{safe_name(label)}.txt")


def write_jams(store: Store, chosen: dict[str, FeatureView], folder: Path) -> list[Path]:
    """Write one JAMS file per track with an annotation per feature."""
    written = []
    for track_id, views in _by_track(chosen):
        record = store.tracks[track_id]
        annotations = [annotation(view, track_id) for view in views.values()]
        ends = [item["time"] + item["duration"] for part in annotations for item in part["data"]]
        duration = max(ends, default=0.0) if record.duration is None else record.duration
        for part in annotations:
            part["duration"] = duration
        document = {
            "annotations": annotations,
            "file_metadata": {
                "title": record.tags.get("title", ""),
                "artist": record.tags.get("artist", ""),
                "release": record.tags.get("album", ""),
                "duration": duration,
                "identifiers": {"track_id": track_id},
                "jams_version": JAMS_VERSION,
            },
            "sandbox": {},
        }
        path = track_file(folder, track_id, ".jams")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        written.append(path)
    return written


def write_audacity(store: Store, chosen: dict[str, FeatureView], folder: Path) -> list[Path]:
    """Write one label track per track and feature: start, end and label between tabs."""
    del store
    written = []
    for track_id, views in _by_track(chosen):
        for label, view in views.items():
            path = _label_file(folder, track_id, label)
            path.parent.mkdir(parents=True, exist_ok=True)
            columns = EventColumns.of(view.spec)
            with text_file(path) as stream:
                for row in view[track_id]:
                    start, duration = columns.span(row)
                    text = " ".join(f"{row[i]:g}" for i in columns.rest) or view.spec.name
                    stream.write(f"{start:.6f}\t{start + duration:.6f}\t{text}\n")
            written.append(path)
    return written


def _by_track(chosen: dict[str, FeatureView]) -> Iterator[tuple[str, dict[str, FeatureView]]]:
    """Yield every track with the features that it has."""
    tracks: dict[str, dict[str, FeatureView]] = {}
    for label, view in chosen.items():
        for track_id in view.ids:
            tracks.setdefault(track_id, {})[label] = view
    yield from tracks.items()
