"""The exceptions of featx, and the codes under which failures are recorded.

Messages follow one template: *name must be rule, got value. What to do next.*
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

__all__ = [
    "DECODE_CODES",
    "FAILURE_CODES",
    "NOTE_CODES",
    "SKIP_CODES",
    "AudioError",
    "DigestError",
    "ExtractionError",
    "FeatxError",
    "ParameterError",
    "PluginError",
    "StoreError",
    "TrainingError",
    "WeightsError",
]

#: Why a (track, extractor) pair failed; the words of the ledger and of ``featx scan``.
FAILURE_CODES: Mapping[str, str] = MappingProxyType(
    {
        "missing": "the file does not exist",
        "permission": "there is no permission to read the file",
        "unreadable": "the operating system reports an error while reading",
        "empty": "the file has no bytes, or no audio frames",
        "not-audio": "no decoder recognises the content",
        "unsupported": "recognised, but requires a decoder that is not installed",
        "truncated": "the file ends before the audio that its header declares",
        "lying-header": "header and content contradict each other",
        "too-large": "more bytes than the limit",
        "too-long": "more seconds or frames than the limit, declared or decoded",
        "too-many-channels": "more channels than the limit",
        "bad-rate": "a sampling rate outside the limits",
        "not-finite": "NaN or infinite samples",
        "decode-error": "the decoder failed inside the stream",
        "changed": "the file changed while it was read",
        "crash": "the worker process died while processing this track",
        "timeout": "the time limit for one track was reached",
        "memory": "the memory limit of a worker was reached",
        "extractor-error": "the extractor raised an exception",
        "bad-output": "the extractor returned values that break the rules of the output",
    }
)

#: Those that belong to the file: no extractor gets to see it.
DECODE_CODES: Mapping[str, str] = MappingProxyType(
    {
        code: sentence
        for code, sentence in FAILURE_CODES.items()
        if code not in ("crash", "timeout", "memory", "extractor-error", "bad-output")
    }
)

#: Why a (track, extractor) pair was skipped without being a failure.
SKIP_CODES: Mapping[str, str] = MappingProxyType(
    {"too-short": "shorter than the extractor's min_duration"}
)


#: What is odd about a file that does not fail; the words of ledgers, ``featx scan`` and ``ls``.
NOTE_CODES: Mapping[str, str] = MappingProxyType(
    {
        "silent": "no sample above 0.0001 of full scale",
        "clipped": "more than 0.1% of the samples at full scale",
        "cancelled-mix": "the channels cancel each other: mixed to mono, most of the sound is gone",
        "side-mix": "the difference of the channels is used, which is louder than their mean",
        "short": "slightly shorter than declared, within the tolerance of the format",
        "cut-off": "the file ends inside a frame, and its format declares no length: an unknown "
        "part of the audio is missing",
        "starts-late": "the sound begins after the start of the file, following silence",
        "damaged-frames": "parts of the stream were skipped or repaired by the decoder",
        "more-frames": "more audio than the header declares, such as two files joined; all is read",
        "other-streams": "the file has several audio streams, one of them is read",
        "no-end-mark": "the stream stops without its end mark; the end may be missing",
        "odd-header": "sizes in the header are inconsistent, but the audio is complete",
        "trailing-data": "bytes after the end of the audio, which no decoder reads",
        "wrong-suffix": "the format of the content does not match the suffix",
        "bad-tags": "the metadata cannot be read",
        "gone": "a later run did not find the file; its results are kept",
    }
)


def listed(names: Iterable[object]) -> str:
    """Return ``names`` as messages show them: joined by commas, or ``none``."""
    return ", ".join(map(str, names)) or "none"


def some(names: Iterable[object], *, most: int = 10) -> str:
    """Return ``names`` as `listed` does, the first of them where there are more than ``most``."""
    names = list(names)
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return listed(names[:most]) + more


def counted(number: int, word: str) -> str:
    """Return ``1 track`` or ``2 tracks``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def near(name: str, known: Iterable[str], *, most: int = 1) -> list[str]:
    """Return the names that ``name`` probably means: similar ones, then those that contain it."""
    import difflib

    names = list(dict.fromkeys(known))
    word = name.lower()
    close = difflib.get_close_matches(name, names, n=most)
    parts = [item for item in names if len(word) > 1 and word in item.lower()]
    return list(dict.fromkeys([*close, *parts]))[:most]


def meant(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return `` Did you mean 'x'?`` for the name `near` to ``name``, or ``otherwise``."""
    close = near(name, known)
    return f" Did you mean {close[0]!r}?" if close else otherwise


def lines(items: Iterable[object], *, most: int = 10) -> str:
    """Return ``items`` on indented lines of their own, the first of them where there are more."""
    items = list(items)
    more = [f"... {len(items) - most} more"] if len(items) > most else []
    return "".join(f"\n  {item}" for item in [*items[:most], *more])


def is_exhaustion(error: BaseException) -> bool:
    """Return whether a process has run out of descriptors or memory: its state, not a file's."""
    import errno

    states = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
    return isinstance(error, OSError) and error.errno in states


class FeatxError(Exception):
    """Base class of all exceptions of featx."""


class ParameterError(FeatxError, ValueError):
    """An argument is invalid."""


class PluginError(FeatxError):
    """A plugin is unknown, ambiguous or broken."""


class WeightsError(FeatxError):
    """Weights are missing, damaged, or do not fit the model."""


class StoreError(FeatxError):
    """A feature store is damaged, foreign, or in use by another run."""


class ClusterError(FeatxError):
    """A cluster has no worker that fits a run, or its scheduler cannot be reached."""


class UnreachableError(FeatxError):
    """A server does not answer, or refuses for now: the same call may succeed later."""


class TrainingError(FeatxError):
    """A training cannot continue: it diverged, its state is damaged, or its method failed."""


class DigestError(StoreError):
    """An index was built from another state of the store."""


class _CodedError(FeatxError):
    """An error recorded for one track: a code of `FAILURE_CODES` and a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        if code not in FAILURE_CODES:
            raise ParameterError(f"code must be one of {sorted(FAILURE_CODES)}, got {code!r}.")
        super().__init__(reason)
        self.code = code
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.reason)


class AudioError(_CodedError):
    """One file cannot be decoded within the limits; ``code`` says why.

    ``reason`` leaves the file out, for tables that name it beside; the message begins with
    ``path`` where that is known.
    """

    path: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason

    def __reduce__(self) -> tuple[Any, ...]:
        return (*super().__reduce__(), {"path": self.path})


class ExtractionError(_CodedError):
    """One extractor failed on one track; ``code`` says why."""
