"""Waveforms in memory: down-mix, resampling, and buffers that grow as blocks arrive."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from featx.errors import ParameterError, listed

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray

#: Name of the resampler in a recipe, next to the quality.
RESAMPLER = "soxr"
#: Qualities of `resample`, from fast to exact.
QUALITIES = ("QQ", "LQ", "MQ", "HQ", "VHQ")

#: Ways from several channels to one, see `to_mono`.
DOWNMIXES = ("mean", "left", "right", "mid-side")

#: Rows of a two-dimensional array that may be channels, however short it is.
_MOST_CHANNELS = 32
_GROWTH = 1.25
_FIRST = 1 << 16


def check_quality(quality: str) -> str:
    """Return ``quality``, or raise `ParameterError` if it is not one of `QUALITIES`."""
    if quality not in QUALITIES:
        raise ParameterError(f"quality must be one of {listed(QUALITIES)}, got {quality!r}.")
    return quality


def check_downmix(downmix: str) -> str:
    """Return ``downmix``, or raise `ParameterError` if it is not one of `DOWNMIXES`."""
    if downmix not in DOWNMIXES:
        raise ParameterError(f"downmix must be one of {listed(DOWNMIXES)}, got {downmix!r}.")
    return downmix


def check_rate(name: str, sr: int) -> int:
    """Return ``sr`` as an int, or raise `ParameterError` when it is not an integer > 0."""
    if isinstance(sr, bool) or int(sr) != sr or sr < 1:
        raise ParameterError(f"{name} must be an integer > 0 in Hz, got {sr!r}.")
    return int(sr)


def _check_waveform(y: AnyArray) -> FloatArray:
    """Return ``y`` as float32; a message says how to convert what is no waveform."""
    _check_type(y)
    rule = "y must be floating point of shape (n,) or (channels, n)"
    state = f"got shape {y.shape}, dtype {y.dtype}"
    if y.dtype.kind in "iu":
        scale = -np.iinfo(y.dtype).min or np.iinfo(y.dtype).max // 2 + 1
        offset = "" if y.dtype.kind == "i" else " - 1"
        raise ParameterError(f"{rule}, {state}. Scale it to [-1, 1]: y / {scale}{offset}")
    if y.ndim == 2 and y.shape[0] > max(y.shape[1], _MOST_CHANNELS):
        raise ParameterError(f"{rule}, {state}. Channels come first: y.T")
    if y.ndim not in (1, 2) or not np.issubdtype(y.dtype, np.floating) or 0 in y.shape[:-1]:
        raise ParameterError(f"{rule}, {state}.")
    return np.asarray(y, dtype=np.float32)


def _check_type(y: object) -> None:
    if isinstance(y, np.ndarray):
        return
    kind = f"{type(y).__module__}.{type(y).__qualname__}".removeprefix("builtins.")
    remedy = ""
    if isinstance(y, (list, tuple)):
        remedy = " Use np.asarray(y, dtype=np.float32)."
    elif isinstance(y, (str, os.PathLike)):
        remedy = " Load the file with featx.Audio.load, or use the method file of an extractor."
    elif kind == "torch.Tensor":
        remedy = " Use y.detach().cpu().numpy()."
    elif hasattr(y, "y") and hasattr(y, "sr"):
        remedy = " Give its y and its sr."
    raise ParameterError(f"y must be a numpy array, got {kind}.{remedy}")


def mix_into(block: FloatArray, out: FloatArray, *, downmix: str = "mean") -> None:
    """Write one channel made of those of ``block`` (n, channels) to ``out`` (n,).

    ``downmix`` is ``mean``, ``left``, ``right``, or ``side``: half the difference of two channels.
    Adds column by column: the mean over a short last axis is more than thirty times slower.
    """
    channels = block.shape[1]
    if channels == 1 or downmix in ("left", "right"):
        np.copyto(out, block[:, 1 if downmix == "right" and channels > 1 else 0])
        return
    if downmix == "side":
        np.subtract(block[:, 0], block[:, 1], out=out)
        out /= np.float32(2)
        return
    np.add(block[:, 0], block[:, 1], out=out)
    for channel in range(2, channels):
        out += block[:, channel]
    out /= np.float32(channels)


def to_mono(y: AnyArray, *, downmix: str = "mean") -> FloatArray:
    """Return one channel made of several.

    Parameters
    ----------
    y : floating point array, shape (n_samples,) or (channels, n_samples)
        Left untouched.
    downmix : {'mean', 'left', 'right', 'mid-side'}
        The mean over channels, the first channel, the second, or the one with more energy of mid
        (the mean) and side (half the difference) of two channels. More than two have no side:
        their mean is taken.

    Returns
    -------
    float32 array, shape (n_samples,)
        ``y`` itself when it is one-dimensional float32 already.

    Raises
    ------
    ParameterError
        For another type or shape, and for integers; the message says how to convert it.
    """
    y = _check_waveform(y)
    check_downmix(downmix)
    if y.ndim == 1:
        return y
    out = np.empty(y.shape[1], dtype=np.float32)
    mix_into(y.T, out, downmix=downmix)
    if downmix == "mid-side" and len(y) == 2:
        side = np.empty_like(out)
        mix_into(y.T, side, downmix="side")
        if np.dot(side, side) > np.dot(out, out):
            return side
    return out


def resample(y: AnyArray, *, sr_in: int, sr_out: int, quality: str = "HQ") -> FloatArray:
    """Change the sampling rate with soxr.

    Parameters
    ----------
    y : floating point array, shape (n_samples,) or (channels, n_samples)
        Left untouched.
    sr_in, sr_out : int > 0
        Rates in Hz.
    quality : {'QQ', 'LQ', 'MQ', 'HQ', 'VHQ'}
        HQ keeps 20 bits, VHQ 28, the others trade precision for speed.

    Returns
    -------
    float32 array, shape (m,) or (channels, m)
        m is ``n_samples * sr_out / sr_in`` rounded to the nearest integer.

    Raises
    ------
    ParameterError
        For another shape, integers, a rate below 1 or an unknown quality.
    """
    y = _check_waveform(y)
    check_quality(quality)
    sr_in, sr_out = check_rate("sr_in", sr_in), check_rate("sr_out", sr_out)
    if sr_in == sr_out:
        return y
    out = soxr.resample(np.ascontiguousarray(y.T), sr_in, sr_out, quality=quality)
    return np.ascontiguousarray(out.T, dtype=np.float32)


class _Growing:
    """A float32 vector that grows by blocks; memory follows what arrives, not what is declared."""

    def __init__(self, expected: int | None) -> None:
        self._data = np.empty(0, dtype=np.float32)
        self._used = 0
        self._expected = expected or 0

    def append(self, block: FloatArray) -> None:
        need = self._used + len(block)
        if need > len(self._data):
            grown = max(_FIRST, need, int(len(self._data) * _GROWTH))
            if need <= self._expected:
                grown = min(grown, self._expected)
            # realloc: large blocks move by remapping pages, so the peak stays near one copy
            self._data.resize(grown, refcheck=False)
        self._data[self._used : need] = block
        self._used = need

    def take(self) -> FloatArray:
        """Return the vector, read-only, and forget it."""
        data, self._data = self._data, np.empty(0, dtype=np.float32)
        data.resize(self._used, refcheck=False)
        data.flags.writeable = False
        return data


def resampled_length(n_samples: int, *, sr_in: int, sr_out: int) -> int:
    """Return how many samples ``n_samples`` become at another rate."""
    return (2 * n_samples * sr_out + sr_in) // (2 * sr_in)


class RateStream:
    """Takes mono blocks at the native rate and returns blocks at ``sr_out``."""

    def __init__(self, sr_in: int, sr_out: int, *, quality: str) -> None:
        self._stream: Any = None
        if sr_in != sr_out:
            self._stream = soxr.ResampleStream(sr_in, sr_out, 1, dtype="float32", quality=quality)

    def convert(self, block: FloatArray) -> FloatArray:
        """Return what of the next ``block`` is ready; ``block`` itself if the rate stays."""
        return block if self._stream is None else self._stream.resample_chunk(block, last=False)

    def finish(self) -> FloatArray:
        """Return the rest."""
        rest = np.empty(0, dtype=np.float32)
        return rest if self._stream is None else self._stream.resample_chunk(rest, last=True)


class RateSink:
    """Takes mono blocks at the native rate and holds the waveform at ``sr_out``."""

    def __init__(self, sr_in: int, sr_out: int, *, frames: int | None, quality: str) -> None:
        expected = None if frames is None else -(-frames * sr_out // sr_in)
        self._buffer = _Growing(expected)
        self._stream = RateStream(sr_in, sr_out, quality=quality)

    def write(self, block: FloatArray) -> None:
        """Append one block."""
        self._buffer.append(self._stream.convert(block))

    def finish(self) -> FloatArray:
        """Return the whole waveform, read-only."""
        self._buffer.append(self._stream.finish())
        return self._buffer.take()
