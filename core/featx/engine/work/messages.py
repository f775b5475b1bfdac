"""What a shard runner and its child say to each other.

The child announces every step before it begins it, so that whoever is left knows what it was doing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from featx.audio import Health, Limits
from featx.engine.tasks import FileProperties
from featx.errors import FAILURE_CODES, SKIP_CODES
from featx.types import FeatureSpec


@dataclass(frozen=True, kw_only=True)
class Open:
    """Open these extractors (`PreparedExtractor.to_json`); without any, files are examined."""

    extractors: tuple[Mapping[str, Any], ...]
    limits: Limits
    quality: str
    downmix: str
    level: float | None
    threads: int
    memory: int
    seed: int
    fingerprint: bool


@dataclass(frozen=True, kw_only=True)
class TrackWork:
    """One file, and the extractors by number that are to be run on it."""

    key: int
    path: str
    steps: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Work:
    """Tracks to work on, one after the other; `Idle` ends the answers."""

    tracks: tuple[TrackWork, ...]


@dataclass(frozen=True, kw_only=True)
class Ready:
    """All extractors are open."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """An extractor does not open: the name of a class of `featx.errors`, and its message."""

    error: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Compiling:
    """Kernels are being compiled, which takes a while; sent once."""


@dataclass(frozen=True, kw_only=True)
class Begin:
    """The step that begins: `DECODE` or the number of an extractor."""

    key: int
    step: int


@dataclass(frozen=True, kw_only=True)
class DecodedFile:
    """The file is decoded; ``seconds`` is None for the first file of the process."""

    key: int
    properties: FileProperties
    seconds: float | None = None

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)


@dataclass(frozen=True, kw_only=True)
class UndecodedFile:
    """The file fails for every extractor."""

    key: int
    properties: FileProperties
    code: str
    reason: str

    def __post_init__(self) -> None:
        _check_code(self.code, FAILURE_CODES)


@dataclass(frozen=True, kw_only=True)
class ExaminedFile:
    """What a scan wants to know of the file."""

    key: int
    health: Health


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outputs of one extractor; ``specs`` is None where they are those of the plan.

    ``seconds`` is how long they took, None for the first track of the process.
    """

    key: int
    step: int
    sr: int
    specs: tuple[FeatureSpec, ...] | None
    arrays: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)


@dataclass(frozen=True, kw_only=True)
class Failed:
    """One extractor failed on the track."""

    key: int
    step: int
    code: str
    reason: str

    def __post_init__(self) -> None:
        _check_code(self.code, FAILURE_CODES)


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """One extractor does not want the track."""

    key: int
    step: int
    code: str
    reason: str

    def __post_init__(self) -> None:
        _check_code(self.code, SKIP_CODES)


@dataclass(frozen=True, kw_only=True)
class End:
    """Everything is done that the track was sent for."""

    key: int


@dataclass(frozen=True, kw_only=True)
class Idle:
    """All tracks are done; the process held ``peak_rss`` bytes at most."""

    peak_rss: int


#: Seconds that nothing takes.
_LONGEST = 1e9

ANSWERS = (
    *(Ready, Broken, Compiling, Begin, DecodedFile, UndecodedFile, ExaminedFile),
    *(Result, Failed, Skipped, End, Idle),
)


def _check_seconds(seconds: float | None) -> None:
    if seconds is not None and not 0 <= seconds < _LONGEST:
        raise ValueError(f"seconds must be >= 0, got {seconds!r}")


def _check_code(code: str, known: Mapping[str, str]) -> None:
    if code not in known:
        raise ValueError(f"unknown code {code!r}")
