"""Block readers: libsndfile for what it reads, PyAV (an extra) for the rest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

import soundfile

from featx.audio.containers.mpeg import MPEG_TOLERANCE, first_frame, frame_samples, xing_frame
from featx.audio.containers.sniff import AV_FALLBACKS, AV_FORMATS, skip_id3
from featx.audio.containers.structure import Structure
from featx.audio.files import SourceFile, View
from featx.audio.limits import Note
from featx.errors import AudioError

if TYPE_CHECKING:
    from featx.types import FloatArray

#: libsndfile's answer where the number of frames is unknown
_UNKNOWN_FRAMES = 2**63 - 1
_FLAC_LOST_SYNC = 158
#: numbers of libsndfile's errors at opening -> code; the rest are contradictions in the header
_OPEN_CODES = {
    1: "not-audio",
    2: "unreadable",
    17: "memory",
    33: "too-many-channels",
    159: "bad-rate",
    **dict.fromkeys((4, 18, 78, 92), "unsupported"),
}


class Reader(Protocol):
    """Reads one stream front to back in blocks.

    ``frames`` is the declared or counted length; a file may fall short of it by ``tolerance``
    frames, or by any number where that is None. ``notes`` grow while the stream is read.
    """

    container: str
    subtype: str
    sr: int
    channels: int
    frames: int | None
    tolerance: int | None
    notes: list[Note]

    def read(self, out: FloatArray) -> int:
        """Fill ``out`` (n, channels) from the start; return the frames written, 0 at the end."""

    def seek(self, frame: int) -> None:
        """Make ``frame`` the next one to read."""

    def close(self) -> None:
        """Release every handle but the source file."""


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """A `SoundFile` that does not seek after every read (it costs time, and errors at the end)."""

    def seekable(self) -> bool:
        return False


class SndfileReader:
    """Everything that libsndfile decodes."""

    def __init__(
        self, source: SourceFile, container: str, start: int, structure: Structure
    ) -> None:
        self._source = source
        self.container = container
        self.notes: list[Note] = []
        os.lseek(source.fd, 0, os.SEEK_SET)
        padded = container == "MP3" and start != skip_id3(source)
        if structure.head:
            self._file = self._open(View(source, start=structure.audio_start, head=structure.head))
        else:
            self._file = self._open(View(source, start=start) if padded else source.fd)
        counted = self._recount(source, start, structure) if container == "MP3" else None
        self.subtype: str = self._file.subtype
        self.sr: int = self._file.samplerate
        self.channels: int = self._file.channels
        declared = self._file.frames
        self.frames = None if declared in (0, _UNKNOWN_FRAMES) or declared < 0 else declared
        self._left = self.frames
        self.tolerance: int | None = 0
        if container == "MP3":
            self.tolerance = MPEG_TOLERANCE if structure.frames else None
            self.frames = counted or self.frames
        elif container == "OGG" and structure.frames:
            by_pages = structure.frames * self.sr // (structure.frames_sr or self.sr)
            self.frames = max(self.frames or 0, by_pages)

    def _recount(self, source: SourceFile, start: int, structure: Structure) -> int | None:
        """Make the decoder read every frame where it believes in fewer than were counted.

        It estimates where nothing is declared, overlooks a declaration behind a stray byte, and
        stops at a declared end although frames follow. Returns the length to hold it to.
        """
        believed, counted = self._file.frames, structure.frames or 0
        slack = MPEG_TOLERANCE if structure.frames_exact else 0
        if believed < counted - slack:
            samples = frame_samples(source, start)
            head = xing_frame(first_frame(source, start), counted // samples)
            if head:
                self._file.close()
                view = View(source, start=structure.audio_start, head=head)
                self._file = self._open(view)
            return counted
        return None if structure.frames_exact else structure.frames

    def _open(self, file: int | View) -> _Sequential:
        try:
            return _Sequential(file, closefd=False)
        except soundfile.LibsndfileError as error:
            raise self._at_open(error) from None

    def _at_open(self, error: soundfile.LibsndfileError) -> AudioError:
        code = _OPEN_CODES.get(error.code, "lying-header")
        return AudioError(code, f"{self.container}: {error.error_string.strip()}")

    def read(self, out: FloatArray) -> int:
        """Fill ``out`` from the start; return the frames written, 0 at the end."""
        length = len(out) if self._left is None else min(len(out), self._left)
        if length == 0:
            return 0
        try:
            got = len(self._file.read(length, out=out))
        except soundfile.LibsndfileError as error:
            raise self._while_reading(error) from None
        if self._left is not None:
            self._left -= got
        return got

    def _while_reading(self, error: soundfile.LibsndfileError) -> AudioError:
        position = os.lseek(self._source.fd, 0, os.SEEK_CUR)
        text = f"{self.container}: {error.error_string.strip()}"
        if error.code == _FLAC_LOST_SYNC and position >= self._source.size:
            return AudioError("truncated", f"{text} at the end of the file")
        return AudioError("decode-error", text)

    def seek(self, frame: int) -> None:
        """Make ``frame`` the next one to read."""
        try:
            self._file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise self._while_reading(error) from None
        if self.frames is not None:
            self._left = max(self.frames - frame, 0)

    def close(self) -> None:
        """Release libsndfile's handle; the source stays open."""
        self._file.close()


def open_reader(source: SourceFile, container: str, start: int, structure: Structure) -> Reader:
    """Return a reader for ``source``; ``container`` begins at byte ``start``.

    Raises `AudioError`: ``not-audio``, ``unsupported``, ``truncated`` or ``lying-header``.
    """
    from featx.audio.av_reader import AvReader

    if container in AV_FORMATS or structure.codec:
        return AvReader(source, container, start, codec=structure.codec)
    try:
        return SndfileReader(source, container, start, structure)
    except AudioError as error:
        if error.code != "unsupported" or container not in AV_FALLBACKS:
            raise
        return AvReader(source, container, start, codec=error.reason)
