"""A walk over the page headers of an Ogg file: is its end there, and is it one stream."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from featx.audio.containers.structure import Structure
from featx.audio.containers.window import Window
from featx.audio.files import SourceFile
from featx.audio.limits import Note
from featx.errors import AudioError

_HEADER = struct.Struct("<4sBBqIIIB")
_BEGIN, _END = 2, 4
#: seconds that one page may hold: 255 Opus packets of 60 ms
_MAX_FIRST_PAGE_S = 16


@dataclass
class _Walk:
    links: int = 0
    ended: bool = False
    cut: bool = False
    lost: int = 0
    garbage: int = 0
    tail: int = 0
    sequence: dict[int, int] = field(default_factory=dict)
    serial: int | None = None
    first_granule: int | None = None
    last_granule: int = 0

    def see_granule(self, serial: int, granule: int) -> None:
        """Remember the position of the first stream; -1 means that no packet ends on the page."""
        if self.serial is None:
            self.serial = serial
        if serial == self.serial and granule > 0:
            self.first_granule = self.first_granule or granule
            self.last_granule = granule


def _walk(source: SourceFile, start: int) -> _Walk:
    walk, window, offset = _Walk(), Window(source), start
    in_headers = False
    while offset < source.size:
        head = window.read(offset, 27)
        if len(head) == 27 and head[:5] == b"OggS\0":
            _, _, flags, granule, serial, number, _, n_segments = _HEADER.unpack(head)
            segments = window.read(offset + 27, n_segments)
            end = offset + 27 + n_segments + sum(segments)
            walk.cut = len(segments) < n_segments or end > source.size
            if flags & _BEGIN and not in_headers:
                walk.links += 1
            in_headers = bool(flags & _BEGIN)
            if not flags & _BEGIN and walk.sequence.get(serial, number - 1) != number - 1:
                walk.lost += 1
            walk.sequence[serial] = number
            walk.see_granule(serial, granule)
            walk.ended = bool(flags & _END)
            offset = end
            continue
        following = window.find(b"OggS\0", offset + 1)
        if following < 0:
            walk.tail = source.size - offset
            walk.cut = walk.cut or b"OggS".startswith(head[:4]) or head[:4] == b"OggS"
            break
        walk.garbage += following - offset
        offset = following
    return walk


def _codec(source: SourceFile, start: int) -> str:
    """Return the codec of the first stream when libsndfile does not know it."""
    head = source.read_at(start, 27 + 255 + 8)
    packet = head[27 + head[26] :] if len(head) > 26 else b""
    for magic, name in (
        (b"\x7fFLAC", "FLAC"),
        (b"Speex   ", "Speex"),
        (b"\x80theora", "Theora"),
        (b"fishead\0", "Skeleton"),
    ):
        if packet.startswith(magic):
            return name
    return ""


def _length(source: SourceFile, start: int, walk: _Walk) -> tuple[int | None, int | None]:
    """Return frames and their rate by the positions on the pages; None where they do not say.

    Positions of a piece cut from a longer recording begin far from zero: those do not say.
    """
    head = source.read_at(start, 27 + 255 + 19)
    packet = head[27 + head[26] :] if len(head) > 26 else b""
    if packet[:7] == b"\x01vorbis" and len(packet) >= 16:
        skipped, sr = 0, int.from_bytes(packet[12:16], "little")
    elif packet[:8] == b"OpusHead" and len(packet) >= 12:
        skipped, sr = int.from_bytes(packet[10:12], "little"), 48000
    else:
        return None, None
    if walk.first_granule is None or walk.first_granule > _MAX_FIRST_PAGE_S * sr:
        return None, None
    return max(walk.last_granule - skipped, 0), sr


def inspect_ogg(source: SourceFile, start: int) -> Structure:
    """Return what the pages show: cut-off end, chained streams, lost pages."""
    walk = _walk(source, start)
    notes = []
    if walk.garbage:
        text = f"{walk.garbage} bytes between Ogg pages"
        notes.append(Note(code="damaged-frames", text=text))
    verdict = None
    if walk.cut:
        verdict = AudioError("truncated", "the file ends inside an Ogg page")
    elif walk.lost:
        verdict = AudioError(
            "decode-error", f"Ogg pages are missing in {walk.lost} places inside the stream"
        )
    elif walk.links > 1:
        verdict = AudioError(
            "unsupported",
            f"{walk.links} Ogg streams one after another, of which only the first would be read",
        )
    elif not walk.ended:
        notes.append(Note(code="no-end-mark", text="the last Ogg page is not marked as the end"))
    if walk.tail and not walk.cut:
        notes.append(Note(code="trailing-data", text=f"{walk.tail} bytes after the last page"))
    frames, sr = _length(source, start, walk)
    return Structure(
        verdict=verdict,
        notes=tuple(notes),
        frames=frames,
        frames_sr=sr,
        codec=_codec(source, start),
    )
