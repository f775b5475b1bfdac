"""Gathers what a child computes, commits it to the store, and counts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from featx.audio import content_hash
from featx.engine.tasks import (
    Failure,
    FileProperties,
    Outputs,
    PreparedExtractor,
    RunSettings,
    ShardSummary,
)
from featx.engine.work.supervising import Outcomes, PendingTrack
from featx.errors import AudioError
from featx.store import StoreWriter
from featx.store.records import Cost, Recipe, TrackRecord, Unit

if TYPE_CHECKING:
    from featx.types import AnyArray, FeatureSpec

_NOTHING = Cost(0.0, 0.0, 0.0, 0.0)
_WORST = {"ok": 0, "skipped": 1, "failed": 2}


@dataclass(kw_only=True)
class _Group:
    """Results that go into one shard."""

    recipe: Recipe
    specs: tuple[FeatureSpec, ...]
    tracks: list[TrackRecord] = field(default_factory=list)
    values: list[dict[str, AnyArray]] = field(default_factory=list)
    srs: list[int] = field(default_factory=list)
    cost: Cost = _NOTHING

    def add_cost(self, duration: float, extracting: float | None, decoding: float | None) -> None:
        """Count what one track took."""
        audio, timed, *spent = self.cost
        if extracting is None or decoding is None:
            self.cost = Cost(audio + duration, timed, *spent)
            return
        self.cost = Cost(
            audio + duration, timed + duration, spent[0] + extracting, spent[1] + decoding
        )


class Collector(Outcomes):
    """Results of one shard task, waiting to be committed, and its summary."""

    def __init__(self, settings: RunSettings, number: int, writer: StoreWriter) -> None:
        super().__init__()
        self.settings = settings
        self.number = number
        self.writer = writer
        self._began = time.monotonic()
        self._files: Counter[str] = Counter()
        self._units: dict[str, Counter[str]] = {
            extractor.name: Counter() for extractor in settings.extractors
        }
        self._failures: list[Failure] = []
        self._noted: Counter[str] = Counter()
        self._audio = 0.0
        self._groups: dict[tuple[int, tuple[FeatureSpec, ...]], _Group] = {}
        self._outcomes: dict[str, TrackRecord] = {}
        self._failed_units: list[Unit] = []
        self._recipes: dict[str, Recipe] = {}
        self._bytes = 0
        self._since = self._began

    def result(self, track: PendingTrack, step: int, outputs: Outputs) -> None:
        """Take what an extractor gave for a track."""
        extractor = self.settings.extractors[step]
        names = dict(track.task.missing)[extractor.number]
        specs = tuple(spec for spec in outputs.specs if spec.name in names)
        group = self._groups.setdefault(
            (extractor.number, specs), _Group(recipe=extractor.recipe, specs=specs)
        )
        group.tracks.append(_record(track))
        group.values.append({spec.name: outputs.values[spec.name] for spec in specs})
        group.srs.append(outputs.sr)
        duration = (track.properties and track.properties.duration) or 0.0
        group.add_cost(duration, outputs.seconds, track.decoding)
        self._bytes += sum(values.nbytes for values in group.values[-1].values())
        self._units[extractor.name]["ok"] += 1

    def failed(self, track: PendingTrack, step: int, code: str, reason: str) -> None:
        """Take the failure of one extractor on a track."""
        extractor = self.settings.extractors[step]
        self._outcome(track, extractor, "failed", code, reason)
        self._failures.append(
            Failure(
                track_id=track.task.track_id,
                path=track.task.path,
                extractor=extractor.name,
                code=code,
                reason=reason,
            )
        )

    def skipped(self, track: PendingTrack, step: int, code: str, reason: str) -> None:
        """Take a track that an extractor does not want."""
        self._outcome(track, self.settings.extractors[step], "skipped", code, reason)

    @property
    def finished(self) -> Mapping[str, int]:
        """Files so far by their worst status; other threads may look."""
        return self._files

    @property
    def audio(self) -> float:
        """Seconds of audio decoded so far."""
        return self._audio

    def finish(self, track: PendingTrack) -> None:
        """Count a track that no child has to do, and commit if enough has gathered."""
        if not track.later:
            self._files[max(track.status, track.task.known, key=_WORST.__getitem__)] += 1
            if track.properties is not None:
                self._audio += track.properties.duration or 0.0
                self._noted.update(track.properties.notes.keys())
        age = time.monotonic() - self._since
        if age > self.settings.commit_seconds or self._bytes > self.settings.commit_bytes:
            self.commit()

    def commit(self) -> None:
        """Make everything durable that has gathered."""
        for key in list(self._groups):
            group = self._groups[key]
            order = sorted(range(len(group.tracks)), key=lambda i: group.tracks[i].track_id)
            self.writer.write_shard(
                group.recipe,
                group.specs,
                [group.tracks[i] for i in order],
                [group.values[i] for i in order],
                [group.srs[i] for i in order],
                cost=group.cost,
            )
            del self._groups[key]
        self.writer.record_all(
            list(self._outcomes.values()), self._failed_units, recipes=list(self._recipes.values())
        )
        self._outcomes.clear()
        self._failed_units.clear()
        self._recipes.clear()
        self._bytes = 0
        self._since = time.monotonic()

    def summary(self, *, stopped: int, unreachable: Mapping[str, int]) -> ShardSummary:
        """Return what came of the task; ``stopped`` and ``unreachable`` tracks were not done."""
        return ShardSummary(
            number=self.number,
            ok=self._files["ok"],
            failed=self._files["failed"],
            skipped=self._files["skipped"],
            stopped=stopped,
            unreachable=unreachable,
            units={name: dict(counts) for name, counts in self._units.items()},
            failures=tuple(self._failures),
            noted=dict(self._noted),
            audio=self._audio,
            busy=time.monotonic() - self._began,
            peak_rss=self.peak_rss,
        )

    def _outcome(
        self, track: PendingTrack, extractor: PreparedExtractor, status: str, code: str, reason: str
    ) -> None:
        track.status = max(track.status, status, key=_WORST.__getitem__)
        self._units[extractor.name][status] += 1
        record = _record(track)
        features = () if status == "skipped" else dict(track.task.missing)[extractor.number]
        unit = Unit(
            track_id=record.track_id,
            recipe=extractor.recipe.id,
            status=status,
            features=features,
            code=code,
            reason=reason,
        )
        self._outcomes[record.track_id] = record
        self._failed_units.append(unit)
        self._recipes[extractor.recipe.id] = extractor.recipe


def _record(track: PendingTrack) -> TrackRecord:
    """Return the line of the track table for one track, as far as it is known."""
    properties = track.properties
    if properties is None:  # the child died before it could say anything
        track.properties = properties = FileProperties(
            content=_content(track.local_path),
            size=track.task.size,
            mtime_ns=track.task.mtime_ns,
        )
    state = (properties.size, properties.mtime_ns)
    if track.is_remote:  # those of the copy mean nothing
        state = (track.task.size, track.task.mtime_ns)
    return TrackRecord(
        track_id=track.task.track_id,
        path=track.task.path,
        content=properties.content,
        size=state[0],
        mtime_ns=state[1],
        duration=properties.duration,
        sr=properties.sr,
        channels=properties.channels,
        tags={**properties.tags, **track.task.labels},
        notes=properties.notes,
        labels=tuple(sorted(track.task.labels)),
    )


def _content(path: str) -> str:
    try:
        return content_hash(path)
    except AudioError:
        return ""
