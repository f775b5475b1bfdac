"""What a store keeps about recipes, tracks and results. No numpy, no h5py: plans stay quick."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from featx.errors import FAILURE_CODES, SKIP_CODES, ParameterError, StoreError

#: What can have become of one track under one recipe.
STATUSES: tuple[str, ...] = ("ok", "failed", "skipped")
#: The larger, the worse: a file counts by its worst status.
SEVERITY: Mapping[str, int] = {"ok": 0, "skipped": 1, "failed": 2}

_HEX = re.compile(r"[0-9a-f]+\Z")


def is_hex(text: object, length: int) -> bool:
    """Return whether ``text`` is exactly ``length`` lower-case hexadecimal digits."""
    return isinstance(text, str) and len(text) == length and _HEX.match(text) is not None


def canonical_json(value: Any) -> str:
    """Return the one spelling of ``value`` that hashes are taken of: sorted keys, no spaces."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def encode_text(text: str) -> bytes:
    """Return ``text`` as UTF-8; undecodable bytes of file names come out as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ParameterError(f"text must be encodable as UTF-8, got {text!r}.") from error


def decode_text(data: bytes) -> str:
    """Read what `encode_text` wrote."""
    return data.decode("utf-8", "surrogateescape")


def valid_text(text: str) -> str:
    """Return ``text`` with a mark for every byte of a file name that is no text."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def spec_key(spec: Mapping[str, Any], *, layout: bool = False) -> str:
    """Return 16 digits that identify a `FeatureSpec.to_json`; wording does not count.

    With ``layout`` time axes do not count either: they may differ between tracks of one recipe,
    while kind, dimension, type, names, units and aspects may not.
    """
    apart = {"description", *(("hop", "first", "frame_length") if layout else ())}
    text = canonical_json({name: value for name, value in spec.items() if name not in apart})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def listing_hash(described: Mapping[str, str], units: Iterable[Iterable[str]]) -> str:
    """Return a hash of which features a shard holds of which (track, content), row by row.

    ``described`` is `spec_key` of each feature.
    """
    text = json.dumps([sorted(described.items()), [list(unit) for unit in units]])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that changes the numbers of an extractor, and nothing else.

    Parameters
    ----------
    extractor : str
        Full name, ``<distribution>:<name>``.
    version : str
        Version of the extractor (not of its distribution).
    params : mapping
        Plain JSON values.
    weights : str
        SHA-256 of the weights file, ``untrained:seed=0``, or empty if there are none.
    front_ends : tuple of mapping
        `FrontEnd.to_json` of each front end, without the name.
    frontend_version, resampler, downmix : str
        Version of the front-end code; resampler and quality, such as ``soxr:HQ``; the way from
        several channels to one, see `featx.audio.to_mono`.
    level : float or None
        RMS in dBFS that waveforms are scaled to; None if they are taken as they are.
    """

    extractor: str
    version: str
    params: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    front_ends: tuple[Mapping[str, Any], ...] = ()
    frontend_version: str = ""
    resampler: str = ""
    downmix: str = "mean"
    level: float | None = None

    def __post_init__(self) -> None:
        if not self.extractor or any(mark in self.extractor for mark in "/@\0"):
            raise ParameterError(
                f"extractor must be a name without '/' and '@', got {self.extractor!r}."
            )
        encode_text(self.extractor)

    @functools.cached_property
    def id(self) -> str:
        """16 hexadecimal digits of the SHA-256 over the canonical JSON."""
        try:
            text = canonical_json(self.to_json())
        except (TypeError, ValueError) as error:
            raise ParameterError(
                f"recipe of {self.extractor!r} must hold plain JSON values, got {error}."
            ) from error
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def short_name(self) -> str:
        """The extractor's name without its distribution."""
        return self.extractor.rpartition(":")[2]

    def __hash__(self) -> int:
        return hash(self.id)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` reads them back."""
        plain = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        plain["params"] = dict(self.params)
        plain["front_ends"] = [dict(front_end) for front_end in self.front_ends]
        if self.level is None:
            del plain["level"]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Recipe:
        """Read what `to_json` wrote; anything else raises `StoreError` or `ParameterError`."""
        names = {item.name for item in dataclasses.fields(cls)}
        if {*plain, "level"} != names:
            raise StoreError(f"recipe must have the fields {sorted(names)}.")
        values = dict(plain)
        if "level" in values and type(values["level"]) not in (int, float):
            raise StoreError(f"level must be a number, got {values['level']!r:.100}.")
        texts = ("extractor", "version", "weights", "frontend_version", "resampler", "downmix")
        fits = all(isinstance(values[name], str) for name in texts)
        fits = (
            fits and isinstance(values["params"], dict) and isinstance(values["front_ends"], list)
        )
        if not fits or not all(isinstance(item, dict) for item in values["front_ends"]):
            raise StoreError("recipe must hold text, a mapping of parameters and front ends.")
        values["front_ends"] = tuple(values["front_ends"])
        try:
            return cls(**values)
        except ParameterError as error:
            raise StoreError(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class TrackRecord:
    """One audio file as a run met it.

    Parameters
    ----------
    track_id : str
        Name of the track in the store, usually a relative POSIX path.
    path : str
        Where the file was.
    content : str
        Hash of the file's bytes; empty if they could not be read.
    size, mtime_ns : int
        Bytes and modification time in nanoseconds; what plans trust.
    duration : float or None
        Seconds; None if never decoded. The same holds for ``sr`` (Hz) and ``channels``.
    tags : mapping of str to str
        Such as ``artist``, ``album``, ``title``.
    notes : mapping of str to str
        What is odd about the file: codes of `featx.errors.NOTE_CODES` and what was found.
    labels : tuple of str
        Names of those ``tags`` that a manifest gave; the file's own tags do not replace them.
    """

    track_id: str
    path: str
    content: str
    size: int
    mtime_ns: int
    duration: float | None = None
    sr: int | None = None
    channels: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    notes: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.track_id or "\0" in self.track_id:
            raise ParameterError(f"track_id must be text without NUL, got {self.track_id!r}.")

    def labelled(self, labels: Mapping[str, str]) -> TrackRecord:
        """Return the record with ``labels`` of a manifest."""
        tags, names = {**self.tags, **labels}, tuple(sorted({*self.labels, *labels}))
        return dataclasses.replace(self, tags=tags, labels=names)

    def to_row(self) -> list[Any]:
        """Return the compact form of the ledger; `from_row` reads it back."""
        return [
            self.track_id,
            self.path,
            self.content,
            self.size,
            self.mtime_ns,
            self.duration,
            self.sr,
            self.channels,
            dict(self.tags),
            dict(self.notes),
            list(self.labels),
        ]

    @classmethod
    def from_row(cls, row: list[Any]) -> TrackRecord:
        """Read what `to_row` wrote."""
        names = (item.name for item in dataclasses.fields(cls))
        *fields, labels = row
        return cls(**dict(zip(names, [*fields, tuple(labels)], strict=True)))


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What became of one track under one recipe.

    Parameters
    ----------
    track_id : str
        See `TrackRecord`.
    recipe : str
        `Recipe.id`.
    status : {'ok', 'failed', 'skipped'}
        See `STATUSES`.
    features : tuple of str
        The outputs this speaks of; empty means all of them (failed and skipped only).
    code, reason : str
        A key of `FAILURE_CODES` or `SKIP_CODES` and a sentence; empty when ok.
    content : str
        Hash of the bytes the result was computed from; filled in from the track when written.
    """

    track_id: str
    recipe: str
    status: str
    features: tuple[str, ...] = ()
    code: str = ""
    reason: str = ""
    content: str = ""

    def __post_init__(self) -> None:
        codes: Mapping[str, Mapping[str, str]] = {
            "ok": {"": ""},
            "failed": FAILURE_CODES,
            "skipped": SKIP_CODES,
        }
        if self.status not in codes:
            raise ParameterError(f"status must be one of {STATUSES}, got {self.status!r}.")
        if self.code not in codes[self.status]:
            raise ParameterError(
                f"code must be one of {sorted(codes[self.status])} for status {self.status!r}, "
                f"got {self.code!r}."
            )


class Cost(NamedTuple):
    """What the tracks of a shard took, all in seconds.

    ``audio`` is how long all of them are, ``timed`` how long those are that ``extracting`` and
    ``decoding`` speak of: the first track of a worker, which waits for kernels and libraries, is
    not timed.
    """

    audio: float
    timed: float
    extracting: float
    decoding: float


class StoredValue(NamedTuple):
    """Where one feature of a content lies that ``track_id`` has, too: a row of a shard."""

    track_id: str
    content: str
    recipe: str
    feature: str
    sha256: str
    row: int


@dataclass(frozen=True, kw_only=True)
class ShardInfo:
    """A committed shard: its path below the store folder, recipe, size in bytes and SHA-256."""

    path: str
    recipe: str
    size: int
    sha256: str
    n_tracks: int
    features: tuple[str, ...]


def split_tags(text: str) -> tuple[str, ...]:
    """Return what the column ``tags`` of a manifest joins by ``;``, each once, in its order."""
    parts = (part.strip() for part in text.split(";"))
    return tuple(dict.fromkeys(part for part in parts if part))


def column_values(name: str, text: str) -> tuple[str, ...]:
    """Return what a column of a manifest holds: ``text``, or for ``tags`` what it is joined of."""
    if name == "tags":
        return split_tags(text)
    return (text,) if text else ()
