"""What a file is, by its first bytes; names of files never decide."""

from __future__ import annotations

from featx.audio.containers.mpeg import starts_mpeg
from featx.audio.files import SourceFile
from featx.errors import AudioError

#: container -> suffixes under which it is usual
SUFFIXES: dict[str, frozenset[str]] = {
    "WAV": frozenset({".wav", ".wave", ".bwf", ".rf64"}),
    "W64": frozenset({".w64"}),
    "AIFF": frozenset({".aiff", ".aif", ".aifc"}),
    "AU": frozenset({".au", ".snd"}),
    "CAF": frozenset({".caf"}),
    "FLAC": frozenset({".flac"}),
    "OGG": frozenset({".ogg", ".oga", ".opus", ".ogv", ".ogx", ".spx"}),
    "MP3": frozenset({".mp3", ".mp2", ".mpga"}),
    "AAC": frozenset({".aac"}),
    "MP4": frozenset({".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp"}),
    "ASF": frozenset({".wma", ".wmv", ".asf"}),
    "MATROSKA": frozenset({".mka", ".mkv", ".webm"}),
    "AVI": frozenset({".avi"}),
    "WAVPACK": frozenset({".wv"}),
    "APE": frozenset({".ape"}),
}

#: Suffixes that a search through folders takes for audio.
AUDIO_SUFFIXES: frozenset[str] = frozenset().union(*SUFFIXES.values())

#: containers that need the extra ``featx[av]`` -> name of the demuxer, always given explicitly:
#: probing by FFmpeg would follow concat scripts to other files
AV_FORMATS: dict[str, str] = {
    "AAC": "aac",
    "MP4": "mov",
    "ASF": "asf",
    "MATROSKA": "matroska",
    "AVI": "avi",
    "WAVPACK": "wv",
    "APE": "ape",
}

#: containers of libsndfile that may hold codecs it does not know -> name of the demuxer
AV_FALLBACKS: dict[str, str] = {
    "WAV": "wav",
    "AIFF": "aiff",
    "AU": "au",
    "CAF": "caf",
    "OGG": "ogg",
}

_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_MAGIC = (
    (b"FORM", "AIFF"),
    (b".snd", "AU"),
    (b"dns.", "AU"),
    (b"caff", "CAF"),
    (b"fLaC", "FLAC"),
    (b"OggS", "OGG"),
    (b"riff\x2e\x91\xcf\x11", "W64"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF"),
    (b"\x1a\x45\xdf\xa3", "MATROSKA"),
    (b"wvpk", "WAVPACK"),
    (b"MAC ", "APE"),
)
_MAX_ID3_TAGS = 16
_MAX_PADDING = 1 << 16


#: What lies in music folders under the wrong name.
_OTHERS = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"MThd": "a MIDI file, which holds notes and no sound",
    b"<!DOCTYPE": "a web page, such as a failed download",
    b"<!doctype": "a web page, such as a failed download",
    b"<html": "a web page, such as a failed download",
}


def syncsafe(four: bytes) -> int:
    """Return the 28-bit integer that ID3 writes with seven bits per byte."""
    return four[0] << 21 | four[1] << 14 | four[2] << 7 | four[3]


def skip_id3(source: SourceFile) -> int:
    """Return the offset after the ID3v2 tags at the beginning, 0 when there are none.

    Raises `AudioError`: ``truncated`` when a tag is longer than the file.
    """
    offset = 0
    for _ in range(_MAX_ID3_TAGS):
        head = source.read_at(offset, 10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
            break
        offset += 10 + syncsafe(head[6:10]) + (10 if head[5] & 0x10 else 0)
        if offset >= source.size:
            raise AudioError("truncated", "the file ends inside its ID3 tag")
    return offset


def _by_magic(head: bytes) -> str | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return {b"WAVE": "WAV", b"AVI ": "AVI"}.get(head[8:12])
    for magic, container in _MAGIC:
        if head.startswith(magic):
            return container if container != "AIFF" or head[8:12] in (b"AIFF", b"AIFC") else None
    if head[4:8] in _MP4_BOXES:
        return "MP4"
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        layer = head[1] >> 1 & 3
        if layer == 0:
            return "AAC" if head[1] & 0xF6 == 0xF0 else None
        known = head[1] >> 3 & 3 != 1 and head[2] >> 4 != 15 and head[2] >> 2 & 3 != 3
        return "MP3" if known else None
    return None


def _why_unknown(head: bytes) -> str:
    """Return what a file is instead of audio, or else how it begins."""
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            return f"the file is {what}"
    if head.isascii() and head.decode().isprintable():
        return f"no known format begins with the text {head.decode()!r}"
    return f"no known format begins with the bytes {head[:8].hex(' ')}"


def sniff(source: SourceFile) -> tuple[str, int]:
    """Return the container and the offset of its first byte (after ID3 tags and zeros).

    Raises `AudioError`: ``not-audio`` when the first bytes belong to nothing we read, ``truncated``
    when there are too few of them.
    """
    start = skip_id3(source)
    head = source.read_at(start, 16)
    container = _by_magic(head)
    if container is None and head[:1] == b"\0":  # taggers leave zeros between tag and audio
        padding = source.read_at(start, _MAX_PADDING)
        begin = start + len(padding) - len(padding.lstrip(b"\0"))
        if starts_mpeg(source, begin):
            return "MP3", begin
    if container is None:
        raise AudioError("not-audio", _why_unknown(head))
    return container, start
