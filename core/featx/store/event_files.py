"""Events of a store as annotation files, one or more per track."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from featx.annotations.events import Events
from featx.annotations.midi import midi_bytes
from featx.annotations.tables import as_table
from featx.annotations.writing import (
    audacity_text,
    jams_annotation,
    jams_document,
    jams_text,
    lab_text,
)
from featx.folders import replacing
from featx.store.descriptions import about
from featx.store.filenames import exported_id, safe_name, text_file, track_file
from featx.store.reading import Store
from featx.store.views import FeatureView
from featx.types import FeatureSpec

_Chosen = dict[str, FeatureView]


def are_notes(spec: FeatureSpec) -> bool:
    """Return whether an events feature has pitches and ends, as MIDI asks."""
    nothing = as_table(spec, {name: [] for name in spec.column_names})
    events = Events.of(spec, nothing)
    return events.frequencies is not None and events.ends is not None


def fit_jams(spec: FeatureSpec) -> bool:
    """Return whether a feature is events or, for ``pitch_contour``, a frequency per frame."""
    return spec.kind == "events" or spec.is_contour


def jams_files(chosen: _Chosen, folder: Path) -> list[Path]:
    """Return the files that `write_jams` writes."""
    return [track_file(folder, track_id, ".jams") for track_id, _ in by_track(chosen)]


def write_jams(store: Store, chosen: _Chosen, folder: Path) -> list[Path]:
    """Write one JAMS file per track with an annotation per feature."""
    written = []
    for track_id, views in by_track(chosen):
        record = store.tracks[track_id]
        made = [_annotation(view, track_id) for view in views.values()]
        tags = {"title": "title", "artist": "artist", "release": "album"}
        metadata: dict[str, Any] = {
            **{field: record.tags.get(tag, "") for field, tag in tags.items()},
            "identifiers": {"track_id": exported_id(track_id)},
        }
        document = jams_document(made, duration=record.duration, metadata=metadata)
        if record.notes:
            document["sandbox"]["notes"] = dict(record.notes)
        path = track_file(folder, track_id, ".jams")
        path.parent.mkdir(parents=True, exist_ok=True)
        with text_file(path) as stream:
            stream.write(jams_text(document))
        written.append(path)
    return written


def _annotation(view: FeatureView, track_id: str) -> dict[str, Any]:
    events = (
        Events(
            name=view.spec.name,
            starts=view.times(track_id),
            frequencies=view[track_id][:, 0],
        )
        if view.spec.is_contour
        else view.events(track_id)
    )
    return jams_annotation(
        events,
        metadata={
            "version": view.recipe.version,
            "annotation_tools": f"featx {view.recipe.extractor}",
        },
        sandbox={"feature": view.spec.name, **about(view)},
    )


def midi_files(chosen: _Chosen, folder: Path) -> list[Path]:
    """Return the files that `write_midi` writes."""
    return [track_file(folder, track_id, ".mid") for track_id, _ in by_track(chosen)]


def write_midi(store: Store, chosen: _Chosen, folder: Path) -> list[Path]:
    """Write one MIDI file per track of the store, in it a track per feature of notes."""
    del store
    written = []
    for track_id, views in by_track(chosen):
        groups = [view.events(track_id, name=label) for label, view in views.items()]
        path = track_file(folder, track_id, ".mid")
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            aside.write_bytes(midi_bytes(groups))
        written.append(path)
    return written


class TextFiles:
    """An export of one text file per track and feature, ``suffix`` behind the feature's name."""

    def __init__(self, suffix: str, text: Callable[[Events], str]) -> None:
        self._suffix = suffix
        self._text = text

    def files(self, chosen: _Chosen, folder: Path) -> list[Path]:
        """Return the files that `write` writes."""
        return [
            self._path(folder, track_id, label)
            for track_id, views in by_track(chosen)
            for label in views
        ]

    def write(self, store: Store, chosen: _Chosen, folder: Path) -> list[Path]:
        """Write the files and return their paths."""
        del store
        written = []
        for track_id, views in by_track(chosen):
            for label, view in views.items():
                path = self._path(folder, track_id, label)
                path.parent.mkdir(parents=True, exist_ok=True)
                with text_file(path) as stream:
                    stream.write(self._text(view.events(track_id)))
                written.append(path)
        return written

    def _path(self, folder: Path, track_id: str, label: str) -> Path:
        return track_file(folder, track_id, f".{safe_name(label)}{self._suffix}")


AUDACITY = TextFiles(".txt", audacity_text)
LAB = TextFiles(".lab", lab_text)


def by_track(chosen: _Chosen) -> Iterator[tuple[str, _Chosen]]:
    """Yield every track with the features that it has."""
    tracks: dict[str, _Chosen] = {}
    for label, view in chosen.items():
        for track_id in view.ids:
            tracks.setdefault(track_id, {})[label] = view
    yield from tracks.items()
