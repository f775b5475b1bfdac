"""What is there, what is to do, and why: the plan that ``featx plan`` shows and `run` follows."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from featx.audio import content_hash
from featx.engine.planning.inputs import Inputs, InputTrack
from featx.engine.planning.outdated import OutputCheck
from featx.engine.planning.survey import Survey, check_identity, is_elsewhere, survey
from featx.engine.tasks import PreparedExtractor, TrackTask
from featx.errors import DECODE_CODES, AudioError, StoreError
from featx.store.catalogue import LedgerView
from featx.store.checking import check_sizes
from featx.store.layout import is_store_folder
from featx.store.records import Recipe, TrackRecord, Unit

__all__ = ["STATES", "Plan", "PlanCounts", "PlannedTrack", "PlannedUnit", "recipe_changes"]

#: What a plan can say about one track under one extractor. ``fresh``, ``skipped`` and ``failed``
#: (before) need no work; the others do.
STATES = ("fresh", "new", "stale", "failed", "skipped", "retry")

_WORST = {"ok": 0, "skipped": 1, "failed": 2}


@dataclass(frozen=True, kw_only=True)
class PlannedUnit:
    """One track under one extractor.

    ``state`` is one of `STATES`, ``reason`` says why it is stale or what failed, ``features`` are
    the missing ones. ``code`` belongs to a known failure or skip. ``carried`` is a failure to
    decode that was met under another recipe, and is to be recorded for this one.
    """

    job: int
    state: str
    reason: str = ""
    code: str = ""
    features: tuple[str, ...] = ()
    carried: bool = False


@dataclass(frozen=True, kw_only=True)
class PlannedTrack:
    """One track with its units.

    ``moved`` is a record to renew without computing anything, ``record`` what the store knows.
    """

    source: InputTrack
    size: int
    mtime_ns: int
    units: tuple[PlannedUnit, ...]
    moved: TrackRecord | None = None
    record: TrackRecord | None = None

    @property
    def known(self) -> str:
        """The worst status among units that need no work: ok, skipped or failed."""
        statuses = [unit.state for unit in self.units if unit.state in ("failed", "skipped")]
        return max(statuses, key=_WORST.__getitem__, default="ok")

    def to_do(self) -> TrackTask | None:
        """Return the work, or None where nothing is to be done."""
        wanted = tuple((unit.job, unit.features) for unit in self.units if unit.features)
        if not wanted:
            return None
        return TrackTask(
            track_id=self.source.track_id,
            path=self.source.path,
            size=self.size,
            mtime_ns=self.mtime_ns,
            wanted=wanted,
            tags=self.source.tags,
            known=self.known,
        )


@dataclass(kw_only=True)
class PlanCounts:
    """How many units are in which state, for each extractor, and why the stale ones are."""

    tracks: int = 0
    to_do: int = 0
    states: dict[str, Counter[str]] = field(default_factory=dict)
    stale: dict[str, Counter[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, jobs: Iterable[PreparedExtractor]) -> PlanCounts:
        """Return counts of nothing yet for these extractors."""
        names = [job.name for job in jobs]
        return cls(
            states={name: Counter() for name in names}, stale={name: Counter() for name in names}
        )

    def add(self, track: PlannedTrack, jobs: Iterable[PreparedExtractor]) -> None:
        """Count one track."""
        names = [job.name for job in jobs]
        self.tracks += 1
        self.to_do += any(unit.features for unit in track.units)
        for unit in track.units:
            name = names[unit.job]
            self.states[name][unit.state] += 1
            if unit.state == "stale":
                self.stale[name][unit.reason] += 1


class Plan(Iterable[PlannedTrack]):
    """What a run over ``inputs`` would do; walking it computes it, track by track.

    Parameters
    ----------
    inputs : Inputs
        Tracks.
    store : path
        Store folder; it need not exist, and is not created.
    extractors : tuple of PreparedExtractor
        From `prepare_extractors`.
    failed : bool
        Retry known failures.
    rehash : bool
        Compare contents by hash instead of trusting size and modification time.
    """

    def __init__(
        self,
        inputs: Inputs,
        store: str | os.PathLike[str],
        extractors: tuple[PreparedExtractor, ...],
        *,
        failed: bool = False,
        rehash: bool = False,
    ) -> None:
        self.inputs = inputs
        self.store = Path(store)
        self.extractors = extractors
        self.failed = failed
        self.rehash = rehash
        #: Jobs that have values in the store, while their extractor has newer ones of another
        #: recipe; known once the walk began.
        self.superseded: list[PreparedExtractor] = []

    def __iter__(self) -> Iterator[PlannedTrack]:
        with contextlib.ExitStack() as stack:
            view = None
            if is_store_folder(self.store):
                view = stack.enter_context(LedgerView(self.store))
                check_sizes(view, [job.recipe.id for job in self.extractors])
                self.superseded = [
                    job for job in self.extractors if view.is_superseded(job.recipe.id)
                ]
            elif self.store.exists() and not self.store.is_dir():
                raise StoreError(f"store must be a folder, got the file {self.store}.")
            planner = _Planner(self, view)
            for source in self.inputs:
                yield planner.track(source)

    def survey(self, *, gone: bool = False) -> Survey:
        """Walk the inputs and compare their ids with those of the store; see `survey`.

        Raises
        ------
        ParameterError
            If a file has the id of another file that the store knows and that is still there.
        """
        return survey(self.inputs, self.store, gone=gone)

    def counts(self) -> PlanCounts:
        """Walk the whole plan and count."""
        counts = PlanCounts.of(self.extractors)
        for track in self:
            counts.add(track, self.extractors)
        return counts


class _Planner:
    """Compares one track after the other with the ledgers."""

    def __init__(self, plan: Plan, view: LedgerView | None) -> None:
        self.plan = plan
        self.view = view
        recipes = [] if view is None else view.recipes()
        self.older: dict[int, list[Recipe]] = {
            job.number: [
                recipe
                for recipe in recipes
                if recipe.extractor == job.full_name and recipe.id != job.recipe.id
            ]
            for job in plan.extractors
        }
        self.recipes = [recipe.id for recipe in recipes]
        known = set(self.recipes)
        self.known = {job.number: job.recipe.id in known for job in plan.extractors}
        self.outputs = None if view is None else OutputCheck(view, plan.extractors)
        self.lost = {
            job.number: view is not None and view.lost(job.recipe.id) > 0 for job in plan.extractors
        }

    def track(self, source: InputTrack) -> PlannedTrack:
        """Return what is to do for one track."""
        size, mtime_ns = _examine(source.path)
        record = None if self.view is None else self.view.track(source.track_id)
        if record is not None and is_elsewhere(record, source.path):
            check_identity(record, source)
            content, why = record.content or None, ""
        else:
            content, why = self._content(source.path, size, mtime_ns, record)
        units = tuple(self._unit(job, source, record, content, why) for job in self.plan.extractors)
        if any(unit.features for unit in units):
            units = self._unreadable(units, record, content)
        moved = None
        if record is not None and content is not None and not any(u.features for u in units):
            moved = _renewed(record, source, size, mtime_ns)
        return PlannedTrack(
            source=source, size=size, mtime_ns=mtime_ns, units=units, moved=moved, record=record
        )

    def _content(
        self, path: str, size: int, mtime_ns: int, record: TrackRecord | None
    ) -> tuple[str | None, str]:
        """Return the content that results must have been made from, or None and why not."""
        if record is None:
            return None, ""
        same_time = (size, mtime_ns) == (record.size, record.mtime_ns)
        if same_time and not self.plan.rehash:
            return record.content, ""
        if size == record.size and record.content:
            try:
                if content_hash(path) == record.content:
                    return record.content, ""
            except AudioError as error:
                return None, f"file is {error.code}"
        elif same_time:
            return record.content, ""
        return None, "file is missing" if size < 0 else "content changed"

    def _unit(
        self,
        job: PreparedExtractor,
        source: InputTrack,
        record: TrackRecord | None,
        content: str | None,
        why: str,
    ) -> PlannedUnit:
        missing = list(job.features)
        if self.view is None or self.outputs is None or record is None:
            return PlannedUnit(job=job.number, state="new", features=job.features)
        units = self._units(source.track_id, job)
        other = self.outputs.changes(job, source.track_id, record.sr)
        if not units:
            reason = "; ".join(other.values()) or self._lost(job, source.track_id)
            reason = reason or self._superseded(job, source.track_id)
            state = "stale" if reason else "new"
            return PlannedUnit(job=job.number, state=state, reason=reason, features=job.features)
        changed = ""
        for unit in sorted(units, key=lambda unit: _WORST[unit.status]):
            touched = [name for name in missing if not unit.features or name in unit.features]
            if not touched:
                continue
            if content is None or (unit.content and unit.content != content):
                changed = why or "content changed"
            elif unit.status == "ok":
                missing = [name for name in missing if name not in touched or name in other]
            elif unit.status == "skipped" or not self.plan.failed:
                return PlannedUnit(
                    job=job.number, state=unit.status, reason=unit.reason, code=unit.code
                )
            else:
                features = job.features if not unit.features else tuple(missing)
                return PlannedUnit(
                    job=job.number,
                    state="retry",
                    reason=f"{unit.code}: {unit.reason}",
                    features=features,
                )
        if not missing:
            return PlannedUnit(job=job.number, state="fresh")
        changed = changed or "; ".join(other[name] for name in missing if name in other)
        changed = changed or self._lost(job, source.track_id)
        state = "stale" if changed else "new"
        return PlannedUnit(job=job.number, state=state, reason=changed, features=tuple(missing))

    def _unreadable(
        self, units: tuple[PlannedUnit, ...], record: TrackRecord | None, content: str | None
    ) -> tuple[PlannedUnit, ...]:
        """Return ``units`` as known failures where these very bytes did not decode before.

        A file that no recipe could read needs no other try because a parameter has changed.
        """
        if self.plan.failed or content is None or record is None or record.duration is not None:
            return units
        known = self._decode_failure(record.track_id, content)
        if known is None:
            return units
        return tuple(
            PlannedUnit(
                job=unit.job, state="failed", reason=known.reason, code=known.code, carried=True
            )
            if unit.features
            else unit
            for unit in units
        )

    def _decode_failure(self, track_id: str, content: str) -> Unit | None:
        """Return a failure to decode these bytes, under whichever recipe it was met."""
        assert self.view is not None
        for recipe in self.recipes:
            for unit in self.view.units(track_id, recipe):
                if unit.code in DECODE_CODES and unit.content == content:
                    return unit
        return None

    def _units(self, track_id: str, job: PreparedExtractor) -> tuple[Unit, ...]:
        if self.view is None or not self.known[job.number]:
            return ()
        return self.view.units(track_id, job.recipe.id)

    def _lost(self, job: PreparedExtractor, track_id: str) -> str:
        """Say that values went with a damaged shard, if they did."""
        if self.view is None or not self.lost[job.number]:
            return ""
        return "its shard was damaged" if self.view.lost(job.recipe.id, track_id) else ""

    def _superseded(self, job: PreparedExtractor, track_id: str) -> str:
        """Say what differs from the latest recipe of the extractor that knows this track."""
        for recipe in self.older[job.number]:
            if self.view is not None and self.view.units(track_id, recipe.id):
                return recipe_changes(recipe, job.recipe)
        return ""


def recipe_changes(old: Recipe, new: Recipe) -> str:
    """Return in words what makes ``new`` another recipe than ``old``."""
    changes = []
    if old.version != new.version:
        changes.append(f"extractor version {old.version} -> {new.version}")
    missing = object()
    for name in sorted({*old.params, *new.params}):
        before, after = old.params.get(name, missing), new.params.get(name, missing)
        if before != after:
            told = ["(none)" if item is missing else str(item) for item in (before, after)]
            changes.append(f"parameter {name} {told[0]} -> {told[1]}")
    if old.weights != new.weights:
        changes.append(f"weights {_short(old.weights)} -> {_short(new.weights)}")
    if old.front_ends != new.front_ends:
        changes.append(_front_end_changes(old.front_ends, new.front_ends))
    if old.frontend_version != new.frontend_version:
        changes.append(f"front-end version {old.frontend_version} -> {new.frontend_version}")
    if old.resampler != new.resampler:
        changes.append(f"resampler {old.resampler} -> {new.resampler}")
    return "; ".join(changes)


def _front_end_changes(
    old: tuple[Mapping[str, object], ...], new: tuple[Mapping[str, object], ...]
) -> str:
    if len(old) != len(new):
        return f"{len(old)} -> {len(new)} front ends"
    names = {
        name
        for before, after in zip(old, new, strict=True)
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    }
    return f"front end ({', '.join(sorted(names))})"


def _short(weights: str) -> str:
    if not weights or weights.startswith("untrained"):
        return weights or "(none)"
    return weights[:12]


def _examine(path: str) -> tuple[int, int]:
    try:
        state = os.stat(path)  # noqa: PTH116  (names may be undecodable; strings keep them)
    except (OSError, ValueError):
        return -1, -1
    return state.st_size, state.st_mtime_ns


def _renewed(
    record: TrackRecord, source: InputTrack, size: int, mtime_ns: int
) -> TrackRecord | None:
    """Return the record with path, times and manifest columns as they are now, if they differ."""
    import dataclasses

    tags = {**record.tags, **source.tags}
    now = dataclasses.replace(record, path=source.path, size=size, mtime_ns=mtime_ns, tags=tags)
    return None if now == record else now
