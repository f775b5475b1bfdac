"""The health of one file: would it fail in a run, and what is odd about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from featx.audio.containers.sniff import AUDIO_SUFFIXES, SUFFIXES
from featx.audio.decoding import decode
from featx.audio.limits import Decoded, Limits, Note
from featx.audio.tags import tags_and_error
from featx.errors import AudioError

#: a file whose peak stays below this (-80 dBFS) is silent
SILENT_PEAK = 1e-4
#: a file with more than this fraction of its samples at full scale is clipped
CLIPPED_FRACTION = 1e-3


@dataclass(frozen=True, kw_only=True)
class Health:
    """What `examine` found.

    Parameters
    ----------
    path : str
        As given.
    code, reason : str
        A code of `featx.errors.FAILURE_CODES` with its sentence, or ``ok``.
    notes : tuple of Note
        With codes of `featx.errors.NOTE_CODES`.
    duration : float
        Decoded seconds, 0 for a failing file.
    content, fingerprint : str
        Hashes of bytes and of samples, "" for a failing file or if not requested.
    """

    path: str
    code: str = "ok"
    reason: str = ""
    notes: tuple[Note, ...] = ()
    duration: float = 0.0
    content: str = ""
    fingerprint: str = ""


def file_notes(path: str, decoded: Decoded, *, tags_problem: str) -> tuple[Note, ...]:
    """Return what is odd about a decoded file, one note for each code.

    Parameters
    ----------
    path : str
        Of the file.
    decoded : Decoded
        As `decode` gave it.
    tags_problem : str
        What `tags_and_error` says about its metadata; "" for nothing.
    """
    notes = list(decoded.notes)
    if decoded.peak < SILENT_PEAK:
        notes.append(Note(code="silent", text=f"peak {decoded.peak:.1e}"))
    if decoded.clipped > CLIPPED_FRACTION:
        text = f"{decoded.clipped:.2%} of the samples at full scale, peak {decoded.peak:.2f}"
        notes.append(Note(code="clipped", text=text))
    suffix = Path(path).suffix.lower()
    if suffix in AUDIO_SUFFIXES - SUFFIXES[decoded.container]:
        text = f"{decoded.container} under the suffix {suffix}"
        notes.append(Note(code="wrong-suffix", text=text))
    if tags_problem:
        notes.append(Note(code="bad-tags", text=tags_problem))
    by_code: dict[str, str] = {}
    for note in notes:
        by_code[note.code] = "; ".join(filter(None, (by_code.get(note.code), note.text)))
    return tuple(Note(code=code, text=text) for code, text in by_code.items())


def examine(
    path: str | os.PathLike[str],
    *,
    limits: Limits | None = None,
    fingerprint: bool = False,
    downmix: str = "mean",
) -> Health:
    """Decode a file completely, in blocks, and report what is wrong or odd; never raises for it.

    Parameters
    ----------
    limits : Limits or None
        None takes the defaults.
    fingerprint : bool
        Also hash the samples.
    downmix : str
        As for `decode`; it decides whether channels cancel each other.
    """
    path = os.fspath(path)
    try:
        decoded = decode(
            path, rates=[], limits=limits or Limits(), fingerprint=fingerprint, downmix=downmix
        )
        notes = file_notes(path, decoded, tags_problem=tags_and_error(path)[1])
    except AudioError as error:
        return Health(path=path, code=error.code, reason=error.reason)
    except MemoryError:
        return Health(path=path, code="memory", reason="decoding needs more memory than allowed")
    return Health(
        path=path,
        notes=notes,
        duration=decoded.duration,
        content=decoded.content,
        fingerprint=decoded.fingerprint,
    )
