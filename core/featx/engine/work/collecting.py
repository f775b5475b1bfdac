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
    TrackTask,
)
from featx.errors import AudioError
from featx.store import StoreWriter
from featx.store.records import Recipe, TrackRecord, Unit

if TYPE_CHECKING:
    from featx.types import AnyArray, FeatureSpec

__all__ = ["Collector", "PendingTrack"]

_WORST = {"ok": 0, "skipped": 1, "failed": 2}


@dataclass(kw_only=True)
class PendingTrack:
    """One track on its way through a child: which steps are left, how often one was tried."""

    key: int
    track: TrackTask
    steps: list[int]
    attempts: int = 0
    facts: FileProperties | None = None
    status: str = "ok"


@dataclass(kw_only=True)
class _Group:
    """Results that go into one shard."""

    recipe: Recipe
    specs: tuple[FeatureSpec, ...]
    tracks: list[TrackRecord] = field(default_factory=list)
    values: list[dict[str, AnyArray]] = field(default_factory=list)
    srs: list[int] = field(default_factory=list)


class Collector:
    """Results of one shard task, waiting to be committed, and its summary."""

    def __init__(self, setup: RunSettings, number: int, writer: StoreWriter) -> None:
        self.setup = setup
        self.number = number
        self.writer = writer
        self.peak_rss = 0
        #: The child compiles kernels, or did while this shard was in work.
        self.compiling = False
        self._began = time.monotonic()
        self._files: Counter[str] = Counter()
        self._units: dict[str, Counter[str]] = {job.name: Counter() for job in setup.extractors}
        self._failures: list[Failure] = []
        self._audio = 0.0
        self._groups: dict[tuple[int, tuple[FeatureSpec, ...]], _Group] = {}
        self._outcomes: dict[str, TrackRecord] = {}
        self._failed_units: list[Unit] = []
        self._recipes: dict[str, Recipe] = {}
        self._bytes = 0
        self._since = self._began

    def result(self, item: PendingTrack, job: PreparedExtractor, outputs: Outputs) -> None:
        """Take what an extractor gave for a track."""
        wanted = dict(item.track.wanted)[job.number]
        specs = tuple(spec for spec in outputs.specs if spec.name in wanted)
        group = self._groups.setdefault((job.number, specs), _Group(recipe=job.recipe, specs=specs))
        group.tracks.append(_record(item))
        group.values.append({spec.name: outputs.values[spec.name] for spec in specs})
        group.srs.append(outputs.sr)
        self._bytes += sum(values.nbytes for values in group.values[-1].values())
        self._units[job.name]["ok"] += 1

    def failed(self, item: PendingTrack, job: PreparedExtractor, code: str, reason: str) -> None:
        """Take the failure of one extractor on a track."""
        self._outcome(item, job, "failed", code, reason)
        self._failures.append(
            Failure(
                track_id=item.track.track_id,
                path=item.track.path,
                extractor=job.name,
                code=code,
                reason=reason,
            )
        )

    def skipped(self, item: PendingTrack, job: PreparedExtractor, code: str, reason: str) -> None:
        """Take a track that an extractor does not want."""
        self._outcome(item, job, "skipped", code, reason)

    @property
    def finished(self) -> Mapping[str, int]:
        """Files so far by their worst status; other threads may look."""
        return self._files

    @property
    def audio(self) -> float:
        """Seconds of audio decoded so far."""
        return self._audio

    def finish(self, item: PendingTrack) -> None:
        """Count a track that has no steps left, and commit if enough has gathered."""
        self._files[max(item.status, item.track.known, key=_WORST.__getitem__)] += 1
        if item.facts is not None:
            self._audio += item.facts.duration or 0.0
        age = time.monotonic() - self._since
        if age > self.setup.commit_seconds or self._bytes > self.setup.commit_bytes:
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

    def summary(self, *, stopped: int) -> ShardSummary:
        """Return what came of the task; ``stopped`` tracks were not done."""
        return ShardSummary(
            number=self.number,
            ok=self._files["ok"],
            failed=self._files["failed"],
            skipped=self._files["skipped"],
            stopped=stopped,
            units={name: dict(counts) for name, counts in self._units.items()},
            failures=tuple(self._failures),
            audio=self._audio,
            busy=time.monotonic() - self._began,
            peak_rss=self.peak_rss,
        )

    def _outcome(
        self, item: PendingTrack, job: PreparedExtractor, status: str, code: str, reason: str
    ) -> None:
        item.status = max(item.status, status, key=_WORST.__getitem__)
        self._units[job.name][status] += 1
        track = _record(item)
        features = () if status == "skipped" else dict(item.track.wanted)[job.number]
        unit = Unit(
            track_id=track.track_id,
            recipe=job.recipe.id,
            status=status,
            features=features,
            code=code,
            reason=reason,
        )
        self._outcomes[track.track_id] = track
        self._failed_units.append(unit)
        self._recipes[job.recipe.id] = job.recipe


def _record(item: PendingTrack) -> TrackRecord:
    """Return the line of the track table for one track, as far as it is known."""
    facts = item.facts
    if facts is None:  # the child died before it could say anything
        item.facts = facts = FileProperties(
            content=_content(item.track.path),
            size=item.track.size,
            mtime_ns=item.track.mtime_ns,
        )
    return TrackRecord(
        track_id=item.track.track_id,
        path=item.track.path,
        content=facts.content,
        size=facts.size,
        mtime_ns=facts.mtime_ns,
        duration=facts.duration,
        sr=facts.sr,
        channels=facts.channels,
        tags={**facts.tags, **item.track.tags},
    )


def _content(path: str) -> str:
    try:
        return content_hash(path)
    except AudioError:
        return ""
