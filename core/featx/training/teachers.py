"""What other networks gave for the same seconds, read from stores of features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError
from featx.store import open_store
from featx.training.samplers import Crop, Example, Sampler
from featx.training.songs import Song, Songs
from featx.types import FloatArray

if TYPE_CHECKING:
    from featx.store.views import FeatureView

#: Added to deviations, so that a unit that never answers is not divided by 0.
_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """One output of a teacher: frames of seconds, by track.

    ``names`` are those of its columns, ``first`` and ``step`` the centre of frame 0 and the
    distance of centres in seconds.
    """

    values: Mapping[str, FloatArray]
    names: tuple[str, ...]
    first: float
    step: float

    @property
    def dim(self) -> int:
        """Numbers per frame."""
        return int(next(iter(self.values.values())).shape[1])

    def at(self, track_id: str, seconds: float, span: float = 0.0) -> FloatArray:
        """Return the mean of the frames that share ``span`` seconds around ``seconds`` among them.

        These are as many as steps fit into the span, one at least, and fewer at the ends of a
        track. NaN of an unknown track.
        """
        rows = self.values.get(track_id)
        if rows is None:
            return np.full(self.dim, np.nan, np.float32)
        half = max(round(span / self.step) - 1, 0) // 2
        number = min(max(round((seconds - self.first) / self.step), 0), len(rows) - 1)
        mean: FloatArray = rows[max(number - half, 0) : number + half + 1].mean(axis=0)
        return mean

    def moments(self, track_ids: Iterable[str]) -> tuple[FloatArray, FloatArray]:
        """Return mean and deviation of every number over the frames of some tracks."""
        rows = np.concatenate([self.values[name] for name in track_ids]).astype(np.float64)
        return rows.mean(axis=0).astype(np.float32), (rows.std(axis=0) + _EPS).astype(np.float32)


def read_teacher(text: str, track_ids: Sequence[str]) -> Teacher:
    """Return an output of a teacher for the tracks that have it.

    Parameters
    ----------
    text : str
        ``STORE:EXTRACTOR.FEATURE``, a feature of kind ``frames``.
    track_ids : sequence of str
        The tracks of the training.

    Raises
    ------
    ParameterError
        If there is no such feature, or no track has it.
    """
    path, _, name = text.rpartition(":")
    extractor, _, feature = name.partition(".")
    if not path or not feature:
        raise ParameterError(f"teachers must be STORE:EXTRACTOR.FEATURE, got {text!r}.")
    with open_store(path) as store:
        view = store[extractor][feature]
        if view.spec.kind != "frames":
            raise ParameterError(
                f"teachers must be features of kind 'frames', but {name} is of kind "
                f"{view.spec.kind!r}."
            )
        values = {track_id: view[track_id] for track_id in track_ids if track_id in view}
        if not values:
            raise ParameterError(
                f"{path} must hold {name} of the songs of the manifest, got none of "
                f"{len(track_ids)}. Compute it: featx run MANIFEST -p {extractor} "
                f"--features {feature} -o {path}"
            )
        return _teacher(view, values)


def _teacher(view: FeatureView, values: dict[str, FloatArray]) -> Teacher:
    some = max(values, key=lambda name: len(values[name]))
    times, sr = view.times(some), view.sr(some)
    spec = view.spec
    step = float(spec.hop or 1) / sr
    return Teacher(values=values, names=spec.column_names, first=float(times[0]), step=step)


def heard(songs: Iterable[Song], teachers: Sequence[Teacher]) -> Songs:
    """Return the songs that some teacher knows."""
    return Songs(song for song in songs if any(song.track_id in item.values for item in teachers))


class TeacherSampler(Sampler):
    """Crops with what teachers gave for them.

    Roles: ``inputs``, and ``views`` (two) where a contrast is wanted. Targets: ``numbers``,
    standardised, ``tags`` and ``labels``, as far as there are any; NaN where a teacher did not
    hear the song, or the manifest has no tags for it. An epoch holds, for every song, every frame
    of the first teacher that heard it.

    Parameters
    ----------
    songs : Songs
        Those that some teacher knows are used; at least one.
    teachers : sequence of Teacher
        Whose numbers are predicted, in this order.
    moments : sequence of (mean, deviation)
        By which they are standardised.
    tags : Teacher or None
        Probabilities of tags.
    labels : sequence of str
        Tags of the manifest.
    length : int > 0
        Samples or frames of a crop. Teachers with several frames in its time give their mean.
    rate : float > 0
        Samples or frames of a crop per second.
    jitter : float >= 0
        Seconds by which crops are off, at most.
    views : bool
        Whether there are views, two crops at one place that are augmented differently.
    """

    def __init__(
        self,
        songs: Songs,
        *,
        teachers: Sequence[Teacher],
        moments: Sequence[tuple[FloatArray, FloatArray]],
        tags: Teacher | None,
        labels: Sequence[str],
        length: int,
        rate: float,
        jitter: float,
        views: bool,
    ) -> None:
        everyone = (*teachers, *((tags,) if tags else ()))
        self.songs = heard(songs, everyone)
        if not self.songs:
            raise ParameterError(f"teachers must know one of the {len(songs)} songs, got none.")
        self.teachers, self.tags, self.views = tuple(teachers), tags, views
        self._moments, self._labels = tuple(moments), tuple(labels)
        self._length, self._rate, self._jitter = length, rate, jitter
        self._span = length / rate
        self._places: list[tuple[Song, float]] = []
        for song in self.songs:
            own = next(item for item in everyone if song.track_id in item.values)
            count = len(own.values[song.track_id])
            self._places += [(song, own.first + number * own.step) for number in range(count)]

    def __len__(self) -> int:
        return len(self._places)

    def example(self, place: int, rng: np.random.Generator) -> Example:
        """See `Sampler`."""
        song, seconds = self._places[place]
        crop = Crop(song, self._start(song, seconds + rng.uniform(-1.0, 1.0) * self._jitter))
        crops: dict[str, Crop | tuple[Crop, ...]] = {"inputs": crop}
        if self.views:
            crops["views"] = (Crop(song, crop.start, augment=True),) * 2
        return Example(crops=crops, targets=self._targets(song, seconds))

    def _start(self, song: Song, seconds: float) -> int:
        first = round(seconds * self._rate - self._length / 2)
        return min(max(first, 0), max(song.length - self._length, 0))

    def _targets(self, song: Song, seconds: float) -> dict[str, FloatArray]:
        targets = {}
        if self.teachers:
            rows = [
                (teacher.at(song.track_id, seconds, self._span) - mean) / deviation
                for teacher, (mean, deviation) in zip(self.teachers, self._moments, strict=True)
            ]
            targets["numbers"] = np.concatenate(rows).astype(np.float32)
        if self.tags is not None:
            targets["tags"] = self.tags.at(song.track_id, seconds, self._span)
        if self._labels:
            has = np.array([name in song.tags for name in self._labels], np.float32)
            targets["labels"] = has if song.tags else np.full_like(has, np.nan)
        return targets
