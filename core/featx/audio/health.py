"""The health of one file: would it fail in a run, and what is odd about it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from featx.audio.containers.sniff import AUDIO_SUFFIXES, SUFFIXES
from featx.audio.decoding import decode
from featx.audio.limits import NOTE_CODES, Decoded, Limits, Note
from featx.audio.tags import tags_and_error
from featx.errors import AudioError

#: a file whose peak stays below this (-80 dBFS) is silent
SILENT_PEAK = 1e-4
#: a file with more than this fraction of its samples at full scale is clipped
CLIPPED_FRACTION = 1e-3

#: What `examine` reports about a file that would not fail.
WARNING_CODES: Mapping[str, str] = {
    "silent": f"no sample above {SILENT_PEAK:g} of full scale",
    "clipped": f"more than {CLIPPED_FRACTION:.1%} of the samples at full scale",
    "wrong-suffix": "the content is of another format than the name says",
    "bad-tags": "the metadata cannot be read",
    **NOTE_CODES,
}


@dataclass(frozen=True, kw_only=True)
class Health:
    """What `examine` found.

    Parameters
    ----------
    path : str
        As given.
    code, reason : str
        A code of `featx.errors.FAILURE_CODES` with its sentence, or ``ok``.
    warnings : tuple of Note
        With codes of `WARNING_CODES`.
    duration : float
        Decoded seconds, 0 for a failing file.
    content, fingerprint : str
        Hashes of bytes and of samples, "" for a failing file or where not asked for.
    """

    path: str
    code: str = "ok"
    reason: str = ""
    warnings: tuple[Note, ...] = ()
    duration: float = 0.0
    content: str = ""
    fingerprint: str = ""


def _warnings(path: str, decoded: Decoded) -> tuple[Note, ...]:
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
    _, trouble = tags_and_error(path)
    if trouble:
        notes.append(Note(code="bad-tags", text=trouble))
    by_code: dict[str, str] = {}
    for note in notes:
        by_code[note.code] = "; ".join(filter(None, (by_code.get(note.code), note.text)))
    return tuple(Note(code=code, text=text) for code, text in by_code.items())


def examine(
    path: str | os.PathLike[str], *, limits: Limits | None = None, fingerprint: bool = False
) -> Health:
    """Decode a file completely, in blocks, and report what is wrong or odd; never raises for it.

    Parameters
    ----------
    limits : Limits or None
        None takes the defaults.
    fingerprint : bool
        Also hash the samples.
    """
    path = os.fspath(path)
    try:
        decoded = decode(path, rates=[], limits=limits or Limits(), fingerprint=fingerprint)
        warnings = _warnings(path, decoded)
    except AudioError as error:
        return Health(path=path, code=error.code, reason=error.reason)
    except MemoryError:
        return Health(path=path, code="memory", reason="decoding needs more memory than allowed")
    return Health(
        path=path,
        warnings=warnings,
        duration=decoded.duration,
        content=decoded.content,
        fingerprint=decoded.fingerprint,
    )
