"""From what the synthesiser gave to a file: tilt, rate, level, bytes that are always the same."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

__all__ = ["FORMATS", "encode", "finish"]

#: Formats by file suffix -> (libsndfile format, subtype).
FORMATS = {"ogg": ("OGG", "VORBIS"), "flac": ("FLAC", "PCM_16")}

_PEAK = 0.95
_FADE = 0.02
_CENTRE = 1000.0
#: Vorbis quality 5 of 10.
_COMPRESSION = 0.5
_PAGE = struct.Struct("<4sBBqIIIB")


def finish(
    y: FloatArray, rate: int, *, duration: float, sr: int, channels: int, tilt: float, level: float
) -> FloatArray:
    """Cut, tilt, resample and level.

    Parameters
    ----------
    y : float32 array, shape (n, 2)
        At ``rate`` Hz, at least ``duration`` seconds.
    duration : float > 0
        The result has ``round(duration * sr)`` samples; its last 20 ms fade out.
    channels : {1, 2}
        1 mixes both sides.
    tilt : float
        Slope in dB per octave around 1 kHz.
    level : float
        RMS of the result in dBFS; less where peaks would pass 0.95.

    Returns
    -------
    float32 array, shape (n_samples, channels)
    """
    import soxr

    n = round(duration * rate)
    if len(y) < n:
        raise ParameterError(f"y must last {duration} s, got {len(y) / rate:.2f} s.")
    stereo = y[:n].astype(np.float64)
    mixed = stereo.mean(axis=1, keepdims=True) if channels == 1 else stereo
    x = _tilted(soxr.resample(mixed, rate, sr, quality="HQ"), sr, tilt)[: round(duration * sr)]
    fade = round(_FADE * sr)
    x[-fade:] *= np.linspace(1.0, 0.0, fade)[:, None]
    rms, peak = float(np.sqrt(np.mean(x**2))), float(np.abs(x).max())
    gain = min(10 ** (level / 20) / max(rms, 1e-9), _PEAK / max(peak, 1e-9))
    out: FloatArray = (gain * x).astype(np.float32)
    return out


def _tilted(x: DoubleArray, rate: int, slope: float) -> DoubleArray:
    """Return ``x`` with its spectrum sloped, flat below 40 Hz."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(x) + rate // 10, real=True)  # what rings on does not come round
    spectrum = rfft(x, size, axis=0)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / rate), 40.0) / _CENTRE)
    spectrum *= (10.0 ** (slope * octaves / 20.0))[:, None]
    out: DoubleArray = irfft(spectrum, size, axis=0)[: len(x)]
    return out


def encode(y: FloatArray, sr: int, *, format: str, name: str) -> bytes:  # noqa: A002
    """Return an audio file; the same bytes for the same samples, name and libsndfile.

    libsndfile numbers Ogg streams at random; here the number follows from ``name``.

    Raises
    ------
    ParameterError
        If ``format`` is none of `FORMATS`.
    """
    import soundfile

    if format not in FORMATS:
        raise ParameterError(f"format must be one of {sorted(FORMATS)}, got {format!r}.")
    major, subtype = FORMATS[format]
    out = io.BytesIO()
    options = {"compression_level": _COMPRESSION} if format == "ogg" else {}
    with soundfile.SoundFile(
        out, "w", samplerate=sr, channels=y.shape[1], format=major, subtype=subtype, **options
    ) as file:
        for start in range(0, len(y), sr):  # long writes overflow the encoder's stack
            file.write(y[start : start + sr])
    data = out.getvalue()
    return _renumbered(data, zlib.crc32(name.encode())) if format == "ogg" else data


def _renumbered(data: bytes, serial: int) -> bytes:
    """Return an Ogg file with another stream number in all its pages."""
    pages, place = [], 0
    while place < len(data):
        magic, version, flags, granule, _, sequence, _, segments = _PAGE.unpack_from(data, place)
        if magic != b"OggS":
            raise ParameterError(f"an Ogg page must begin at byte {place}, got {magic!r}.")
        begin = place + _PAGE.size
        end = begin + segments + sum(data[begin : begin + segments])
        head = [magic, version, flags, granule, serial, sequence, 0, segments]
        head[6] = _ogg_crc(_PAGE.pack(*head) + data[begin:end])
        pages.append(_PAGE.pack(*head) + data[begin:end])
        place = end
    return b"".join(pages)


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        crc = value << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
        table.append(crc)
    return table


_TABLE = _crc_table()


def _ogg_crc(page: bytes) -> int:
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _TABLE[crc >> 24 ^ byte]
    return crc
