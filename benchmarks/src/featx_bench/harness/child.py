"""The process in which cells are scored, one after the other."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.guarded import Answer, Channel, Request

if TYPE_CHECKING:
    from featx_bench.collection import Collection
    from featx_bench.harness.protocols import Protocol

__all__ = ["score"]


def score(channel: Channel) -> None:
    """Score cell after cell: answers with ``metrics``, ``tracks`` and ``failed``, or ``error``."""
    while True:
        try:
            job = channel.wait(Request).values
        except EOFError:  # there is no further cell
            return
        try:
            values = _score(job)
        except Exception as error:  # protocols of other distributions may raise anything
            values = {"error": f"{type(error).__name__}: {error}"}
        channel.send(Answer(values=values))


def _score(job: Mapping[str, Any]) -> dict[str, Any]:
    from featx_bench.harness.protocols import find_protocol

    protocol = find_protocol(job["protocol"])
    return (_score_clips if protocol.clip is not None else _score_events)(protocol, job)


def _score_clips(protocol: Protocol, job: Mapping[str, Any]) -> dict[str, Any]:
    collection, total = read_fused(
        Path(job["store"]), Path(job["manifest"]), [member["feature"] for member in job["members"]]
    )
    assert protocol.clip is not None
    scores = protocol.clip(collection, **_options(job))
    return {
        "metrics": {name: metric.to_json() for name, metric in scores.items()},
        "tracks": total,
        "failed": total - len(collection),
        "bytes_per_track": sum(v.shape[1] * v.itemsize for v in collection.features.values()),
    }


def read_fused(store: Path, manifest: Path, features: list[str]) -> tuple[Collection, int]:
    """Return the tracks that have all features, with one matrix, and the number of all tracks.

    Several features are each centred on the collection and scaled to unit length, as search does,
    and stand side by side. ``origin["aspects"]`` holds the parts of a single one.
    """
    import dataclasses

    import featx
    from featx_bench.collection import read_collection

    with manifest.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    known = ("path", "track_id", "artist", "album", "title", "tags", "split", "tempo")
    columns = [name for name in header if name not in (*known, "annotation")]
    collection = read_collection(store, manifest, features, columns=columns)
    aspects: dict[str, Any] = {}
    if len(features) == 1:
        extractor, _, feature = features[0].rpartition(".")
        with featx.open_store(store) as opened:
            found = opened[extractor][feature].spec.aspects
        aspects = {name: list(part) for name, part in found.items()}
    fused = collection.fused(["+".join(features)])
    return dataclasses.replace(fused, origin={**fused.origin, "aspects": aspects}), len(rows)


def _score_events(protocol: Protocol, job: Mapping[str, Any]) -> dict[str, Any]:
    import featx
    from featx.annotations import read_events
    from featx.manifest import read_manifest
    from featx_bench.harness.protocols import scores_of_tracks

    assert protocol.track is not None
    manifest = Path(job["manifest"])
    (member,) = job["members"]
    tracks: dict[str, Mapping[str, float] | None] = {}
    size = 0
    with featx.open_store(Path(job["store"])) as store:
        views = {name: store[member["extractor"]][name] for name in member["outputs"]}
        for row in read_manifest(manifest):
            if not all(row.track_id in view for view in views.values()):
                tracks[row.track_id] = None
                continue
            truth = read_events(manifest.parent / row.tags["annotation"])
            outputs = {name: _output(view, row.track_id) for name, view in views.items()}
            size += sum(view[row.track_id].nbytes for view in views.values())
            tracks[row.track_id] = protocol.track(truth, outputs, **_options(job))
    scores = scores_of_tracks(tracks, protocol.metrics)
    return {
        "metrics": {name: metric.to_json() for name, metric in scores.items()},
        "tracks": len(tracks),
        "failed": sum(found is None for found in tracks.values()),
        "bytes_per_track": size / max(1, sum(found is not None for found in tracks.values())),
    }


def _output(view: Any, track: str) -> Any:
    from featx_bench.harness.events import contour_of

    if view.spec.kind == "frames":
        return contour_of(view.spec, view.times(track), view[track])
    return view.events(track)


def _options(job: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in job["options"].items()
    }
