"""From a path to waveforms: one pass in blocks, one resampling stream per rate."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from featx.audio.containers.sniff import sniff
from featx.audio.containers.structure import Structure, inspect
from featx.audio.files import SourceFile, open_regular
from featx.audio.limits import AudioInfo, Decoded, Limits, Note
from featx.audio.readers import Reader, open_reader
from featx.audio.waveform import (
    RateSink,
    RateStream,
    check_downmix,
    check_quality,
    check_rate,
    mix_into,
    resample,
)
from featx.errors import AudioError, ParameterError

if TYPE_CHECKING:
    from featx.types import FloatArray

#: samples (frames times channels) that one block holds
_BLOCK = 1 << 17
#: a sample at or above this counts as clipped: full scale of 16-bit PCM
_FULL_SCALE = np.float32(32767 / 32768)
#: no waveform has samples like this; their powers overflow float32
_ABSURD = 2.0**31
_DEFAULT = Limits()
#: Rates in Hz, None for a file's own; or what returns them for the seconds that it declares.
_Rates = Iterable[int | None] | Callable[[float | None], Iterable[int | None]]
#: share of the energy that a mix must keep; unrelated channels keep half, equal ones all
_CANCELLED = 0.1
#: what headers promise beyond what decodes is no loss, up to the smaller of both
_SLACK_SECONDS, _SLACK_SHARE = 0.5, 0.01


@contextlib.contextmanager
def _opened(
    path: str | os.PathLike[str], limits: Limits
) -> Iterator[tuple[SourceFile, Reader, Structure]]:
    with open_regular(path) as source:
        limits.check_size(source.size)
        container, start = sniff(source)
        structure = inspect(source, container, start)
        if structure.verdict is not None and structure.verdict.code == "lying-header":
            raise structure.verdict
        try:
            reader = open_reader(source, container, start, structure)
        except AudioError as error:
            if structure.verdict is None:
                raise
            raise structure.verdict from error
        try:
            limits.check_stream(sr=reader.sr, channels=reader.channels)
            if reader.frames is not None:
                limits.check_frames(reader.frames, sr=reader.sr)
            yield source, reader, structure
        finally:
            reader.close()


def probe(path: str | os.PathLike[str], *, limits: Limits = _DEFAULT) -> AudioInfo:
    """Read the header of a file and nothing else.

    Returns
    -------
    AudioInfo
        ``frames`` is what the header declares.

    Raises
    ------
    AudioError
        With a code of `featx.errors.FAILURE_CODES`, when the file cannot be opened, is not
        recognised, or declares more than ``limits`` allow.
    """
    with _opened(path, limits) as (source, reader, _):
        return AudioInfo(
            container=reader.container,
            subtype=reader.subtype,
            sr=reader.sr,
            channels=reader.channels,
            frames=reader.frames,
            size=source.size,
        )


class _Meter:
    """Peak, clipping and finiteness over all blocks, and what mixing down took away."""

    def __init__(self, downmix: str = "mean") -> None:
        self._means = downmix == "mean"
        self.peak = 0.0
        self.clipped = 0
        self.samples = 0
        self._before = self._after = 0.0  # energy of the mean channel, energy of the mix

    def mixed(self, block: FloatArray, mono: FloatArray) -> None:
        """Compare the energy of a mean over channels with that of the channels."""
        if block.shape[1] > 1 and self._means:
            flat = block.reshape(-1)
            self._before += float(np.dot(flat, flat)) / block.shape[1]
            self._after += float(np.dot(mono, mono))

    def mix_notes(self) -> tuple[Note, ...]:
        """Return a note where the channels cancel each other."""
        if self._after >= self._before * _CANCELLED:
            return ()
        lost = "all of it" if self._after == 0 else f"{self._lost():.1f} dB"
        return (Note(code="cancelled-mix", text=f"the mean over channels loses {lost}"),)

    @property
    def side_is_louder(self) -> bool:
        """Whether half the difference of two channels has more energy than their mean.

        The energies of both add up to that of the mean channel.
        """
        return self._after < self._before / 2

    def _lost(self) -> float:
        return 10 * math.log10(self._before / self._after)

    def update(self, block: FloatArray, *, first_frame: int, sr: int) -> None:
        peak = float(max(block.max(), -block.min()))  # NaN wins in numpy's max and min
        self.samples += block.size
        if not peak < _ABSURD:
            bad = ~(np.abs(block) < _ABSURD)
            frame, channel = (int(index) for index in np.argwhere(bad)[0])
            value = float(block[frame, channel])
            at = f"{(first_frame + frame) / sr:.3f} s, channel {channel}"
            raise AudioError("not-finite", f"sample {value:g} at {at}")
        if peak >= _FULL_SCALE:
            self.clipped += int(np.count_nonzero(np.abs(block) >= _FULL_SCALE))
        self.peak = max(self.peak, peak)


def _frames_at_once(reader: Reader | _Ending) -> int:
    return max(_BLOCK // reader.channels, 1)


def _blocks(reader: Reader | _Ending, limits: Limits, meter: _Meter) -> Iterator[FloatArray]:
    """Yield (n, channels) blocks, valid until the next one; limits are checked on the way."""
    out = np.empty((_frames_at_once(reader), reader.channels), dtype=np.float32)
    done = 0
    while (got := reader.read(out)) > 0:
        block = out[:got]
        meter.update(block, first_frame=done, sr=reader.sr)
        done += got
        limits.check_frames(done, sr=reader.sr, verb="holds more than")
        yield block


def _slack(reader: Reader, declared: int) -> float:
    """Return the frames by which a file may fall short of ``declared``."""
    return max(reader.tolerance or 0, min(_SLACK_SECONDS * reader.sr, _SLACK_SHARE * declared))


def _check_complete(reader: Reader, structure: Structure, n_frames: int) -> tuple[Note, ...]:
    """Compare what was decoded with what was declared; return a note on a tolerated shortage."""
    declared = reader.frames
    if n_frames == 0 and not declared:
        raise AudioError("empty", "the file has no audio frames")
    if declared is None or reader.tolerance is None or n_frames >= declared:
        if n_frames == 0:
            raise AudioError("decode-error", "no frame could be decoded")
        return ()
    text = f"{declared} frames declared, {n_frames} decoded"
    if declared - n_frames <= _slack(reader, declared) and n_frames > 0:
        return (Note(code="short", text=text),)
    counted = structure.frames
    whole = reader.container == "OGG" or (
        counted is not None and counted >= declared - reader.tolerance
    )
    raise AudioError("decode-error" if whole else "truncated", text)


def decode(
    path: str | os.PathLike[str],
    *,
    rates: _Rates,
    limits: Limits = _DEFAULT,
    quality: str = "HQ",
    downmix: str = "mean",
    fingerprint: bool = False,
) -> Decoded:
    """Decode a file once and return its mono waveform at every requested rate.

    Decoding, down-mix and resampling go block by block: memory holds the waveforms asked for and
    one block. The result equals a whole-file computation bitwise.

    Parameters
    ----------
    rates : iterable of int or None, or function
        Rates in Hz; None is the file's own. May be empty to check a file. A function is given the
        seconds that the file declares, None if it does not say, and returns them.
    limits : Limits
        Checked against the header and again while decoding.
    quality : {'QQ', 'LQ', 'MQ', 'HQ', 'VHQ'}
        Of the soxr resampler.
    downmix : {'mean', 'left', 'right', 'mid-side'}
        See `to_mono`. A stereo file whose side is louder than its mid is decoded twice by the last.
    fingerprint : bool
        Also hash the samples, so that equal audio in different files can be found.

    Raises
    ------
    AudioError
        With a code of `featx.errors.FAILURE_CODES`.
    ParameterError
        For a rate below 1, an unknown quality or an unknown down-mix.
    """
    check_quality(quality)
    targets = rates if callable(rates) else _checked(rates)
    mixes = {"mid-side": ("mean", "side")}.get(check_downmix(downmix), (downmix,))
    for mix in mixes:
        decoded, side_is_louder = _decode(path, targets, limits, quality, mix, fingerprint)
        if not side_is_louder:
            break
    return decoded


def _checked(rates: Iterable[int | None]) -> list[int | None]:
    return [None if rate is None else check_rate("rates", rate) for rate in rates]


def decode_blocks(
    path: str | os.PathLike[str],
    *,
    sr: int,
    limits: Limits = _DEFAULT,
    quality: str = "HQ",
    downmix: str = "mean",
) -> Iterator[FloatArray]:
    """Yield the waveform that `decode` returns for one rate, bit for bit, in bounded memory.

    For files that `decode` has accepted: whether all of the file is there is not checked.

    Parameters
    ----------
    sr : int > 0
        Rate in Hz.
    downmix : {'mean', 'left', 'right', 'side'}
        As `Decoded.downmix` reports it.

    Yields
    ------
    float32 array, shape (n,), n > 0
        Yours to keep.

    Raises
    ------
    AudioError
        As `decode`.
    """
    with _opened(path, limits) as (source, reader, _):
        stream = RateStream(reader.sr, sr, quality=quality)
        for block in _blocks(reader, limits, _Meter()):
            mono = np.empty(len(block), dtype=np.float32)
            mix_into(block, mono, downmix=downmix)
            if len(converted := stream.convert(mono)):
                yield converted
        if len(rest := stream.finish()):
            yield rest
        source.check_unchanged()


def _decode(
    path: str | os.PathLike[str],
    targets: _Rates,
    limits: Limits,
    quality: str,
    downmix: str,
    fingerprint: bool,
) -> tuple[Decoded, bool]:
    """Decode a file with one way of mixing; also return whether its side is louder than a mean."""
    with _opened(path, limits) as (source, reader, structure):
        if structure.verdict is not None:
            raise structure.verdict
        if callable(targets):
            declared = None if reader.frames is None else reader.frames / reader.sr
            targets = _checked(targets(declared))
        sinks = {
            rate: RateSink(reader.sr, rate, frames=reader.frames, quality=quality)
            for rate in sorted({rate or reader.sr for rate in targets})
        }
        meter = _Meter(downmix)
        digest = hashlib.blake2b(str(reader.sr).encode(), digest_size=16) if fingerprint else None
        mixed = np.empty(_frames_at_once(reader), dtype=np.float32)
        for block in _blocks(reader, limits, meter):
            mono = mixed[: len(block)]
            mix_into(block, mono, downmix=downmix)
            meter.mixed(block, mono)
            for sink in sinks.values():
                sink.write(mono)
            if digest is not None:  # 16 bits: what a lossless copy in any container keeps
                digest.update(np.rint(np.clip(mono, -1, 1) * 32767).astype("<i2").tobytes())
        n_frames = meter.samples // reader.channels
        short = _check_complete(reader, structure, n_frames)
        notes = (*structure.notes, *reader.notes, *short, *meter.mix_notes())
        if downmix == "side":
            text = "the difference of the channels is louder than their mean"
            notes = (*notes, Note(code="side-mix", text=text))
        content = source.content_hash()
        source.check_unchanged()
        decoded = Decoded(
            waveforms=MappingProxyType({rate: sink.finish() for rate, sink in sinks.items()}),
            native_sr=reader.sr,
            channels=reader.channels,
            n_frames=n_frames,
            duration=n_frames / reader.sr,
            peak=meter.peak,
            clipped=meter.clipped / meter.samples,
            content=content,
            notes=notes,
            container=reader.container,
            fingerprint="" if digest is None else digest.hexdigest(),
            downmix=downmix,
        )
        return decoded, reader.channels == 2 and meter.side_is_louder


@dataclass(frozen=True, eq=False)
class Audio:
    """A waveform and its rate.

    Parameters
    ----------
    y : float32 array, shape (n_samples,) or (channels, n_samples)
        Samples, nominally in [-1, 1].
    sr : int
        Rate in Hz.
    """

    y: FloatArray
    sr: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return int(self.y.shape[-1]) / self.sr

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        sr: int | None = None,
        mono: bool = True,
        offset: float = 0.0,
        duration: float | None = None,
        limits: Limits = _DEFAULT,
        quality: str = "HQ",
    ) -> Audio:
        """Load a file or a part of it.

        Parameters
        ----------
        sr : int or None
            Rate in Hz to resample to; None keeps the file's own.
        mono : bool
            Mean over channels; otherwise ``y`` is ``(channels, n_samples)``.
        offset, duration : float >= 0
            Part to read, in seconds, rounded to frames at the native rate. None reads to the
            end. A part is resampled by itself, so its edges differ from those of the whole.
        limits : Limits
            Checked against the header and again while decoding.
        quality : {'QQ', 'LQ', 'MQ', 'HQ', 'VHQ'}
            Of the resampler.

        Raises
        ------
        AudioError
            As `decode`; ``empty`` when the part lies behind the end.
        ParameterError
            For a negative ``offset`` or ``duration``, a rate below 1 or an unknown quality.
        """
        for name, value in (("offset", offset), ("duration", duration)):
            if value is not None and not 0 <= value < float("inf"):
                raise ParameterError(f"{name} must be seconds >= 0, got {value}.")
        rate = None if sr is None else check_rate("sr", sr)
        check_quality(quality)
        if mono and offset == 0.0 and duration is None:
            decoded = decode(path, rates=[rate], limits=limits, quality=quality)
            return cls(*next((y, rate) for rate, y in decoded.waveforms.items()))
        with _opened(path, limits) as (source, reader, _):
            y = _read_part(reader, limits, offset, duration, mono=mono)
            source.check_unchanged()
            native = reader.sr
        return cls(
            resample(y, sr_in=native, sr_out=rate or native, quality=quality), rate or native
        )


class _Ending:
    """A reader that ends after ``count`` frames, so that no more of them are decoded."""

    def __init__(self, reader: Reader, count: int) -> None:
        self.sr, self.channels = reader.sr, reader.channels
        self._reader, self._left = reader, count

    def read(self, out: FloatArray) -> int:
        """See `Reader`."""
        if self._left == 0:
            return 0
        got = self._reader.read(out[: self._left])
        self._left -= got
        return got


def _read_part(
    reader: Reader, limits: Limits, offset: float, duration: float | None, *, mono: bool
) -> FloatArray:
    """Return (n,) or (channels, n) at the native rate."""
    first = round(offset * reader.sr)
    count = None if duration is None else round(duration * reader.sr)
    if reader.frames is not None and first >= reader.frames:
        raise AudioError("empty", f"no audio frames from {offset:g} s on")
    if first:
        reader.seek(first)
    parts: list[FloatArray] = []
    done = 0
    for part in _blocks(reader if count is None else _Ending(reader, count), limits, _Meter()):
        done += len(part)
        if mono:
            mixed = np.empty(len(part), dtype=np.float32)
            mix_into(part, mixed)
            parts.append(mixed)
        else:
            parts.append(part.T.copy())
    known = None if reader.tolerance is None else reader.frames
    expected = None if known is None else max(known - first, 0)
    length = expected if count is None or expected is None else min(count, expected)
    if done == 0 and not length:
        raise AudioError("empty", f"no audio frames from {offset:g} s on")
    if length is not None and known is not None and done < length - _slack(reader, known):
        raise AudioError("truncated", f"{length} frames expected, {done} found")
    return np.concatenate(parts, axis=-1)
