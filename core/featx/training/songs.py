"""The songs of a manifest, their labels, and which of them train and validate."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import AudioError, ParameterError, counted, lines, listed, some
from featx.manifest import MANIFEST_COLUMNS, ManifestRow, manifest_columns, read_manifest
from featx.store.records import split_tags
from featx.training.options import TrainingParams

if TYPE_CHECKING:
    import numpy.typing as npt

#: Spellings of the column ``split`` -> what it means.
SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
}


@dataclass(frozen=True, kw_only=True)
class Song:
    """One recording: where it lies, how long it is, what the manifest says.

    ``length`` counts samples at the rate of the crops, or frames of their front end.
    ``annotation`` is the path of the file in the column of that name, for methods that need it.
    """

    track_id: str
    path: str
    length: int
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    annotation: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, in the order of the manifest."""
        return split_tags(self.labels.get("tags", ""))


class Songs(Sequence[Song]):
    """Songs in the order of the manifest; ``split`` is what they are for, where that is known."""

    def __init__(self, songs: Iterable[Song], *, split: str = "") -> None:
        self._songs = tuple(songs)
        self.split = split

    def __len__(self) -> int:
        return len(self._songs)

    def __getitem__(self, index: int) -> Song:  # type: ignore[override]
        return self._songs[index]

    def __iter__(self) -> Iterator[Song]:
        return iter(self._songs)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'song')}>"

    @property
    def of_split(self) -> str:
        """`` of split 'train'`` for messages, empty where the split is not known."""
        return f" of split {self.split!r}" if self.split else ""

    def column(self, name: str) -> tuple[str, ...]:
        """Return one label of every song, empty if it has none."""
        return tuple(song.labels.get(name, "") for song in self._songs)

    def groups(self, name: str) -> dict[str, npt.NDArray[np.int64]]:
        """Return the songs that share a label, by the label; those without are omitted.

        ``album`` is distinguished by artist as well: two artists may use one title.
        """
        members: dict[str, list[int]] = {}
        for index, song in enumerate(self._songs):
            label = song.labels.get(name, "")
            if label and name == "album":
                label = f"{song.labels.get('artist', '')}\0{label}"
            if label:
                members.setdefault(label, []).append(index)
        return {label: np.array(members[label], np.int64) for label in sorted(members)}

    def names(self, name: str) -> tuple[str, ...]:
        """Return the values of a label that occur, sorted; the classes of a softmax."""
        return tuple(sorted({label for label in self.column(name) if label}))

    def vocabulary(self, n_tags: int | None = None) -> tuple[str, ...]:
        """Return the most frequent tags, ties by name; all of them for None."""
        counts = Counter(tag for song in self._songs for tag in song.tags)
        ranked = sorted(counts, key=lambda tag: (-counts[tag], tag))
        return tuple(ranked[:n_tags])

    def digest(self) -> str:
        """Return a SHA-256 over ids, lengths, labels and the content of annotations."""
        digest = hashlib.sha256()
        for song in self._songs:
            plain: list[object] = [song.track_id, song.length, sorted(song.labels.items())]
            if song.annotation:
                plain.append(hashlib.sha256(Path(song.annotation).read_bytes()).hexdigest())
            digest.update(json.dumps(plain).encode())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A file that could not be read: why, in the words of `featx.errors.FAILURE_CODES`."""

    track_id: str
    path: str
    code: str
    reason: str

    @classmethod
    def of(cls, song: Song | ManifestRow, error: AudioError) -> Failure:
        """Return the failure of a song."""
        return cls(track_id=song.track_id, path=song.path, code=error.code, reason=error.reason)


@dataclass(frozen=True, kw_only=True)
class SongSplit:
    """What came of a manifest: songs to learn from, and songs to measure by.

    ``failures`` are files whose length could not be read, ``notes`` what the user should know, such
    as lines without a label that is needed.
    """

    train: Songs
    valid: Songs
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


def read_songs(
    manifest: str | os.PathLike[str],
    *,
    length_of: Callable[[str, str], int],
    needs: Sequence[str] = (),
    options: TrainingParams,
) -> SongSplit:
    """Read a manifest and split it.

    A column ``split`` decides (train, valid, test; test is skipped). Where it names no song to
    validate by, or is not there, whole artists (or songs, by ``split_by``) are held out by a hash
    of seed and name, so that a song stays on its side when others are added.

    Parameters
    ----------
    manifest : path
        CSV or Parquet, as `featx run` reads it.
    length_of : callable
        ``length_of(track_id, path)`` in samples or frames; raises `AudioError`.
    needs : sequence of str
        Labels without which a song is of no use; lines that lack one are skipped and reported.
    options : TrainingParams
        ``split_by``, ``valid_fraction`` and ``seed`` count.

    Raises
    ------
    ParameterError
        If a column of ``needs`` is missing, lines are wrong, an id or a path comes twice, or no
        song to train on is left.
    """
    if Path(manifest).is_dir():
        inside = sorted(Path(manifest).glob("*.csv"))
        hint = f"Did you mean {inside[0]}?" if inside else "List the songs with path and labels."
        raise ParameterError(
            f"manifest must be a CSV or Parquet file, got a folder, {manifest}. {hint}"
        )
    columns = manifest_columns(manifest)
    absent = [name for name in needs if name not in columns]
    if absent:
        raise ParameterError(
            f"manifest {manifest} must have the columns that this method needs, but has no "
            f"{listed(absent)}, got {listed(columns)}."
        )
    folder = Path(manifest).parent.absolute()
    wrong: list[str] = []
    lacking: dict[str, list[str]] = {}
    failures: list[Failure] = []
    n_test = 0
    sides: dict[str, list[Song]] = {"train": [], "valid": []}
    seen: dict[str, str] = {}
    rows = list(read_manifest(manifest))
    held_out, decided = _held_out(rows, options), any("split" in row.tags for row in rows)
    for row in rows:
        try:
            side = _side(row, options, held_out, decided)
            _check_new(row.track_id, row.path, row.where, seen)
        except ParameterError as error:
            wrong.append(f"{row.where}: {error}")
            continue
        if side == "test":
            n_test += 1
            continue
        missing = [name for name in needs if not row.tags.get(name)]
        if missing:
            lacking.setdefault(missing[0], []).append(row.where)
            continue
        try:
            length = length_of(row.track_id, row.path)
        except AudioError as error:
            failures.append(Failure.of(row, error))
            continue
        annotation = ""
        if "annotation" in needs:
            annotation = os.path.normpath(folder / row.tags["annotation"])
            if not Path(annotation).is_file():
                wrong.append(f"{row.where}: annotation must be a file, got {annotation}")
                continue
        sides[side].append(
            Song(
                track_id=row.track_id,
                path=row.path,
                length=length,
                labels=dict(row.tags),
                annotation=annotation,
            )
        )
    if wrong:
        raise ParameterError(
            f"manifest {manifest} must have valid lines, got {len(wrong)} wrong ones:{lines(wrong)}"
        )
    split = SongSplit(
        train=Songs(sides["train"], split="train"),
        valid=Songs(sides["valid"], split="valid"),
        failures=tuple(failures),
        notes=(*_notes(columns, lacking, sides), _standing(sides, options, n_test)),
    )
    if not split.train:
        notes = "".join(f" {note}" for note in split.notes[:-1])
        unread = lines(f"{item.path}: {item.reason}" for item in failures)
        raise ParameterError(
            f"manifest {manifest} must hold at least one song of split 'train', got none "
            f"({n_test} of split 'test', {len(split.valid)} of 'valid', {len(failures)} could not "
            f"be read).{notes}{unread}"
        )
    return split


def _held_out(rows: Sequence[ManifestRow], options: TrainingParams) -> frozenset[str]:
    """Return the artists or songs that validate, unless some lines say so themselves."""
    if any(_split(row) == "valid" for row in rows):
        return frozenset()
    names = {_unit(row, options) for row in rows if _split(row) in {"", "train"}}
    if options.valid_fraction == 0 or len(names) < 2:
        return frozenset()
    shares = {name: _share(f"{options.seed}/{name}") for name in names}
    below = frozenset(name for name in names if shares[name] < options.valid_fraction)
    return below or frozenset({min(names, key=lambda name: (shares[name], name))})


def _split(row: ManifestRow) -> str:
    """Return what the column ``split`` means, ``''`` where it is empty, ``'?'`` for nonsense."""
    value = row.tags.get("split", "")
    return SPLITS.get(value.lower(), "?") if value else ""


def _unit(row: ManifestRow, options: TrainingParams) -> str:
    artist = row.tags.get("artist", "") if options.split_by == "artist" else ""
    return f"artist {artist}" if artist else f"song {row.track_id}"


def _share(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def _side(
    row: ManifestRow, options: TrainingParams, held_out: frozenset[str], decided: bool
) -> str:
    side = _split(row)
    if side == "?" or (side == "" and decided):
        raise ParameterError(
            f"split must be one of {listed(SPLITS)}, got {row.tags.get('split', '')!r}"
        )
    if side in {"", "train"}:
        return "valid" if _unit(row, options) in held_out else "train"
    return side


def _check_new(track_id: str, path: str, where: str, seen: dict[str, str]) -> None:
    for name, key in (("path", f"at {path}"), ("track_id", f"id {track_id}")):
        if key in seen:
            raise ParameterError(f"{name} must differ between lines, got that of {seen[key]}")
        seen[key] = where


def _notes(
    columns: Sequence[str], lacking: Mapping[str, list[str]], sides: Mapping[str, list[Song]]
) -> Iterator[str]:
    known = {"path", "track_id", *MANIFEST_COLUMNS}
    unused = [name for name in columns if name not in known and name.lower() != "path"]
    if unused:
        yield f"Columns that no training reads: {listed(unused)}. Labels of any kind fit in 'tags'."
    for name, places in sorted(lacking.items()):
        yield f"{counted(len(places), 'line')} without {name} skipped ({some(places)})."
    artists = [
        {song.labels["artist"] for song in sides[side] if song.labels.get("artist")}
        for side in ("train", "valid")
    ]
    shared = artists[0] & artists[1]
    if shared:
        yield (
            f"{len(shared)} of {len(artists[1])} artists of the validation songs are trained on "
            "as well."
        )


def _standing(sides: Mapping[str, list[Song]], options: TrainingParams, n_test: int) -> str:
    """Say how many songs train and validate, and why none does."""
    n_train, n_valid = len(sides["train"]), len(sides["valid"])
    counts = f"{counted(n_train, 'song')} to train on, {n_valid} to validate"
    if n_test:
        counts += f", {n_test} of split 'test' are not used"
    if n_valid:
        return f"{counts}."
    if options.valid_fraction == 0:
        return f"{counts}: valid_fraction is 0, and no line says split=valid."
    return (
        f"{counts}: songs of one artist, or a single song, leave nothing to hold out. "
        "Name songs in the column split, or set split_by=song."
    )
