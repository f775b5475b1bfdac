"""A seeded mutator: malformed audio files made from real formats, with what may come of them.

`write_corpus` writes sources in every format at hand, mutates them, and returns one `Case` per
path. The same seed gives the same damage, and the same bytes but for the serial numbers and times
that some encoders write (Ogg, WebM, floating point WAV).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

SR = 22050
SECONDS = 3.0

#: what may come of a file whose bytes were damaged at random
ANY = (
    "ok",
    "bad-rate",
    "decode-error",
    "empty",
    "lying-header",
    "not-audio",
    "not-finite",
    "too-long",
    "too-many-channels",
    "truncated",
    "unsupported",
)
_BROKEN = tuple(code for code in ANY if code != "ok")
_SNDFILE = {
    "wav": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "wavfloat": ("WAV", "FLOAT"),
    "wavalaw": ("WAV", "ALAW"),
    "wavadpcm": ("WAV", "IMA_ADPCM"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
}
_SUFFIX = {"wav24": "wav", "wavfloat": "wav", "wavalaw": "wav", "wavadpcm": "wav"}
_AV = {
    "m4a": ("ipod", "aac"),
    "webm": ("webm", "libopus"),
    "aac": ("adts", "aac"),
    "wma": ("asf", "wmav2"),
}


@dataclass(frozen=True)
class Case:
    """One path of the corpus: its name, what was done, and the answers that are right."""

    name: str
    mutation: str
    allowed: tuple[str, ...]


# ---------------------------------------------------------------- sources
def music(rng: np.random.Generator, sr: int) -> np.ndarray:
    t = np.arange(int(SECONDS * sr)) / sr
    pitch = 220.0 * 2 ** (rng.integers(0, 12) / 12)
    tone = 0.3 * np.sin(2 * np.pi * pitch * t) + 0.1 * np.sin(2 * np.pi * 3 * pitch * t)
    left = tone + 0.02 * rng.standard_normal(len(t))
    return np.stack([left, 0.7 * left], axis=1).astype(np.float32)


def _encode_sndfile(y: np.ndarray, sr: int, container: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", sr, y.shape[1], format=container, subtype=subtype
    ) as handle:
        for start in range(0, len(y), 4096):  # large blocks overflow libsndfile's Vorbis stack
            handle.write(y[start : start + 4096])
    return buffer.getvalue()


def encode_av(y: np.ndarray, sr: int, container: str, codec: str) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=sr)
        stream.layout, stream.bit_rate = "stereo", 128_000
        context = stream.codec_context
        size = context.frame_size or 1024
        resampler = av.AudioResampler(
            format=context.format or "fltp", layout="stereo", rate=sr, frame_size=size
        )
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(y.T), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts = sr, 0
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def make_sources(seed: int, *, av_too: bool = True) -> dict[str, bytes]:
    """Return one healthy file per format, by its key; without PyAV those of libsndfile only."""
    rng = np.random.default_rng(seed)
    sources = {}
    for key, (container, subtype) in _SNDFILE.items():
        sr = 24000 if key == "opus" else SR
        sources[key] = _encode_sndfile(music(rng, sr), sr, container, subtype)
    for key, (container, codec) in _AV.items() if av_too else ():
        sr = 48000 if codec == "libopus" else SR
        sources[key] = encode_av(music(rng, sr), sr, container, codec)
    return sources


# ---------------------------------------------------------------- mutations
def _truncate(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(1, len(data)))]


def _truncate_late(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: -int(rng.integers(1, min(4000, len(data) - 1)))]


def _truncate_header(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(2, 200))]


def _flip(data: bytes, places: np.ndarray, rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    for place in places:
        out[int(place)] ^= 1 << int(rng.integers(0, 8))
    return bytes(out)


def _flip_header(data: bytes, rng: np.random.Generator) -> bytes:
    return _flip(data, rng.integers(0, min(100, len(data)), size=int(rng.integers(1, 4))), rng)


def _flip_body(data: bytes, rng: np.random.Generator) -> bytes:
    return _flip(data, rng.integers(100, len(data), size=int(rng.integers(1, 60))), rng)


def _lie(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite an aligned 32-bit word of the header with an extreme value."""
    out = bytearray(data)
    place = 4 * int(rng.integers(1, 16))
    value = int(rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]))
    out[place : place + 4] = struct.pack("<I" if rng.random() < 0.5 else ">I", value)
    return bytes(out)


def _zero_hole(data: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(0, len(data) - 1))
    length = int(rng.integers(1, len(data) - start))
    return data[:start] + bytes(length) + data[start + length :]


def _noise_hole(data: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(100, len(data) // 2))
    length = int(rng.integers(10, len(data) // 3))
    return data[:start] + rng.bytes(length) + data[start + length :]


def _cut_middle(data: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(100, len(data) // 2))
    return data[:start] + data[start + int(rng.integers(1, len(data) // 3)) :]


def _twice(data: bytes, rng: np.random.Generator) -> bytes:
    return data + data[: int(rng.integers(len(data) // 2, len(data) + 1))]


def _garbage_tail(data: bytes, rng: np.random.Generator) -> bytes:
    return data + rng.bytes(int(rng.integers(1, 5000)))


def _garbage_head(data: bytes, rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(1, 3000))) + data


def _id3_head(data: bytes, rng: np.random.Generator) -> bytes:
    claimed = int(rng.choice([0, 100, 10_000, 2**27]))
    size = bytes((claimed >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + size + rng.bytes(100) + data


def _only_noise(data: bytes, rng: np.random.Generator) -> bytes:
    return data[:12] + rng.bytes(int(rng.integers(100, 20_000)))


_MUTATIONS: tuple[tuple[Callable[[bytes, np.random.Generator], bytes], tuple[str, ...]], ...] = (
    (_truncate, _BROKEN),
    (_truncate_late, ANY),
    (_truncate_header, _BROKEN),
    (_flip_header, ANY),
    (_flip_body, ANY),
    (_lie, ANY),
    (_zero_hole, ANY),
    (_noise_hole, ANY),
    (_cut_middle, ANY),
    (_twice, ANY),
    (_garbage_tail, ANY),
    (_garbage_head, ANY),
    (_id3_head, ANY),
    (_only_noise, ANY),
)


# ---------------------------------------------------------------- cases made by hand
def bomb() -> bytes:
    """Return 8 kB of FLAC that declare 2^36 - 1 frames."""
    data = bytearray(_encode_sndfile(np.zeros((200_000, 1), np.float32), 44100, "FLAC", "PCM_16"))
    data[21] |= 0x0F
    data[22:26] = b"\xff\xff\xff\xff"
    return bytes(data[:8192].ljust(8192, b"\0"))


def _wav_with(offset: int, form: str, value: int) -> bytes:
    data = bytearray(_encode_sndfile(np.full((1000, 1), 0.1, np.float32), SR, "WAV", "PCM_16"))
    struct.pack_into(form, data, offset, value)
    return bytes(data)


def _float_wav(bad: float) -> bytes:
    y = np.full((5000, 2), 0.1, dtype=np.float32)
    y[4000, 1] = bad
    return _encode_sndfile(y, SR, "WAV", "FLOAT")


def _plain_cases(sources: dict[str, bytes]) -> Iterator[tuple[str, bytes, tuple[str, ...]]]:
    yield "bomb.flac", bomb(), ("lying-header", "too-long")
    yield "empty.wav", b"", ("empty",)
    yield "one-byte.mp3", b"\xff", ("not-audio",)
    yield "one-byte.ogg", b"O", ("not-audio",)
    yield "text.wav", b"This is not a waveform.\n" * 40, ("not-audio",)
    yield "page.mp3", b"<!DOCTYPE html><html></html>\n", ("not-audio",)
    yield "zeros.flac", bytes(5000), ("not-audio",)
    yield (
        "no-frames.wav",
        _encode_sndfile(np.zeros((0, 1), np.float32), SR, "WAV", "PCM_16"),
        ("empty",),
    )
    yield (
        "no-frames.flac",
        _encode_sndfile(np.zeros((0, 1), np.float32), SR, "FLAC", "PCM_16"),
        ("empty",),
    )
    yield "nan.wav", _float_wav(float("nan")), ("not-finite",)
    yield "inf.wav", _float_wav(float("inf")), ("not-finite",)
    yield "huge.wav", _float_wav(3e38), ("not-finite",)
    yield "channels-0.wav", _wav_with(22, "<H", 0), ("lying-header",)
    yield "channels-1000.wav", _wav_with(22, "<H", 1000), ("lying-header", "too-many-channels")
    yield "rate-0.wav", _wav_with(24, "<I", 0), ("bad-rate", "lying-header")
    yield "rate-huge.wav", _wav_with(24, "<I", 0xFFFFFFFF), ("bad-rate", "lying-header")
    yield "bits-0.wav", _wav_with(34, "<H", 0), ("lying-header", "unsupported")
    yield "data-huge.wav", _wav_with(40, "<I", 0xFFFFFFF0), ("truncated",)
    many = _encode_sndfile(np.full((100, 64), 0.1, np.float32), SR, "WAV", "PCM_16")
    yield "channels-64.wav", many, ("too-many-channels",)
    yield "wrong-suffix.mp3", sources["flac"], ("ok",)
    yield "wrong-suffix.wav", sources["ogg"], ("ok",)
    yield "script.m4a", b"ffconcat version 1.0\nfile wrong-suffix.mp3\n", ("not-audio",)


def _odd_paths(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    (folder / "folder.wav").mkdir()
    yield "folder.wav", ("not-audio",)
    (folder / "loop-a.wav").symlink_to("loop-b.wav")
    (folder / "loop-b.wav").symlink_to("loop-a.wav")
    yield "loop-a.wav", ("unreadable",)
    yield "loop-b.wav", ("unreadable",)
    (folder / "dangling.ogg").symlink_to("nowhere.ogg")
    yield "dangling.ogg", ("missing",)
    os.mkfifo(folder / "pipe.wav")
    yield "pipe.wav", ("not-audio",)
    locked = folder / "locked.wav"
    locked.write_bytes(_wav_with(24, "<I", SR))
    locked.chmod(0)
    # root may read everything, and the header is healthy but for its byte rate
    yield "locked.wav", ("permission", "ok")


def write_corpus(
    folder: Path, *, n: int, seed: int, av_too: bool = True, odd_paths: bool = True
) -> list[Case]:
    """Write ``n`` malformed paths to the new ``folder``; return one case each."""
    folder.mkdir(parents=True)
    sources = make_sources(seed, av_too=av_too)
    cases = []
    for name, data, allowed in _plain_cases(sources):
        (folder / name).write_bytes(data)
        cases.append(Case(name, "by hand", allowed))
    if odd_paths:
        cases += [Case(name, "path", allowed) for name, allowed in _odd_paths(folder)]
    rng: Any = np.random.default_rng([seed, 1])
    keys = list(sources)
    for number in range(max(n - len(cases), 0)):
        key = keys[number % len(keys)]
        mutate, allowed = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))]
        mutation = mutate.__name__.strip("_").replace("_", "-")
        name = f"{number:03d}-{key}-{mutation}.{_SUFFIX.get(key, key)}"
        (folder / name).write_bytes(mutate(sources[key], rng))
        # a cut between two frames of MP3 or AAC, or within the last block of ADPCM, is no failure
        tolerant = key in ("mp3", "aac", "wavadpcm")
        cases.append(Case(name, mutation, ANY if tolerant else allowed))
    return cases[:n]
