"""The plain values of this room: limits, and what a probe or a decode returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.errors import AudioError, ParameterError

if TYPE_CHECKING:
    from featx.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one file may cost. Checked against the header first, then while decoding.

    Parameters
    ----------
    max_bytes : int > 0
        Size of the file.
    max_seconds : float > 0
        Declared and decoded duration.
    max_frames : int > 0
        Declared and decoded frames at the native rate.
    max_channels : int > 0
        Channels.
    min_sr, max_sr : int > 0
        Native sampling rates that are believed, in Hz.
    held_seconds : float > 0
        Declared duration from which on a waveform is not held for extractors that can read it in
        blocks. The file is then decoded again for every reading.
    """

    max_bytes: int = 8 * 2**30
    max_seconds: float = 6 * 3600.0
    max_frames: int = 2**31
    max_channels: int = 32
    min_sr: int = 1000
    max_sr: int = 768_000
    held_seconds: float = 1800.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ParameterError(f"{name} must be > 0, got {value}.")
        if self.min_sr > self.max_sr:
            raise ParameterError(f"min_sr must be <= max_sr, got {self.min_sr} and {self.max_sr}.")

    def check_size(self, size: int) -> None:
        """Raise `AudioError` for a file of ``size`` bytes that is empty or over the limit."""
        if size == 0:
            raise AudioError("empty", "the file has no bytes")
        if size > self.max_bytes:
            raise AudioError("too-large", f"{size} bytes, the limit is {self.max_bytes}")

    def check_stream(self, *, sr: int, channels: int) -> None:
        """Raise `AudioError` for a rate or a number of channels outside the limits."""
        if not self.min_sr <= sr <= self.max_sr:
            raise AudioError("bad-rate", f"{sr} Hz, the limits are {self.min_sr} to {self.max_sr}")
        if channels < 1:
            raise AudioError("lying-header", f"the header declares {channels} channels")
        if channels > self.max_channels:
            raise AudioError(
                "too-many-channels", f"{channels} channels, the limit is {self.max_channels}"
            )

    def check_frames(self, frames: int, *, sr: int, verb: str = "declares") -> None:
        """Raise `AudioError` when ``frames`` at ``sr`` Hz are more than may be decoded."""
        if frames > self.max_frames:
            raise AudioError(
                "too-long", f"the file {verb} {frames} frames, the limit is {self.max_frames}"
            )
        if frames > self.max_seconds * sr:
            raise AudioError(
                "too-long",
                f"the file {verb} {frames / sr:.1f} s, the limit is {self.max_seconds:g} s",
            )


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """What the header of a file says.

    Parameters
    ----------
    container, subtype : str
        Recognised by content, such as ``WAV`` and ``PCM_16``.
    sr : int
        Native rate in Hz.
    channels : int
        Channels.
    frames : int or None
        Declared frames at the native rate; None where the format does not say.
    size : int
        Bytes.
    """

    container: str
    subtype: str
    sr: int
    channels: int
    frames: int | None
    size: int

    @property
    def duration(self) -> float | None:
        """Declared seconds, or None."""
        return None if self.frames is None else self.frames / self.sr


@dataclass(frozen=True, kw_only=True)
class Note:
    """An oddity that does not stop the file: a code of `featx.errors.NOTE_CODES` and a sentence."""

    code: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """One file, decoded once.

    Parameters
    ----------
    waveforms : mapping of int to float32 array, shape (n_samples,)
        Mono waveform by rate in Hz, read-only.
    native_sr, channels : int
        Of the file.
    n_frames : int
        Decoded frames at the native rate.
    duration : float
        Seconds, ``n_frames / native_sr``.
    peak : float
        Largest absolute sample over all channels, before the down-mix.
    clipped : float
        Fraction of samples at or above full scale, over all channels.
    content : str
        Hash of the file's bytes, as `content_hash` gives it.
    notes : tuple of Note
        Oddities that did not stop the file.
    container : str
        Recognised by content.
    fingerprint : str
        Hash of rate and mono samples in 16 bits, "" unless requested.
    downmix : {'mean', 'left', 'right', 'side'}
        How the channels were mixed; see `to_mono`.
    """

    waveforms: Mapping[int, FloatArray]
    native_sr: int
    channels: int
    n_frames: int
    duration: float
    peak: float
    clipped: float
    content: str
    notes: tuple[Note, ...] = ()
    container: str = ""
    fingerprint: str = ""
    downmix: str = "mean"
