"""Triplets by notion: the notion is drawn first, then what two songs share, then the songs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from featx import ParameterError
from featx.training import Crop, Example, PositiveSampler, Sampler, Songs
from featx_csn.notions import TRACK, Notion

if TYPE_CHECKING:
    from featx.types import AnyArray

#: The number of a tag where there is none.
NO_TAG = -1


class Draws(ABC):
    """Draws anchor, positive and negative under one notion, as places among the songs."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Return three songs, and the number of the shared tag within the notion or `NO_TAG`."""


class GroupDraws(Draws):
    """Songs that share a tag, or a value, against songs that have others.

    Songs without any tag of the notion are not known to lack one, and are never drawn. With
    ``disjoint``, a negative shares no tag of the notion with the anchor, wherever there is such a
    song; otherwise it lacks the tag that anchor and positive share, and may have all others in
    common with the anchor.
    """

    def __init__(self, notion: Notion, songs: Songs, *, disjoint: bool = False) -> None:
        if notion.tags:
            rows = [[tag in song.tags for tag in notion.tags] for song in songs]
            has = np.array(rows, bool).reshape(len(songs), len(notion.tags))
        else:
            values = np.array(songs.column(notion.column))
            has = values[:, np.newaxis] == np.unique(values[values != ""])
        known = has.any(axis=1)
        self.groups = [
            (number, np.flatnonzero(column), np.flatnonzero(known & ~column))
            for number, column in enumerate(has.T)
            if column.sum() >= 2 and (known & ~column).any()
        ]
        self.tags = bool(notion.tags)
        self.shared = has.astype(np.int64) @ has.T if disjoint and self.tags else None
        if not self.groups:
            what = "a tag" if notion.tags else f"a value of {notion.column!r}"
            raise ParameterError(
                f"songs{songs.of_split} must hold two with {what} of notion {notion.name!r} and "
                f"one with another, got {int(known.sum())} songs that have any."
            )

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """See `Draws`; every tag is drawn equally often."""
        number, have, lack = self.groups[rng.integers(len(self.groups))]
        anchor, positive = (int(n) for n in rng.choice(have, 2, replace=False))
        if self.shared is not None:
            apart = lack[self.shared[anchor, lack] == 0]
            lack = apart if len(apart) else lack
        return anchor, positive, int(rng.choice(lack)), number if self.tags else NO_TAG


class NumberDraws(Draws):
    """Songs whose numbers are close, against songs whose numbers are not."""

    def __init__(self, notion: Notion, songs: Songs) -> None:
        self.notion = notion
        values = [_number(text) for text in songs.column(notion.column)]
        self.songs = np.array([n for n, value in enumerate(values) if value > 0], np.int64)
        self.values = np.array([value for value in values if value > 0])
        self.anchors = [
            place
            for place, value in enumerate(self.values)
            if 2 <= similar(value, self.values, notion).sum() < len(self.values)
        ]
        if not self.anchors:
            raise ParameterError(
                f"songs{songs.of_split} must hold two whose {notion.column!r} differ by at most "
                f"{notion.within:g} and one further away, for notion {notion.name!r}; got "
                f"{len(self.values)} songs with a number > 0."
            )

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """See `Draws`; every song is the anchor equally often."""
        anchor = self.anchors[rng.integers(len(self.anchors))]
        near = similar(self.values[anchor], self.values, self.notion)
        far = np.flatnonzero(~near)
        near[anchor] = False
        positive, negative = rng.choice(np.flatnonzero(near)), rng.choice(far)
        return (*(int(self.songs[n]) for n in (anchor, positive, negative)), NO_TAG)  # type: ignore[return-value]


def similar(value: float, values: AnyArray, notion: Notion) -> AnyArray:
    """Return which ``values`` are similar to ``value`` under a notion of numbers.

    They differ by at most ``within``. With ``octaves`` they may also do so after the larger of the
    two is halved; the relation is symmetric.
    """
    low, high = np.minimum(value, values), np.maximum(value, values)
    near: AnyArray = high - low <= notion.within
    if notion.octaves:
        near = near | (np.abs(high / 2 - low) <= notion.within)
    return near


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if np.isfinite(value) else 0.0


class NotionTriplets(Sampler):
    """Triplets, each under a notion that is drawn first, all equally often.

    Roles: ``anchors``, ``positives``, ``negatives`` (one of them). Targets: ``notion``, its place
    in ``notions``; ``tag``, the number of the shared tag among all tags or `NO_TAG`. An epoch has
    as many examples as there are songs. ``disjoint`` is that of `GroupDraws`.
    """

    def __init__(
        self, songs: Songs, notions: Sequence[Notion], *, length: int, disjoint: bool = False
    ) -> None:
        self.songs, self.length = songs, length
        self.draws: list[Draws | PositiveSampler] = []
        self.first_tags: list[int] = []
        n_tags = 0
        for notion in notions:
            self.first_tags.append(n_tags)
            n_tags += len(notion.tags)
            self.draws.append(_draws(notion, songs, length, disjoint=disjoint))

    def __len__(self) -> int:
        return len(self.songs)

    def example(self, place: int, rng: np.random.Generator) -> Example:  # noqa: ARG002
        """See `Sampler`; the place only counts."""
        number = int(rng.integers(len(self.draws)))
        source, tag = self.draws[number], NO_TAG
        if isinstance(source, Draws):
            *drawn, tag = source.draw(rng)
            tag += self.first_tags[number] if tag != NO_TAG else 0
            first, second, third = (self._crop(index, rng) for index in drawn)
            crops: dict[str, Crop | tuple[Crop, ...]]
            crops = {"anchors": first, "positives": second, "negatives": (third,)}
        else:
            crops = dict(source.example(int(rng.integers(len(source))), rng).crops)
        return Example(crops=crops, targets={"notion": number, "tag": tag})

    def _crop(self, index: int, rng: np.random.Generator) -> Crop:
        song = self.songs[index]
        return Crop(song, int(rng.integers(max(song.length - self.length, 0) + 1)))


def _draws(notion: Notion, songs: Songs, length: int, *, disjoint: bool) -> Draws | PositiveSampler:
    if notion.column == TRACK:
        return PositiveSampler(songs, notion="track", n_negatives=1, length=length)
    if notion.within:
        return NumberDraws(notion, songs)
    return GroupDraws(notion, songs, disjoint=disjoint)
