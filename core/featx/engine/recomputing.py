"""Whether an extractor still gives the numbers that a store has of it."""

from __future__ import annotations

import os
import random
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.audio import content_hash
from featx.engine.planning.preparing import prepare_extractors
from featx.engine.planning.selecting import UNTRAINED, UntrainedWarning
from featx.engine.running import run
from featx.errors import AudioError, FeatxError, ParameterError
from featx.registry import load_registry
from featx.store import Store, open_store
from featx.store.records import Recipe, TrackRecord

if TYPE_CHECKING:
    from featx.types import AnyArray


@dataclass(kw_only=True)
class RecomputeReport:
    """What `recompute` found.

    ``compared`` counts pairs of track and feature; ``differing`` holds track, extractor and what
    differs; ``not_compared`` says of recipes why they were not.
    """

    tracks: list[str]
    compared: int = 0
    differing: list[tuple[str, str, str]] = field(default_factory=list)
    not_compared: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return vars(self)


def recompute(store: str | os.PathLike[str], count: int, *, seed: int = 0) -> RecomputeReport:
    """Extract some tracks of a store again and compare with what is stored.

    Every recipe of which one of the tracks has values is compared within the tolerance of its
    extractor, if that is installed and has the same recipe.

    Parameters
    ----------
    store : path
        Folder or merged file.
    count : int > 0
        Tracks, drawn among those whose file is there and unchanged.
    seed : int
        Of the draw.

    Raises
    ------
    ParameterError
        If ``count`` is below 1, or no file of the store is there.
    """
    if count < 1:
        raise ParameterError(f"count must be an integer > 0, got {count}.")
    with open_store(store) as opened:
        tracks = _draw(opened, count, seed)
        report = RecomputeReport(tracks=[record.track_id for record in tracks])
        for name in opened:
            with tempfile.TemporaryDirectory(prefix="featx-recompute-") as folder:
                try:
                    again = _extract(opened, name, tracks, Path(folder))
                except FeatxError as error:
                    report.not_compared[name] = str(error)
                else:
                    _compare_all(opened, name, again, report)
    return report


def _draw(opened: Store, count: int, seed: int) -> list[TrackRecord]:
    names = list(opened.tracks)
    random.Random(seed).shuffle(names)  # noqa: S311
    tracks: list[TrackRecord] = []
    for record in map(opened.tracks.__getitem__, names):
        if len(tracks) < count and _is_unchanged(record):
            tracks.append(record)
    if not tracks:
        raise ParameterError(f"store must have tracks whose file exists, got {opened.path}.")
    return sorted(tracks, key=lambda record: record.track_id)


def _is_unchanged(record: TrackRecord) -> bool:
    try:
        return record.content != "" and content_hash(record.path) == record.content
    except AudioError:
        return False


def _extract(
    opened: Store, name: str, tracks: list[TrackRecord], folder: Path
) -> Mapping[tuple[str, str], tuple[AnyArray, float]]:
    """Return new values and tolerance by track and feature, of what the store has of ``name``."""
    view = opened[name]
    recipe = view.recipe
    stored = {feature for feature in view if any(t.track_id in view[feature] for t in tracks)}
    if not stored:
        return {}
    options = _options(recipe, sorted(stored))
    (prepared,) = prepare_extractors(load_registry(), **options)
    if prepared.recipe.id != recipe.id:
        changes = ", ".join(
            key
            for key, value in prepared.recipe.to_json().items()
            if value != recipe.to_json()[key]
        )
        raise ParameterError(f"the installed extractor has another recipe: {changes}.")
    music = folder / "music"
    music.mkdir()
    for number, record in enumerate(tracks):
        (music / f"{number:09d}.wav").symlink_to(record.path)  # the content decides, not the suffix
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UntrainedWarning)  # the store was made with them knowingly
        run(music, folder / "store", **options, jobs=1)
    with open_store(folder / "store") as again:
        return {
            (tracks[int(track_id[:9])].track_id, feature): (values, prepared.spec.tolerance)
            for extractor in again.values()
            for feature, view in extractor.items()
            for track_id, values in view.items()
        }


def _options(recipe: Recipe, features: list[str]) -> dict[str, Any]:
    return {
        "extractors": [recipe.extractor],
        "params": dict(recipe.params),
        "features": features,
        "weights": UNTRAINED if recipe.weights.startswith(UNTRAINED) else None,
        "quality": recipe.resampler.partition(":")[2] or "HQ",
        "downmix": recipe.downmix,
        "level": recipe.level,
    }


def _compare_all(
    opened: Store,
    name: str,
    again: Mapping[tuple[str, str], tuple[AnyArray, float]],
    report: RecomputeReport,
) -> None:
    for feature, view in opened[name].items():
        for track_id in report.tracks:
            if track_id not in view:
                continue
            report.compared += 1
            if (track_id, feature) in again:
                values, tolerance = again[track_id, feature]
                difference = array_difference(feature, view[track_id], values, tolerance=tolerance)
            else:
                difference = f"{feature} has no values now"
            if difference:
                report.differing.append((track_id, name, difference))


def array_difference(name: str, x: AnyArray, y: AnyArray, *, tolerance: float) -> str:
    """Return '' if two results of a feature agree within ``tolerance``, else what differs most."""
    if x.shape != y.shape:
        return f"{name} has shape {x.shape} and then {y.shape}"
    pairs = {f"{name}.{column}": (x[column], y[column]) for column in x.dtype.names or ()}
    for which, (one, other) in (pairs or {name: (x, y)}).items():
        if np.array_equal(one, other):
            continue
        if one.dtype.kind == "U":
            row = int(np.flatnonzero(one != other)[0])
            return f"{which} differs in row {row}, {str(one[row])!r} and then {str(other[row])!r}"
        worst = float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
        if worst > tolerance or np.isnan(worst):
            rule = f"tolerance {tolerance:g}" if tolerance else "bitwise equality (tolerance 0)"
            return f"{which} differs by {worst:.3g}, against {rule}"
    return ""
