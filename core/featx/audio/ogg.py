"""A walk over the page headers of an Ogg file: is its end there, and is it one stream."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from featx.audio.files import SourceFile
from featx.audio.limits import Note
from featx.audio.structure import Structure
from featx.audio.window import Window
from featx.errors import AudioError

__all__ = ["inspect_ogg"]

_HEADER = struct.Struct("<4sBBqIIIB")
_BEGIN, _END = 2, 4


@dataclass
class _Walk:
    links: int = 0
    ended: bool = False
    cut: bool = False
    lost: int = 0
    garbage: int = 0
    tail: int = 0
    sequence: dict[int, int] = field(default_factory=dict)


def _walk(source: SourceFile, start: int) -> _Walk:
    walk, window, offset = _Walk(), Window(source), start
    in_headers = False
    while offset < source.size:
        head = window.read(offset, 27)
        if len(head) == 27 and head[:5] == b"OggS\0":
            _, _, flags, _, serial, number, _, n_segments = _HEADER.unpack(head)
            segments = window.read(offset + 27, n_segments)
            end = offset + 27 + n_segments + sum(segments)
            walk.cut = len(segments) < n_segments or end > source.size
            if flags & _BEGIN and not in_headers:
                walk.links += 1
            in_headers = bool(flags & _BEGIN)
            if not flags & _BEGIN and walk.sequence.get(serial, number - 1) != number - 1:
                walk.lost += 1
            walk.sequence[serial] = number
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
        (b"Speex   ", "Speex"),
        (b"\x80theora", "Theora"),
        (b"fishead\0", "Skeleton"),
    ):
        if packet.startswith(magic):
            return name
    return ""


def inspect_ogg(source: SourceFile, start: int) -> Structure:
    """Return what the pages tell: cut-off end, chained streams, lost pages."""
    walk = _walk(source, start)
    notes = []
    if walk.lost or walk.garbage:
        text = f"{walk.lost} gaps in the page numbers, {walk.garbage} bytes between pages"
        notes.append(Note(code="damaged-frames", text=text))
    verdict = None
    if walk.cut:
        verdict = AudioError("truncated", "the file ends inside an Ogg page")
    elif walk.links > 1:
        verdict = AudioError(
            "unsupported",
            f"{walk.links} Ogg streams one after another, of which only the first would be read",
        )
    elif not walk.ended:
        notes.append(Note(code="no-end-mark", text="the last Ogg page is not marked as the end"))
    if walk.tail and not walk.cut:
        notes.append(Note(code="trailing-data", text=f"{walk.tail} bytes after the last page"))
    return Structure(verdict=verdict, notes=tuple(notes), codec=_codec(source, start))
