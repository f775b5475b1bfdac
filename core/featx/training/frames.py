"""Targets for every frame of a crop, from files of beats, onsets, chords, sections or notes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np

from featx.annotations import Events, read_events
from featx.errors import ParameterError, lines, listed
from featx.frontend import frame_geometry
from featx.training.crops import CropSpec
from featx.training.samplers import Example, SongSampler
from featx.training.songs import Songs
from featx.types import AnyArray, DoubleArray


@dataclass(frozen=True, kw_only=True)
class FrameGrid:
    """Where the ``n`` targets of a crop lie in time, counted in samples at ``sr`` Hz.

    ``unit`` is one step of `Crop.start`: 1 for waveforms, the hop of a front end. ``hop`` lies
    between two targets, ``first`` between the start of a crop and the centre of its first target.
    """

    sr: int
    unit: Fraction
    hop: Fraction
    first: Fraction
    n: int

    @classmethod
    def of(cls, crops: CropSpec, *, stride: int = 1) -> FrameGrid:
        """Return one target for every ``stride``-th frame, or sample, of a crop."""
        unit, first = Fraction(1), Fraction(0)
        if crops.front_end is not None:
            unit, _, first, _ = frame_geometry(crops.front_end)
        if stride < 1:
            raise ParameterError(f"stride must be an integer > 0, got {stride}.")
        n = -(-crops.length // stride)
        return cls(sr=crops.rate, unit=unit, hop=unit * stride, first=first, n=n)

    def times(self, start: int) -> DoubleArray:
        """Return the centres of the targets of a crop in seconds, shape (n,)."""
        origin = float(start * self.unit + self.first)
        times: DoubleArray = (origin + np.arange(self.n) * float(self.hop)) / self.sr
        return times

    def frames(self, seconds: DoubleArray, start: int) -> AnyArray:
        """Return the number of the target nearest to each time; below 0 or from n on outside."""
        origin = float(start * self.unit + self.first)
        numbers = np.floor((seconds * self.sr - origin) / float(self.hop) + 0.5)
        return numbers.astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class FrameTargets(ABC):
    """What is to be predicted for every frame, made of the events of a song.

    Parameters
    ----------
    kind : str
        Which events of a JAMS file: those whose namespace begins so, such as ``beat``, ``chord``,
        ``segment`` or ``note``; several are joined. Other files hold one kind, which is taken.
        Empty takes all.
    """

    kind: str = ""

    #: Settings of augmentation that would make the targets wrong.
    frozen: ClassVar[tuple[str, ...]] = ("augment_stretch",)

    def check(self, events: Events) -> None:  # noqa: B027  (optional for subclasses)
        """Raise `ParameterError` for events that are of no use."""

    @abstractmethod
    def targets(self, events: Events, grid: FrameGrid, start: int) -> tuple[AnyArray, AnyArray]:
        """Return the targets of a crop, first axis n, and which of them are known, bool (n,)."""


@dataclass(frozen=True, kw_only=True)
class PointTargets(FrameTargets):
    """1 in the frame nearest to every event, 0 elsewhere, float32 (n,): beats, onsets.

    Parameters
    ----------
    labels : tuple of str
        Only events with one of these labels, such as ``("1",)`` for downbeats; empty for all.
    neighbours : tuple of float in [0, 1]
        Targets of the frames beside an event, nearest first, such as ``(0.5, 0.25)``.
    outside : {'unknown', 'negative'}
        What frames before the first and after the last event of the file are.
    """

    labels: tuple[str, ...] = ()
    neighbours: tuple[float, ...] = ()
    outside: str = "unknown"

    def __post_init__(self) -> None:
        if self.outside not in ("unknown", "negative"):
            raise ParameterError(f"outside must be unknown or negative, got {self.outside!r}.")
        if not all(0 <= value <= 1 for value in self.neighbours):
            raise ParameterError(f"neighbours must lie within 0..1, got {self.neighbours}.")

    def check(self, events: Events) -> None:
        if self.labels and len(events.starts) and not events.labels:
            raise ParameterError(f"events must have labels such as {listed(self.labels)}, got none")

    def targets(self, events: Events, grid: FrameGrid, start: int) -> tuple[AnyArray, AnyArray]:
        reach = len(self.neighbours)
        values = np.zeros(grid.n + 2 * reach, np.float32)
        known = np.full(grid.n, self.outside == "negative")
        if len(events.starts) == 0:
            return values[: grid.n], known
        frames = grid.frames(events.starts, start)
        inside = slice(max(int(frames[0]) - reach, 0), max(int(frames[-1]) + reach + 1, 0))
        known[inside] = True
        if self.labels:
            frames = frames[[label in self.labels for label in events.labels]]
        for distance, value in enumerate((1.0, *self.neighbours)):
            for side in {-distance, distance}:
                places = frames + reach + side
                places = places[(places >= 0) & (places < len(values))]
                values[places] = np.maximum(values[places], value)
        return values[reach : reach + grid.n], known


@dataclass(frozen=True, kw_only=True)
class SegmentTargets(FrameTargets):
    """The class of the segment that holds the centre of every frame, int64 (n,): chords, sections.

    -1, and not known, are frames of no segment and of labels that are no class.

    Parameters
    ----------
    classes : tuple of str
        The classes, each once.
    relabel : callable, optional
        ``relabel(label)``: the class of a label, or anything else for none.
    """

    classes: tuple[str, ...]
    relabel: Callable[[str], str] | None = None

    frozen: ClassVar[tuple[str, ...]] = (
        "augment_stretch",
        "augment_semitones",
        "augment_band_shift",
    )

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ParameterError(f"classes must be names, each once, got {self.classes}.")

    def check(self, events: Events) -> None:
        if len(events.starts) and (events.ends is None or not events.labels):
            raise ParameterError("events must have ends and labels, got points, or no labels")

    def targets(self, events: Events, grid: FrameGrid, start: int) -> tuple[AnyArray, AnyArray]:
        values = np.full(grid.n, -1, np.int64)
        if events.ends is not None:
            numbers = {name: number for number, name in enumerate(self.classes)}
            labels = map(self.relabel, events.labels) if self.relabel else events.labels
            classes = np.array([numbers.get(label, -1) for label in labels])
            times = grid.times(start)
            held = np.searchsorted(events.starts, times, side="right") - 1
            inside = (held >= 0) & (times < events.ends[held])
            values[inside] = classes[held[inside]]
        return values, values >= 0


@dataclass(frozen=True, kw_only=True)
class NoteTargets(FrameTargets):
    """1 for every pitch that sounds at the centre of a frame, float32 (n, high - low + 1).

    Parameters
    ----------
    low, high : int
        MIDI numbers of the first and the last pitch.
    """

    low: int = 21
    high: int = 108

    frozen: ClassVar[tuple[str, ...]] = SegmentTargets.frozen

    def check(self, events: Events) -> None:
        if len(events.starts) and (events.ends is None or events.frequencies is None):
            raise ParameterError("events must have ends and pitches, got none")

    def targets(self, events: Events, grid: FrameGrid, start: int) -> tuple[AnyArray, AnyArray]:
        values = np.zeros((grid.n, self.high - self.low + 1), np.float32)
        known = np.ones(grid.n, bool)
        if events.ends is None or events.frequencies is None:
            return values, known
        times = grid.times(start)
        hertz = np.maximum(events.frequencies, 1.0)  # 0 stands for no pitch
        pitches = np.rint(69 + 12 * np.log2(hertz / 440.0)).astype(np.int64) - self.low
        sounding = (events.ends > times[0]) & (events.starts <= times[-1])
        sounding &= (pitches >= 0) & (pitches < values.shape[1])
        for note in np.flatnonzero(sounding):
            held = (times >= events.starts[note]) & (times < events.ends[note])
            values[held, pitches[note]] = 1.0
        return values, known


class FrameSampler(SongSampler):
    """Crops with targets for every frame, out of the files in the column ``annotation``.

    Roles: ``inputs``; for every name of ``targets`` the target ``<name>``, and ``<name>_known``
    (bool), which is False where nothing is known, and behind the end of a song.

    Parameters
    ----------
    songs : Songs
        With annotations: methods name ``annotation`` among their ``needs``.
    targets : mapping of str to FrameTargets
        By name.
    crops : CropSpec
        What a crop is.
    stride : int > 0
        Frames, or samples of a waveform, for each target.
    every : bool
        True: an epoch holds every non-overlapping crop of every song. False: one crop of each,
        somewhere in it.

    Raises
    ------
    ParameterError
        If files of annotations are missing, cannot be read, or hold nothing of use; they are named.
    """

    def __init__(
        self,
        songs: Songs,
        targets: Mapping[str, FrameTargets],
        *,
        crops: CropSpec,
        stride: int = 1,
        every: bool = False,
    ) -> None:
        if len(songs) == 0 or not targets:
            raise ParameterError(
                f"songs and targets must not be empty, got {len(songs)} and {len(targets)}."
            )
        super().__init__(songs, length=crops.length, every=every)
        self.targets = dict(targets)
        self.grid = FrameGrid.of(crops, stride=stride)
        self._stride = stride
        self._events = _read(songs, self.targets)
        self.frozen = tuple(
            dict.fromkeys(name for item in targets.values() for name in item.frozen)
        )

    def example(self, place: int, rng: np.random.Generator) -> Example:
        index, crop = self.crop(place, rng)
        present = crop.start + np.arange(self.grid.n) * self._stride < crop.song.length
        arrays: dict[str, AnyArray] = {}
        for name, item in self.targets.items():
            values, known = item.targets(self._events[index][name], self.grid, crop.start)
            arrays[name], arrays[f"{name}_known"] = values, known & present
        return Example(crops={"inputs": crop}, targets=arrays)


def _read(songs: Songs, targets: Mapping[str, FrameTargets]) -> list[dict[str, Events]]:
    """Read the events of every song; all files that are of no use are named at once."""
    read, wrong = [], []
    for song in songs:
        try:
            if not song.annotation:
                raise ParameterError("no annotation")
            groups = read_events(song.annotation)
            own = {
                name: _joined(groups, item.kind, song.annotation) for name, item in targets.items()
            }
            for name, item in targets.items():
                item.check(own[name])
        except ParameterError as error:
            wrong.append(f"{song.annotation or song.path}: {error}")
            continue
        read.append(own)
    if wrong:
        raise ParameterError(
            f"annotations{songs.of_split} must be usable, got {len(wrong)} that are not:"
            f"{lines(wrong)}"
        )
    return read


def _joined(groups: Sequence[Events], kind: str, path: str) -> Events:
    """Return the events of a kind in one group, in the order of their starts."""
    chosen = list(groups)
    if Path(path).suffix.lower() == ".jams":
        chosen = [item for item in groups if (item.namespace or item.name).startswith(kind)]
    if not chosen:
        names = listed(item.namespace or item.name for item in groups)
        raise ParameterError(f"events must be called {kind}..., got {names}")
    joined = chosen[0] if len(chosen) == 1 else Events.joined(kind, chosen)
    return joined.rows(np.argsort(joined.starts, kind="stable"))
