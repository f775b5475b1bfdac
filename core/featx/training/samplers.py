"""Which crops make up an example: pure functions of a place in the epoch and a generator.

A sampler knows songs and their lengths, never audio. Everything it draws comes from the generator
it is handed, so that an example depends on seed and place alone, not on who computes it.
"""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from featx.errors import ParameterError
from featx.training.songs import Song, Songs

if TYPE_CHECKING:
    import numpy.typing as npt

    Indices: TypeAlias = npt.NDArray[np.int64]

#: Names that a positive may share with its anchor.
NOTIONS = ("artist", "album", "track")


@dataclass(frozen=True)
class Crop:
    """One piece of a song, from ``start`` on, in samples or frames.

    ``augment`` says whether this piece is changed at random (`AugmentParams`): True always, False
    never, None while training and not while validating.
    """

    song: Song
    start: int
    augment: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Example:
    """One row of a batch.

    Parameters
    ----------
    crops : mapping of str to Crop or tuple of Crop
        By role. A crop becomes ``(batch, ...)``, a tuple of n crops ``(batch, n, ...)``.
    targets : mapping of str to number or array
        Labels by role, stacked along the batch.
    """

    crops: Mapping[str, Crop | tuple[Crop, ...]]
    targets: Mapping[str, Any] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files it is made of, each once."""
        groups = ((item,) if isinstance(item, Crop) else item for item in self.crops.values())
        return tuple(dict.fromkeys(crop.song.path for group in groups for crop in group))


class Sampler(ABC):
    """Gives the examples of an epoch.

    ``len`` is the number of examples in an epoch. Places come in a random order, each once an
    epoch; the order is the trainer's business.
    """

    #: Settings of augmentation that would make the targets wrong.
    frozen: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def example(self, place: int, rng: np.random.Generator) -> Example:
        """Return the example at ``place``, 0 <= place < len, drawing from ``rng`` alone."""


def random_start(song: Song, length: int, rng: np.random.Generator) -> int:
    """Return a start at which ``length`` fits; 0 for a shorter song, which is repeated."""
    return int(rng.integers(max(song.length - length, 0) + 1))


def pick(group: Indices, rng: np.random.Generator, *, but: int = -1) -> int:
    """Return one of ``group`` that is not ``but``; a group of ``but`` alone gives it back."""
    if but < 0 or len(group) < 2:
        return int(group[rng.integers(len(group))])
    position = int(np.searchsorted(group, but))
    drawn = int(rng.integers(len(group) - 1))
    return int(group[drawn + (drawn >= position)])


class SongSampler(Sampler):
    """Crops of single songs: every one that overlaps no other, or one of each, somewhere in it."""

    def __init__(self, songs: Songs, *, length: int, every: bool) -> None:
        self.songs, self.length, self.every = songs, length, every
        counts = [max(song.length // length, 1) if every else 1 for song in songs]
        self._ends = np.cumsum(counts).tolist()

    def __len__(self) -> int:
        return int(self._ends[-1])

    def crop(self, place: int, rng: np.random.Generator) -> tuple[int, Crop]:
        """Return the number of a song and the crop of it that is at ``place``."""
        index = bisect.bisect_right(self._ends, place)
        song = self.songs[index]
        if self.every:
            start = (place - (self._ends[index - 1] if index else 0)) * self.length
        else:
            start = random_start(song, self.length, rng)
        return index, Crop(song, start)


class SegmentSampler(SongSampler):
    """Labelled segments, labels of the song copied to each.

    Roles: ``inputs``; targets ``targets`` (one row or number of ``labels``) and ``clip`` (number of
    the song, so that predictions can be averaged per clip).

    Parameters
    ----------
    songs : Songs
        At least one.
    labels : array, shape (n_songs, ...)
        What is to be predicted.
    length : int > 0
        Samples or frames of a segment.
    every : bool
        True: an epoch holds every non-overlapping segment of every song. False: one crop of every
        song, somewhere in it.
    """

    def __init__(self, songs: Songs, labels: Any, *, length: int, every: bool = True) -> None:
        labels = np.asarray(labels)
        if len(songs) == 0 or len(labels) != len(songs):
            raise ParameterError(
                f"labels must have one row for each song (> 0), got {len(labels)} for {len(songs)}."
            )
        super().__init__(songs, length=length, every=every)
        self.labels = labels

    def example(self, place: int, rng: np.random.Generator) -> Example:
        index, crop = self.crop(place, rng)
        return Example(
            crops={"inputs": crop}, targets={"targets": self.labels[index], "clip": index}
        )


class PositiveSampler(Sampler):
    """Anchor, a positive that shares a notion with it, and negatives that do not.

    Roles: ``anchors``, ``positives``, ``negatives`` (n_negatives of them). Targets ``group`` and
    ``negative_groups`` number the artist, album or track of the anchor and of each negative. An
    epoch is one pass over the songs that have a partner. Every crop lies somewhere in its song.

    Parameters
    ----------
    songs : Songs
        Anchors and, unless ``pool`` is given, everything else.
    notion : {'artist', 'album', 'track'}
        What the positive shares: another song of the artist or album, or another part of the song.
    n_negatives : int > 0
        Songs of any other artist, album or track.
    length : int > 0
        Samples or frames of a crop.
    pool : Songs, optional
        Where positives come from, such as the training songs while validating.
    """

    def __init__(
        self,
        songs: Songs,
        *,
        notion: str,
        n_negatives: int,
        length: int,
        pool: Songs | None = None,
    ) -> None:
        if notion not in NOTIONS:
            raise ParameterError(f"notion must be one of {', '.join(NOTIONS)}, got {notion!r}.")
        if n_negatives < 1:
            raise ParameterError(f"n_negatives must be an integer > 0, got {n_negatives}.")
        self.songs, self.length, self.n_negatives = songs, length, n_negatives
        self.notion = notion
        self.pool = songs if pool is None else pool
        self._labels = _labels(songs, notion)
        self._numbers = np.unique(self._labels, return_inverse=True)[1]
        if notion == "track":
            self._partners = {}
            self._anchors = np.arange(len(songs))
        else:
            least = 2 if self.pool is songs else 1
            groups = self.pool.groups(notion)
            self._partners = {name: group for name, group in groups.items() if len(group) >= least}
            self._anchors = np.array(
                [i for i, label in enumerate(self._labels) if label in self._partners], np.int64
            )
        self._check(len(set(self._labels)))

    def _check(self, n_labels: int) -> None:
        """Raise `ParameterError` that says which songs lack what."""
        notion, songs = self.notion, f"songs{self.songs.of_split}"
        if n_labels < 2:
            raise ParameterError(f"{songs} must hold two {notion}s or more, got {n_labels}.")
        if len(self._anchors) == 0 and self.pool is self.songs:
            raise ParameterError(
                f"{songs} must hold two of one {notion}, got {n_labels} {notion}s with one song "
                "each."
            )
        if len(self._anchors) == 0:
            raise ParameterError(
                f"{songs} must hold one of an {notion} of the songs{self.pool.of_split}, got "
                f"{n_labels} other {notion}s."
            )

    def __len__(self) -> int:
        return len(self._anchors)

    def example(self, place: int, rng: np.random.Generator) -> Example:
        anchor = int(self._anchors[place])
        song = self.songs[anchor]
        first = self._crop(song, rng)
        if self.notion == "track":
            positive = other_part(first, self.length, rng)
        else:
            same = anchor if self.pool is self.songs else -1
            group = self._partners[self._labels[anchor]]
            positive = self._crop(self.pool[pick(group, rng, but=same)], rng)
        others, negatives = [], []
        for _ in range(self.n_negatives):
            others.append(self._negative(anchor, rng))
            negatives.append(self._crop(self.songs[others[-1]], rng))
        return Example(
            crops={"anchors": first, "positives": positive, "negatives": tuple(negatives)},
            targets={
                "group": self._numbers[anchor],
                "negative_groups": self._numbers[others],
            },
        )

    def _crop(self, song: Song, rng: np.random.Generator) -> Crop:
        return Crop(song, random_start(song, self.length, rng))

    def _negative(self, anchor: int, rng: np.random.Generator) -> int:
        own = self._labels[anchor]
        while True:
            drawn = int(rng.integers(len(self.songs)))
            if self._labels[drawn] != own:
                return drawn


def _labels(songs: Songs, notion: str) -> Sequence[str]:
    if notion == "track":
        return [song.track_id for song in songs]
    labels = [""] * len(songs)
    for name, group in songs.groups(notion).items():
        for index in group:
            labels[index] = name
    return labels


def other_part(first: Crop, length: int, rng: np.random.Generator) -> Crop:
    """Return another crop of the same song that shares at most half of its length.

    In a song too short for that it is the part that overlaps least.
    """
    room = max(first.song.length - length, 0)
    apart = -(-length // 2)
    before = max(first.start - apart + 1, 0)
    after = max(room - first.start - apart + 1, 0)
    if before + after == 0:
        return Crop(first.song, room if first.start <= room - first.start else 0)
    drawn = int(rng.integers(before + after))
    start = drawn if drawn < before else first.start + apart + drawn - before
    return Crop(first.song, start)


class TrackSampler(Sampler):
    """Several crops of one song, each song once an epoch: views, or track triplets.

    Roles: ``views`` (n_views of them). Negatives are the other songs of the batch.

    Parameters
    ----------
    songs : Songs
        At least one.
    length : int > 0
        Samples or frames of a crop.
    n_views : int > 1
        Crops per song.
    augment : bool
        True: one place of the song n_views times, each changed differently by the augmentation
        that is set (`AugmentParams`), also while validating. False: other places, each sharing at
        most half of its length with the first.
    """

    def __init__(
        self, songs: Songs, *, length: int, n_views: int = 2, augment: bool = False
    ) -> None:
        if len(songs) == 0 or n_views < 2:
            raise ParameterError(
                f"songs and n_views must be at least 1 and 2, got {len(songs)} and {n_views}."
            )
        self.songs, self.length, self.n_views, self.augment = songs, length, n_views, augment

    def __len__(self) -> int:
        return len(self.songs)

    def example(self, place: int, rng: np.random.Generator) -> Example:
        song = self.songs[place]
        start = random_start(song, self.length, rng)
        if self.augment:
            views = tuple(Crop(song, start, augment=True) for _ in range(self.n_views))
        else:
            first = Crop(song, start)
            others = (other_part(first, self.length, rng) for _ in range(self.n_views - 1))
            views = (first, *others)
        return Example(crops={"views": views}, targets={"clip": place})


class TagTripletSampler(Sampler):
    """Tag first, then the pair: anchor and positive share a tag that the negatives lack.

    Drawing the tag before the songs gives rare tags as many triplets as frequent ones. Roles are
    those of `PositiveSampler`; target ``tag`` is the number of the tag in ``tags``.

    Parameters
    ----------
    songs : Songs
        With tags.
    tags : sequence of str
        Vocabulary; tags that fewer than two songs have, or all of them, are never drawn.
    n_negatives, length
        As in `PositiveSampler`.
    """

    def __init__(
        self, songs: Songs, *, tags: Sequence[str], length: int, n_negatives: int = 1
    ) -> None:
        self.songs, self.length, self.n_negatives = songs, length, n_negatives
        rows = [[tag in song.tags for tag in tags] for song in songs]
        has = np.array(rows, bool).reshape(-1, len(tags))
        self._groups = [
            (number, np.flatnonzero(has[:, number]), np.flatnonzero(~has[:, number]))
            for number in range(len(tags))
            if 2 <= has[:, number].sum() < len(songs)
        ]
        if not self._groups:
            raise ParameterError(
                f"tags must hold one that two songs have and another lacks, got {len(tags)} tags "
                f"of {len(songs)} songs."
            )

    def __len__(self) -> int:
        return len(self.songs)

    def example(self, place: int, rng: np.random.Generator) -> Example:  # noqa: ARG002
        """See `Sampler`; the place only counts."""
        number, have, lack = self._groups[rng.integers(len(self._groups))]
        anchor = pick(have, rng)
        positive = pick(have, rng, but=anchor)
        negatives = [pick(lack, rng) for _ in range(self.n_negatives)]
        crops = [
            Crop(self.songs[index], random_start(self.songs[index], self.length, rng))
            for index in (anchor, positive, *negatives)
        ]
        return Example(
            crops={"anchors": crops[0], "positives": crops[1], "negatives": tuple(crops[2:])},
            targets={"tag": number},
        )


class JointSampler(Sampler):
    """Several samplers at once, each drawing for itself; roles become ``<name>.<role>``.

    Parameters
    ----------
    samplers : mapping of str to Sampler
        The epoch is that of the longest; shorter ones start again at random places.
    """

    def __init__(self, samplers: Mapping[str, Sampler]) -> None:
        if not samplers:
            raise ParameterError("samplers must hold at least one sampler, got none.")
        self.samplers = dict(samplers)
        self.frozen = tuple(
            dict.fromkeys(name for item in samplers.values() for name in item.frozen)
        )

    def __len__(self) -> int:
        return max(map(len, self.samplers.values()))

    def example(self, place: int, rng: np.random.Generator) -> Example:
        crops: dict[str, Crop | tuple[Crop, ...]] = {}
        targets: dict[str, Any] = {}
        for name, sampler in self.samplers.items():
            own = place if place < len(sampler) else int(rng.integers(len(sampler)))
            part = sampler.example(own, rng)
            crops |= {f"{name}.{role}": value for role, value in part.crops.items()}
            targets |= {f"{name}.{role}": value for role, value in part.targets.items()}
        return Example(crops=crops, targets=targets)
