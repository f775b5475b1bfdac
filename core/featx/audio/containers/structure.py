"""What a container says about its own length, read from chunk and page headers only.

libsndfile shortens a cut-off file in silence, so the sizes that the file declares are compared
with the file here, before anything is decoded.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from featx.audio.files import SourceFile
from featx.audio.limits import Note
from featx.errors import AudioError

_MAX_CHUNKS = 10_000
_MAX_HEAD = 1 << 20
_STREAMED = 0xFFFFFFFF
_PCM_TAGS = (1, 3)  # integer PCM and IEEE float
_EXTENSIBLE = 0xFFFE
_FOREIGN_TAGS = {
    0x0050: "MPEG layer II",
    0x0055: "MP3",
    0x00FF: "AAC",
    0x0160: "WMA 1",
    0x0161: "WMA 2",
    0x0162: "WMA Pro",
    0x0163: "WMA Lossless",
    0x1600: "AAC",
    0x2000: "AC-3",
    0x2001: "DTS",
}
#: containers whose frames or pages are counted from the first to the last
_WALKED = ("MP3", "OGG")
_KNOWN: dict[tuple[int | str, ...], Structure] = {}
_MAX_KNOWN = 100_000
#: a FLAC frame takes 11 bytes or more and holds 65535 samples or fewer
_FLAC_FRAMES_PER_BYTE = 8192


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What the headers report.

    ``verdict`` says why the file cannot be decoded completely, ``notes`` what is odd about it.
    ``frames`` are those found by counting (MP3) or by the positions on the pages (Ogg), at
    ``frames_sr`` Hz where that is not the native rate; they are ``frames_exact`` where the file
    itself declares its length (MP3: a Xing, Info or VBRI header). Audio begins at byte
    ``audio_start`` (MP3: behind the frame that declares a length); the decoder is given ``head``
    instead of what is before, where the header itself is unfinished. ``codec`` is one that
    libsndfile does not know in this container.
    """

    verdict: AudioError | None = None
    notes: tuple[Note, ...] = ()
    frames: int | None = None
    frames_sr: int | None = None
    frames_exact: bool = True
    audio_start: int = 0
    head: bytes = b""
    codec: str = ""


def _truncated(what: str, declared: int, size: int) -> AudioError:
    return AudioError("truncated", f"{what} declares {declared} bytes, the file holds {size}")


def _fits(what: str, *, start: int, declared: int, size: int, block: int) -> Structure:
    """Compare ``declared`` bytes from ``start`` with the file's size."""
    available = max(size - start, 0)
    if declared <= available:
        return Structure()
    if declared - available < block:
        text = f"{what} lacks {declared - available} of {declared} bytes, less than one frame"
        return Structure(notes=(Note(code="short", text=text),))
    return Structure(verdict=_truncated(what, declared, available))


def _with_notes(structure: Structure, *notes: Note | None) -> Structure:
    texts = tuple(note for note in notes if note is not None)
    return replace(structure, notes=structure.notes + texts)


def _trailing(end: int, size: int) -> Note | None:
    if size - end <= 1:  # a padding byte
        return None
    return Note(code="trailing-data", text=f"{size - end} bytes after the end of the container")


def _wav(source: SourceFile, start: int) -> Structure:
    order = ">" if source.read_at(start, 4) == b"RIFX" else "<"
    head = source.read_at(start, 12)
    riff_size: int = struct.unpack(order + "I", head[4:8])[0]
    offset, data64, form = start + 12, None, b""
    for _ in range(_MAX_CHUNKS):
        head = source.read_at(offset, 8)
        if len(head) < 8:
            return Structure(verdict=AudioError("truncated", "the file ends before its data chunk"))
        name, length = head[:4], struct.unpack(order + "I", head[4:])[0]
        body = offset + 8
        if name == b"ds64":
            riff64, data64 = struct.unpack("<QQ", source.read_at(body, 16).ljust(16, b"\0"))
            riff_size = riff64 if riff_size == _STREAMED else riff_size
        elif name == b"fmt ":
            form = source.read_at(body, min(length, 40))
        elif name == b"data":
            unfilled = length == 0 and data64 is None and body - start <= _MAX_HEAD
            if unfilled and not _chunks_to_the_end(source, body, order):
                return _unfinished_wav(source, start, body, form, order)
            return _wav_data(source, body, length, data64, form, start + 8 + riff_size, order)
        offset = body + length + (length & 1)
    return Structure(verdict=AudioError("lying-header", f"more than {_MAX_CHUNKS} chunks"))


def _wav_data(
    source: SourceFile,
    body: int,
    length: int,
    data64: int | None,
    form: bytes,
    riff_end: int,
    order: str,
) -> Structure:
    declared = data64 if data64 is not None and length == _STREAMED else length
    block = 1
    contradiction, note, codec = None, None, ""
    if len(form) >= 16:
        tag, channels, sr, rate, block, bits = struct.unpack(order + "HHIIHH", form[:16])
        if tag == _EXTENSIBLE and len(form) >= 26:
            tag = struct.unpack(order + "H", form[24:26])[0]
        codec = _FOREIGN_TAGS.get(tag, "")
        if tag in _PCM_TAGS and block != channels * -(-bits // 8):
            contradiction = AudioError(
                "lying-header",
                f"{channels} channels of {bits} bits cannot have frames of {block} bytes",
            )
        if tag in _PCM_TAGS and rate != sr * block:
            text = f"{rate} bytes per second declared, {sr} Hz times {block} bytes is not that"
            note = Note(code="odd-header", text=text)
    if declared in (0, _STREAMED):
        unknown = Note(code="odd-header", text=f"streamed: data size {declared} is a placeholder")
        return Structure(verdict=contradiction, notes=(unknown,), codec=codec)
    result = _fits("the data chunk", start=body, declared=declared, size=source.size, block=block)
    if contradiction is not None and result.verdict is None:
        result = Structure(verdict=contradiction)
    result = replace(result, codec=codec)
    end = max(riff_end, body + declared)
    return _with_notes(result, note, _trailing(end, source.size))


def _chunks_to_the_end(source: SourceFile, offset: int, order: str) -> bool:
    """Return whether well-formed chunks, or nothing, fill the file from ``offset`` on."""
    for _ in range(_MAX_CHUNKS):
        if source.size - offset <= 1:  # a padding byte
            return True
        head = source.read_at(offset, 8)
        if len(head) < 8 or not (head[:4].isascii() and head[:4].decode().isprintable()):
            return False
        length = struct.unpack(order + "I", head[4:])[0]
        offset += 8 + length + (length & 1)
        if offset > source.size + 1:
            return False
    return False


def _unfinished_wav(
    source: SourceFile, start: int, body: int, form: bytes, order: str
) -> Structure:
    """Return the structure of a recording whose sizes were never filled in: audio to the end."""
    text = f"the data chunk declares 0 bytes, {source.size - body} follow and are read as audio"
    head = source.read_at(start, body - 4 - start) + struct.pack(order + "I", _STREAMED)
    streamed = _wav_data(source, body, _STREAMED, None, form, body, order)
    return replace(
        streamed,
        notes=(Note(code="odd-header", text=text),),
        audio_start=body,
        head=head,
    )


def _w64(source: SourceFile, start: int) -> Structure:
    offset = start + 40
    for _ in range(_MAX_CHUNKS):
        head = source.read_at(offset, 24)
        if len(head) < 24:
            return Structure(verdict=AudioError("truncated", "the file ends before its data chunk"))
        length = struct.unpack("<Q", head[16:])[0]
        if head[:4] == b"data":
            return _fits(
                "the data chunk",
                start=offset + 24,
                declared=max(length - 24, 0),
                size=source.size,
                block=1,
            )
        offset += max(length + 7 & ~7, 24)
    return Structure(verdict=AudioError("lying-header", f"more than {_MAX_CHUNKS} chunks"))


def _aiff(source: SourceFile, start: int) -> Structure:
    form_size = struct.unpack(">I", source.read_at(start + 4, 4))[0]
    offset, block, frames, pcm = start + 12, 1, None, True
    result: Structure | None = None
    while offset + 8 <= source.size and offset < start + 8 + form_size:
        name, length = struct.unpack(">4sI", source.read_at(offset, 8))
        if name == b"COMM":
            body = source.read_at(offset + 8, 22).ljust(22, b"\0")
            channels, frames, bits = struct.unpack(">HIH", body[:8])
            pcm = length < 22 or body[18:22] in (b"NONE", b"sowt", b"twos", b"fl32", b"FL32")
            block = max(channels * -(-bits // 8), 1)
        elif name == b"SSND":
            result = _fits(
                "the sound chunk",
                start=offset + 8,
                declared=length,
                size=source.size,
                block=block,
            )
            if pcm and frames is not None and result.verdict is None and frames * block > length:
                text = f"{frames} frames of {block} bytes cannot lie in {length} bytes"
                result = Structure(verdict=AudioError("lying-header", text))
        offset += 8 + length + (length & 1)
    if result is None:
        cut = offset > source.size or start + 8 + form_size > source.size
        reason = "the file ends before its sound chunk"
        return Structure(verdict=AudioError("truncated", reason) if cut else None)
    return _with_notes(result, _trailing(start + 8 + form_size, source.size))


def _au(source: SourceFile, start: int) -> Structure:
    order = ">" if source.read_at(start, 4) == b".snd" else "<"
    head = source.read_at(start + 4, 8)
    if len(head) < 8:
        return Structure(verdict=AudioError("truncated", "the file ends inside its header"))
    offset, declared = struct.unpack(order + "II", head)
    if declared == _STREAMED:
        return Structure()
    # the encoding is not looked at: 8 bytes is a generous frame for the tolerance
    result = _fits("the header", start=start + offset, declared=declared, size=source.size, block=8)
    return _with_notes(result, _trailing(start + offset + declared, source.size))


def _caf(source: SourceFile, start: int) -> Structure:
    offset = start + 8
    for _ in range(_MAX_CHUNKS):
        head = source.read_at(offset, 12)
        if len(head) < 12:
            return Structure(verdict=AudioError("truncated", "the file ends before its data chunk"))
        name, length = struct.unpack(">4sq", head)
        if name == b"data":
            if length == -1:
                return Structure()
            return _fits(
                "the data chunk", start=offset + 12, declared=length, size=source.size, block=8
            )
        if length < 0:
            return Structure(verdict=AudioError("lying-header", f"a chunk of {length} bytes"))
        offset += 12 + length
    return Structure(verdict=AudioError("lying-header", f"more than {_MAX_CHUNKS} chunks"))


def _flac(source: SourceFile, start: int) -> Structure:
    info = source.read_at(start + 8, 34)
    if len(info) < 34:
        return Structure(verdict=AudioError("truncated", "the file ends inside its header"))
    total = int.from_bytes(info[13:18], "big") & (2**36 - 1)
    if total > source.size * _FLAC_FRAMES_PER_BYTE:
        text = f"{total} frames declared, {source.size} bytes cannot hold so many"
        return Structure(verdict=AudioError("lying-header", text))
    return Structure()


def _mp4(source: SourceFile, start: int) -> Structure:
    offset = start
    for _ in range(_MAX_CHUNKS):
        head = source.read_at(offset, 16)
        if len(head) < 8:
            return Structure()
        length, name = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length == 0:  # to the end of the file
            return Structure()
        if length < 8 or not name.isalnum():
            return Structure(
                notes=(Note(code="trailing-data", text=f"{source.size - offset} bytes in no box"),)
            )
        if offset + length > source.size:
            shown = name.decode("latin-1")
            return Structure(verdict=_truncated(f"box {shown!r}", length, source.size - offset))
        offset += length
    return Structure()


def _vint(data: bytes, *, keep_marker: bool) -> tuple[int, int]:
    """Return value and length of an EBML integer; length 0 when there is none."""
    if not data or data[0] == 0:
        return 0, 0
    length = 9 - data[0].bit_length()
    value = int.from_bytes(data[:length], "big")
    return (value if keep_marker else value & (1 << 7 * length) - 1), length


def _matroska(source: SourceFile, start: int) -> Structure:
    offset = start
    for _ in range(4):
        head = source.read_at(offset, 16)
        name, taken = _vint(head, keep_marker=True)
        length, more = _vint(head[taken:], keep_marker=False)
        if not taken or not more:
            break
        body = offset + taken + more
        if name == 0x18538067:  # Segment
            if length == (1 << 7 * more) - 1:  # unknown, as in a live recording
                break
            return _fits("the segment", start=body, declared=length, size=source.size, block=1)
        offset = body + length
    return Structure()


_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def _asf(source: SourceFile, start: int) -> Structure:
    offset = start + 30
    for _ in range(64):
        head = source.read_at(offset, 48)
        if len(head) < 24:
            break
        length = struct.unpack("<Q", head[16:24])[0]
        if head[:16] == _ASF_FILE_PROPERTIES and len(head) == 48:
            declared = struct.unpack("<Q", head[40:48])[0]
            return _fits("the header", start=start, declared=declared, size=source.size, block=1)
        offset += max(length, 24)
    return Structure()


def _avi(source: SourceFile, start: int) -> Structure:
    declared = struct.unpack("<I", source.read_at(start + 4, 4))[0]
    return _fits("the header", start=start + 8, declared=declared, size=source.size, block=2)


def inspect(source: SourceFile, container: str, start: int) -> Structure:
    """Return the structure by the headers of ``container``, which begins at byte ``start``.

    Where headers lie all over the file, the result is kept for the next time: training opens a
    file for every crop.
    """
    if container not in _WALKED:
        return _inspect(source, container, start)
    state = os.fstat(source.fd)
    key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, container, start)
    known = _KNOWN.get(key)
    if known is None:
        known = _inspect(source, container, start)
        # a verdict is raised, and an exception belongs to one file alone
        if known.verdict is None:
            if len(_KNOWN) >= _MAX_KNOWN:
                _KNOWN.clear()
            _KNOWN[key] = known
    return known


def _inspect(source: SourceFile, container: str, start: int) -> Structure:
    from featx.audio.containers.mpeg import inspect_mpeg
    from featx.audio.containers.ogg import inspect_ogg

    table: dict[str, Callable[[SourceFile, int], Structure]] = {
        "WAV": _wav,
        "W64": _w64,
        "AIFF": _aiff,
        "AU": _au,
        "CAF": _caf,
        "FLAC": _flac,
        "OGG": inspect_ogg,
        "MP3": inspect_mpeg,
        "MP4": _mp4,
        "MATROSKA": _matroska,
        "ASF": _asf,
        "AVI": _avi,
    }
    return table[container](source, start) if container in table else Structure()
