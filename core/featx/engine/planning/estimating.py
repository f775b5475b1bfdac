"""How long a run would take and how much it would store, by what earlier runs took."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

import numpy as np

from featx.engine.planning.comparing import PlannedTrack
from featx.engine.tasks import PreparedExtractor
from featx.store.catalogue import LedgerView
from featx.store.records import Cost
from featx.types import FeatureSpec

#: Bytes of a shard beside its values for each track: id, content, digests, and a share of the
#: 7 kB that HDF5 needs for the datasets.
_TRACK_BYTES = 200

#: Tracks of a store by which the lengths of files are estimated.
_SAMPLE = 10_000


class _Spent(NamedTuple):
    """What the shards of one recipe took, whatever features they hold."""

    timed: float
    extracting: float


@dataclass(kw_only=True)
class Rates:
    """What the stores of earlier runs say: see `read`.

    ``spent`` goes by recipe id; ``held``, seconds of audio and bytes, by recipe and features of
    shards; ``latest`` leads from the full name of an extractor to its recipe that ran last.
    ``per_byte`` are seconds of audio per byte of a file by its suffix, ``mean`` the mean length of
    a track in seconds.
    """

    spent: dict[str, _Spent] = field(default_factory=dict)
    held: dict[tuple[str, tuple[str, ...]], tuple[float, int]] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    decoding: float | None = None
    per_byte: dict[str, float] = field(default_factory=dict)
    mean: float | None = None

    @classmethod
    def read(cls, views: Iterable[LedgerView]) -> Rates:
        """Return the rates that some stores have; later stores count before earlier ones."""
        rates = cls()
        timed = decoding = 0.0
        lengths: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for view in views:
            spent: defaultdict[str, list[Cost]] = defaultdict(list)
            for recipe, features, size, cost in view.costs():
                rates.held[recipe, features] = (cost.audio, size)
                spent[recipe].append(cost)
            for recipe, costs in spent.items():
                seconds = math.fsum(cost.timed for cost in costs)
                timed += seconds
                decoding += math.fsum(cost.decoding for cost in costs)
                if seconds > 0:
                    extracting = math.fsum(cost.extracting for cost in costs)
                    rates.spent[recipe] = _Spent(seconds, extracting)
            for known in reversed(view.recipes()):
                if known.id in rates.spent:
                    rates.latest[known.extractor] = known.id
            for path, size, duration in view.lengths(_SAMPLE):
                for key in (_suffix(path), ""):
                    lengths[key][0] += duration
                    lengths[key][1] += size if key else 1
        rates.decoding = decoding / timed if timed > 0 else None
        rates.mean = lengths[""][0] / lengths[""][1] if lengths[""][1] else None
        rates.per_byte = {key: a / b for key, (a, b) in lengths.items() if key and b}
        return rates

    def length(self, track: PlannedTrack) -> float | None:
        """Return how long a file is: as the store knows, by its size, or as others on average."""
        record = track.record
        if record is not None and record.duration is not None and record.size == track.size:
            return record.duration
        per_byte = self.per_byte.get(_suffix(track.source.path))
        return self.mean if per_byte is None else track.size * per_byte

    def rate(self, extractor: PreparedExtractor) -> float | None:
        """Return seconds of work per second of audio, of this recipe or else of the latest one."""
        for recipe in (extractor.recipe.id, self.latest.get(extractor.full_name, "")):
            if recipe in self.spent:
                return self.spent[recipe].extracting / self.spent[recipe].timed
        return None

    def size(
        self, extractor: PreparedExtractor, names: tuple[str, ...], tracks: int, audio: float | None
    ) -> float | None:
        """Return the bytes that features of some tracks take, of ``audio`` seconds in all."""
        specs = [extractor.resolved.output(name) for name in names]
        values = _values(specs, extractor.resolved.sr, tracks, audio)
        if values is not None:
            return values + tracks * _TRACK_BYTES
        for recipe in (extractor.recipe.id, self.latest.get(extractor.full_name, "")):
            held = self.held.get((recipe, tuple(sorted(names))))
            if held is not None and audio is not None:
                return audio * held[1] / held[0]
        return None


@dataclass(frozen=True, kw_only=True)
class ExtractorEstimate:
    """Seconds of work and bytes of one extractor; None where nothing is known of it."""

    seconds: float | None
    bytes: float | None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run would take.

    ``audio`` are seconds of audio, ``decoding`` and those of ``extractors`` seconds of work, which
    ``workers`` share. Everything is None that earlier runs say nothing about.
    """

    workers: int
    audio: float | None
    decoding: float | None
    extractors: Mapping[str, ExtractorEstimate]

    @property
    def seconds(self) -> float | None:
        """How long the run would take."""
        parts = [self.decoding, *(item.seconds for item in self.extractors.values())]
        known = [seconds for seconds in parts if seconds is not None]
        return math.fsum(known) / self.workers if len(known) == len(parts) else None

    @property
    def bytes(self) -> float | None:
        """How much it would store."""
        known = [item.bytes for item in self.extractors.values() if item.bytes is not None]
        return math.fsum(known) if len(known) == len(self.extractors) else None

    @property
    def unknown(self) -> list[str]:
        """Names of the extractors whose time is unknown."""
        return [name for name, item in self.extractors.items() if item.seconds is None]


class WorkCount:
    """How much audio the tracks to do have, for each extractor and its missing features."""

    def __init__(self, extractors: Sequence[PreparedExtractor], rates: Rates) -> None:
        self._extractors = extractors
        self._rates = rates
        self._audio: float | None = 0.0
        self._tracks: Counter[tuple[int, tuple[str, ...]]] = Counter()
        self._seconds: defaultdict[tuple[int, tuple[str, ...]], float] = defaultdict(float)

    def add(self, track: PlannedTrack) -> None:
        """Count one track."""
        groups = [(unit.extractor, unit.features) for unit in track.units if unit.features]
        if not groups or track.size < 0:  # nothing to do, or nothing there
            return
        length = self._rates.length(track)
        self._audio = None if length is None or self._audio is None else self._audio + length
        for group in groups:
            self._tracks[group] += 1
            self._seconds[group] += length or 0.0

    def estimate(self, workers: int) -> Estimate:
        """Return what the tracks counted so far would take."""
        known = self._audio is not None
        extractors = {}
        for extractor in self._extractors:
            groups = [group for group in self._tracks if group[0] == extractor.number]
            rate = self._rates.rate(extractor) if groups else 0.0
            sizes = [
                self._rates.size(
                    extractor,
                    group[1],
                    self._tracks[group],
                    self._seconds[group] if known else None,
                )
                for group in groups
            ]
            seconds = math.fsum(self._seconds[group] for group in groups)
            extractors[extractor.name] = ExtractorEstimate(
                seconds=seconds * rate if rate is not None and (known or not groups) else None,
                bytes=None if None in sizes else math.fsum(size for size in sizes if size),
            )
        decoding = self._rates.decoding if self._tracks else 0.0
        return Estimate(
            workers=workers,
            audio=self._audio,
            decoding=None if decoding is None or self._audio is None else decoding * self._audio,
            extractors=extractors,
        )


def _values(
    specs: Sequence[FeatureSpec], sr: int | None, tracks: int, audio: float | None
) -> float | None:
    """Return the bytes of the values alone; None where their number follows from no spec."""
    total = 0.0
    for spec in specs:
        row = spec.dim * np.dtype(spec.dtype).itemsize
        if spec.kind == "clip":
            total += tracks * row
        elif spec.kind == "frames" and spec.hop and sr and audio is not None:
            total += row * audio * sr / float(spec.hop)
        else:
            return None
    return total


def _suffix(path: str) -> str:
    return PurePath(path).suffix.lower()
