"""A walk over MPEG audio frame headers: Xing, Info and VBRI headers, frame count, cut ends.

Without such a header libsndfile estimates the length from the first bit rate and drops whatever
lies behind it. The frames are therefore counted here, and a header frame is made up for it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache

from featx.audio.containers.structure import Structure
from featx.audio.containers.window import Window
from featx.audio.files import SourceFile
from featx.audio.limits import Note
from featx.errors import AudioError

#: kbit/s by (version 1?, layer), index 1 to 14
_BITRATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_SAMPLES = {1: 384, 2: 1152, 3: 1152}
_RESYNC = 1 << 16
#: MPEG frames by which encoders and decoders disagree at both ends, and the same in samples
TOLERANCE_FRAMES = 2
MPEG_TOLERANCE = TOLERANCE_FRAMES * 1152


@dataclass(frozen=True)
class _Frame:
    head: bytes
    length: int  # bytes, 0 for free format
    samples: int
    sr: int
    side: int  # bytes between header and data of layer III
    #: what may not change within a stream: sync, version and layer; rate
    kind: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        head = self.head
        object.__setattr__(self, "kind", (head[0], head[1] & 0xFE, head[2] & 0x0C))


@lru_cache(maxsize=1 << 10)  # a stream has few different headers and thousands of frames
def _parse(head: bytes) -> _Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate == 15 or rate == 3:
        return None
    first = version == 3
    sr = _RATES[version][rate]
    samples = 576 if layer == 3 and not first else _SAMPLES[layer]
    mono = head[3] >> 6 == 3
    side = (17 if mono else 32) if first else (9 if mono else 17)
    if bitrate == 0:
        return _Frame(head, 0, samples, sr, side)
    bits = _BITRATES[first, layer][bitrate - 1] * 1000
    padding = head[2] >> 1 & 1
    slot = 4 if layer == 1 else 1  # layer I counts in words
    length = (samples // 8 // slot * bits // sr + padding) * slot
    return _Frame(head, length, samples, sr, side)


def _declared(window: Window, offset: int, frame: _Frame) -> int | None:
    """Return the frames that a Xing, Info or VBRI header declares; -1 for one without a count."""
    checksum = 0 if frame.head[1] & 1 else 2
    tag = window.read(offset + 4 + checksum + frame.side, 12)
    if tag[:4] not in (b"Xing", b"Info"):  # some encoders omit the checksum's place
        tag = window.read(offset + 4 + frame.side, 12)
    if tag[:4] in (b"Xing", b"Info") and len(tag) == 12:
        flags, count = struct.unpack(">II", tag[4:])
        return count if flags & 1 else -1
    tag = window.read(offset + 36, 18)
    if tag[:4] == b"VBRI" and len(tag) == 18:
        return int(struct.unpack(">I", tag[14:18])[0])
    return None


def _resync(window: Window, offset: int, kind: tuple[int, int, int]) -> int:
    """Return where two matching headers in a row are found within reach, -1 when nowhere."""
    data = window.read(offset, _RESYNC)
    at = data.find(b"\xff")
    while at >= 0:
        frame = _parse(data[at : at + 4])
        if frame is not None and frame.kind == kind and frame.length:
            following = _parse(window.read(offset + at + frame.length, 4))
            if following is not None and following.kind == kind:
                return offset + at
        at = data.find(b"\xff", at + 1)
    return -1


def starts_mpeg(source: SourceFile, offset: int) -> bool:
    """Return whether two matching frame headers follow one another from ``offset`` on."""
    frame = _parse(source.read_at(offset, 4))
    if frame is None or not frame.length:
        return False
    following = _parse(source.read_at(offset + frame.length, 4))
    return following is not None and following.kind == frame.kind


def first_frame(source: SourceFile, start: int) -> bytes:
    """Return the four header bytes of the first frame."""
    return source.read_at(start, 4)


def frame_samples(source: SourceFile, start: int) -> int:
    """Return the samples per channel in each frame, 1152 when the first cannot be read."""
    frame = _parse(first_frame(source, start))
    return 1152 if frame is None else frame.samples


def xing_frame(head: bytes, n_frames: int) -> bytes:
    """Return a silent frame in the manner of ``head`` that declares ``n_frames`` frames.

    Empty when ``head`` is not layer III or too short a frame to hold the declaration.
    """
    frame = _parse(head)
    if frame is None or head[1] >> 1 & 3 != 1:
        return b""
    # without checksum, at the highest bit rate: room for the declaration at every sampling rate
    plain = bytes([head[0], head[1] | 1, head[2] & 0x0F & ~0x02 | 14 << 4, head[3]])
    made = _parse(plain)
    if made is None:
        return b""
    body = plain + bytes(made.side) + b"Xing" + struct.pack(">II", 1, n_frames)
    return body.ljust(made.length, b"\0")


def inspect_mpeg(source: SourceFile, start: int) -> Structure:
    """Return the declared or counted length, and whether the last frame is whole."""
    window = Window(source)
    frame = _parse(window.read(start, 4))
    if frame is None or not frame.length:
        return Structure(frames_exact=False)
    declared = _declared(window, start, frame)
    offset = audio_start = start + frame.length if declared is not None else start
    count, skipped, short, kind = 0, 0, max(offset - source.size, 0), frame.kind
    notes = []
    while offset < source.size:
        header = _parse(window.read(offset, 4))
        if header is None or header.kind != kind or not header.length:
            again = _resync(window, offset + 1, kind)
            if again < 0:
                break
            skipped += again - offset
            offset = again
            continue
        if offset + header.length > source.size:
            short = offset + header.length - source.size
            break
        count += 1
        offset += header.length
    if skipped:
        text = f"{skipped} bytes between frames that belong to none"
        notes.append(Note(code="damaged-frames", text=text))
    known = declared is not None and declared > 0
    if short:  # without a declared length nobody knows how much went with these bytes
        text = f"the last frame lacks {short} bytes"
        notes.append(Note(code="short" if known else "cut-off", text=text))
    if known and count > (declared or 0) + TOLERANCE_FRAMES:  # such as two files joined
        text = f"{declared} frames declared, {count} found and read"
        notes.append(Note(code="more-frames", text=text))
    verdict = None
    if count == 0 and short:
        verdict = AudioError("truncated", "the file ends inside its first frame")
    return Structure(
        verdict=verdict,
        notes=tuple(notes),
        frames=count * frame.samples,
        frames_exact=known,
        audio_start=audio_start,
    )
