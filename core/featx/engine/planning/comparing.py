"""One track after the other, compared with what the ledgers of a store hold."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

from featx import remote
from featx.audio import Limits, content_hash, file_state
from featx.engine.planning.changes import OutputCheck, recipe_changes
from featx.engine.planning.inputs import InputTrack, batches, with_states
from featx.engine.planning.survey import check_identity, is_elsewhere
from featx.engine.tasks import PreparedExtractor, TrackTask
from featx.errors import DECODE_CODES, AudioError, UnreachableError
from featx.store.catalogue import LedgerView
from featx.store.records import SEVERITY, Recipe, StoredValue, TrackRecord, Unit

#: What a plan can say about one track under one extractor. ``fresh``, ``skipped`` and ``failed``
#: (before) need no work, ``reused`` a hash: another id has results of the same content.
STATES = ("fresh", "reused", "new", "stale", "failed", "skipped", "retry")


@dataclass(frozen=True, kw_only=True)
class PlannedUnit:
    """One track under one extractor (`PreparedExtractor.number`), in one of `STATES`.

    ``reason`` says why it is stale, or what failed; ``code`` is that of a known failure or skip.
    ``features`` are the outputs to compute. ``carried`` is a failure to decode that was met under
    another recipe and is to be recorded for this one.
    """

    extractor: int
    state: str
    reason: str = ""
    code: str = ""
    features: tuple[str, ...] = ()
    carried: bool = False


@dataclass(frozen=True, kw_only=True)
class PlannedTrack:
    """One track with its units.

    ``moved`` is a record to renew without computing anything, ``record`` what the store knows.
    ``outcomes`` and ``values`` are results of the same content under another id, which it takes
    over.
    """

    source: InputTrack
    size: int
    mtime_ns: int
    units: tuple[PlannedUnit, ...]
    moved: TrackRecord | None = None
    record: TrackRecord | None = None
    outcomes: tuple[Unit, ...] = ()
    values: tuple[StoredValue, ...] = ()

    @property
    def known(self) -> str:
        """The worst status among units that need no work: ok, skipped or failed."""
        statuses = [unit.state for unit in self.units if unit.state in ("failed", "skipped")]
        return max(statuses, key=SEVERITY.__getitem__, default="ok")

    def to_do(self) -> TrackTask | None:
        """Return the work, or None where nothing is to be done."""
        missing = tuple((unit.extractor, unit.features) for unit in self.units if unit.features)
        if not missing:
            return None
        return TrackTask(
            track_id=self.source.track_id,
            path=self.source.path,
            size=self.size,
            mtime_ns=self.mtime_ns,
            missing=missing,
            labels={**_labels(self.record), **self.source.tags},
            known=self.known,
        )


class TrackComparer:
    """Says for one track after the other which extractors have to run on it.

    ``view`` are the ledgers of the store, None where there is no store yet. Known failures are work
    if ``retry_failed``. With ``rehash`` contents are compared by hash even where size and
    modification time agree.
    """

    def __init__(
        self,
        view: LedgerView | None,
        extractors: Sequence[PreparedExtractor],
        *,
        retry_failed: bool,
        rehash: bool,
    ) -> None:
        self.extractors = extractors
        self.retry_failed = retry_failed
        self.rehash = rehash
        self.view = view
        self.history = None if view is None else _History(view, extractors)

    def compare_all(self, sources: Iterable[InputTrack]) -> Iterator[PlannedTrack]:
        """Yield what is to do for each track; those without work cost a batch one question."""
        sources = with_states(sources)
        if self.view is None or self.rehash:
            yield from map(self.compare, sources)
            return
        wanted = [(extractor.recipe.id, extractor.features) for extractor in self.extractors]
        fresh = tuple(
            PlannedUnit(extractor=extractor.number, state="fresh") for extractor in self.extractors
        )
        for batch in batches(sources):
            settled = self.view.settled([source.track_id for source in batch], wanted)
            for source in batch:
                record = settled.get(source.track_id)
                if record is not None and self._is_unchanged(source, record):
                    yield PlannedTrack(
                        source=source,
                        size=record.size,
                        mtime_ns=record.mtime_ns,
                        units=fresh,
                        record=record,
                    )
                else:
                    yield self.compare(source)

    def _is_unchanged(self, source: InputTrack, record: TrackRecord) -> bool:
        """Return whether file, labels and outputs are those of the record of a settled track."""
        return (
            source.path == record.path
            and _state(source) == (record.size, record.mtime_ns)
            and "gone" not in record.notes
            and all(
                name in record.labels and record.tags[name] == value
                for name, value in source.tags.items()
            )
            and self.history is not None
            and not any(map(self.history.output_changes, self.extractors, repeat(record)))
        )

    def compare(self, source: InputTrack) -> PlannedTrack:
        """Return what is to do for one track."""
        size, mtime_ns = _state(source)
        record = None if self.view is None else self.view.track(source.track_id)
        content, difference = None, ""
        if record is not None:
            content, difference = self._content(source, size, mtime_ns, record)
        origin = record if content is not None else self._same_content(source, size)
        if self.history is None or (record is None and origin is None):
            units = tuple(
                PlannedUnit(extractor=extractor.number, state="new", features=extractor.features)
                for extractor in self.extractors
            )
            return PlannedTrack(source=source, size=size, mtime_ns=mtime_ns, units=units)
        known = origin or record
        assert known is not None
        content = None if origin is None else origin.content
        units = tuple(
            self._unit(self.history, extractor, known, content, difference)
            for extractor in self.extractors
        )
        needs_work = any(unit.features for unit in units)
        if needs_work and content is not None and not self.retry_failed:
            units = _without_undecodable(units, self.history.decode_failure(known, content))
            needs_work = any(unit.features for unit in units)
        moved = None
        if origin is not None and (origin is not record or not needs_work):
            renewed = _renewed(origin, source, size, mtime_ns)
            moved = None if renewed == record else renewed
        track = PlannedTrack(
            source=source, size=size, mtime_ns=mtime_ns, units=units, moved=moved, record=record
        )
        return track if origin is record else self._taken_over(track, known.track_id)

    def _taken_over(self, track: PlannedTrack, origin: str) -> PlannedTrack:
        """Return a track that also has everything known of its content under the id ``origin``."""
        if self.view is None or track.moved is None:
            return track
        outcomes, values = self.view.results_for(track.moved, origin)
        units = (
            dataclasses.replace(unit, state="reused", reason=f"same content as {origin}")
            if unit.state == "fresh"
            else unit
            for unit in track.units
        )
        return dataclasses.replace(
            track, units=tuple(units), record=track.moved, outcomes=outcomes, values=values
        )

    def _same_content(self, source: InputTrack, size: int) -> TrackRecord | None:
        """Return a track of the store with the very bytes of this file, which cost a hash."""
        if self.view is None or remote.is_url(source.path) or not self.view.has_size(size):
            return None  # what has to be fetched to be hashed can as well be computed
        try:
            return self.view.track_of(content_hash(source.path), size)
        except AudioError:
            return None

    def _content(
        self, source: InputTrack, size: int, mtime_ns: int, record: TrackRecord
    ) -> tuple[str | None, str]:
        """Return the content that results must have been made from, or None and why not."""
        if is_elsewhere(record, source.path):
            check_identity(record, source)
            return record.content or None, ""
        same_state = (size, mtime_ns) == (record.size, record.mtime_ns)
        if same_state and not self.rehash:
            return record.content, ""
        fetches = remote.is_url(source.path) and not self.rehash
        if size == record.size and record.content and not fetches:
            try:
                if _content_hash(source.path) == record.content:
                    return record.content, ""
            except AudioError as error:
                return None, f"file is {error.code}"
        elif same_state:
            return record.content, ""
        gone = "server has no such file, or no answer" if fetches else "file is missing"
        return None, gone if size < 0 else "content changed"

    def _unit(
        self,
        history: _History,
        extractor: PreparedExtractor,
        record: TrackRecord,
        content: str | None,
        difference: str,
    ) -> PlannedUnit:
        """Return what is to do for one extractor; ``difference`` says why ``content`` is None."""
        results = history.results(extractor, record.track_id)
        output_changes = history.output_changes(extractor, record)
        missing = extractor.features
        reason = ""
        for result in sorted(results, key=lambda unit: SEVERITY[unit.status]):
            concerned = [name for name in missing if name in (result.features or missing)]
            if not concerned:
                continue
            if content is None or (result.content and result.content != content):
                reason = difference or "content changed"
            elif result.status == "ok":
                usable = {name for name in concerned if name not in output_changes}
                missing = tuple(name for name in missing if name not in usable)
            else:
                return self._known_failure(extractor, result, missing)
        if not missing:
            return PlannedUnit(extractor=extractor.number, state="fresh")
        reason = reason or "; ".join(
            output_changes[name] for name in missing if name in output_changes
        )
        reason = reason or history.loss(extractor, record.track_id)
        if not results:
            reason = reason or history.recipe_changes(extractor, record.track_id)
        return PlannedUnit(
            extractor=extractor.number,
            state="stale" if reason else "new",
            reason=reason,
            features=missing,
        )

    def _known_failure(
        self, extractor: PreparedExtractor, result: Unit, missing: tuple[str, ...]
    ) -> PlannedUnit:
        """Return a unit that failed or was skipped before; failures are work where asked for."""
        if result.status == "skipped" or not self.retry_failed:
            return PlannedUnit(
                extractor=extractor.number,
                state=result.status,
                reason=result.reason,
                code=result.code,
            )
        return PlannedUnit(
            extractor=extractor.number,
            state="retry",
            reason=f"{result.code}: {result.reason}",
            features=missing if result.features else extractor.features,
        )


class _History:
    """What a store holds of each extractor, under the recipe of the plan and under older ones."""

    def __init__(self, view: LedgerView, extractors: Sequence[PreparedExtractor]) -> None:
        self.view = view
        self.outputs = OutputCheck(view, extractors)
        recipes = view.recipes()
        self.recipe_ids = [recipe.id for recipe in recipes]
        #: numbers of extractors that have results, and of those that lost some with a shard
        self.with_results = {
            extractor.number
            for extractor in extractors
            if extractor.recipe.id in set(self.recipe_ids)
        }
        self.with_losses = {
            extractor.number for extractor in extractors if view.lost(extractor.recipe.id) > 0
        }
        #: number of the extractor -> its other recipes, the latest first
        self.other_recipes: Mapping[int, list[Recipe]] = {
            extractor.number: [
                recipe
                for recipe in recipes
                if recipe.extractor == extractor.full_name and recipe.id != extractor.recipe.id
            ]
            for extractor in extractors
        }

    def results(self, extractor: PreparedExtractor, track_id: str) -> tuple[Unit, ...]:
        """Return what the store has of this track under the recipe of ``extractor``."""
        if extractor.number not in self.with_results:
            return ()
        return self.view.units(track_id, extractor.recipe.id)

    def output_changes(self, extractor: PreparedExtractor, record: TrackRecord) -> dict[str, str]:
        """Return the features that are stored in another form than today's, and what changed."""
        return self.outputs.changes(extractor, record.track_id, record.sr)

    def recipe_changes(self, extractor: PreparedExtractor, track_id: str) -> str:
        """Return what differs from the latest other recipe that has results for this track."""
        for recipe in self.other_recipes[extractor.number]:
            if self.view.units(track_id, recipe.id):
                return recipe_changes(recipe, extractor.recipe)
        return ""

    def loss(self, extractor: PreparedExtractor, track_id: str) -> str:
        """Return a reason where values went with a damaged shard."""
        if extractor.number not in self.with_losses:
            return ""
        lost = self.view.lost(extractor.recipe.id, track_id)
        return "its shard was damaged" if lost else ""

    def decode_failure(self, record: TrackRecord, content: str) -> Unit | None:
        """Return a failure to decode these very bytes, under whichever recipe it was met.

        A file that no recipe could read needs no other try because a parameter has changed.
        """
        if record.duration is not None:
            return None
        for recipe_id in self.recipe_ids:
            for unit in self.view.units(record.track_id, recipe_id):
                if unit.code in DECODE_CODES and unit.content == content:
                    return unit
        return None


def _state(source: InputTrack) -> tuple[int, int]:
    return source.state or file_state(source.path)


def _content_hash(path: str) -> str:
    """Return the hash of a file's bytes, fetching them if need be; an `AudioError` if it fails."""
    if not remote.is_url(path):
        return content_hash(path)
    with tempfile.TemporaryDirectory(prefix="featx-") as folder:
        target = f"{folder}/file"
        try:
            remote.fetch(path, target, max_bytes=Limits().max_bytes)
        except UnreachableError as error:
            raise AudioError("unreadable", str(error)) from error
        return content_hash(target)


def _without_undecodable(
    units: tuple[PlannedUnit, ...], failure: Unit | None
) -> tuple[PlannedUnit, ...]:
    """Return known failures in place of units to compute, where the file does not decode."""
    if failure is None:
        return units
    return tuple(
        PlannedUnit(
            extractor=unit.extractor,
            state="failed",
            reason=failure.reason,
            code=failure.code,
            carried=True,
        )
        if unit.features
        else unit
        for unit in units
    )


def _renewed(record: TrackRecord, source: InputTrack, size: int, mtime_ns: int) -> TrackRecord:
    """Return the record with id, path, times and manifest columns as they are now."""
    same_suffix = record.path.rpartition(".")[2] == source.path.rpartition(".")[2]
    outdated = ("gone",) if same_suffix else ("gone", "wrong-suffix")
    renewed = dataclasses.replace(
        record,
        track_id=source.track_id,
        path=source.path,
        size=size,
        mtime_ns=mtime_ns,
        notes={code: text for code, text in record.notes.items() if code not in outdated},
    )
    return renewed.labelled(source.tags)


def _labels(record: TrackRecord | None) -> dict[str, str]:
    """Return the tags that manifests gave a track: they outlive what its file says."""
    return {} if record is None else {name: record.tags[name] for name in record.labels}
