"""Other views of a waveform: pitch, tempo, colour, room, noise and level, at random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

__all__ = ["Augmentation", "phase_vocoder"]

#: Seconds of a frame of the phase vocoder, rounded to a power of two in samples.
_FRAME = 0.064
#: Random gains of the equaliser lie so many octaves apart.
_EQ_OCTAVES = 1.0


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Changes a waveform at random; each change happens with ``probability``.

    Parameters
    ----------
    sr : int > 0
        Rate in Hz.
    semitones : float >= 0
        Pitch is shifted by up to so many, tempo kept.
    stretch : float >= 1
        Tempo is divided or multiplied by up to this factor, pitch kept; a clip that became
        shorter is repeated from its start.
    eq_db : float >= 0
        Standard deviation of the gain of each octave in dB.
    reverb : float >= 0
        Longest decay by 60 dB in seconds; the room is exponentially falling noise.
    snr_db : tuple of float
        Range of the ratio of signal to white noise in dB.
    gain_db : tuple of float
        Range of the gain in dB.
    probability : float in [0, 1]
        Of every single change.
    """

    sr: int
    semitones: float = 2.0
    stretch: float = 1.15
    eq_db: float = 6.0
    reverb: float = 0.6
    snr_db: tuple[float, float] = (15.0, 50.0)
    gain_db: tuple[float, float] = (-12.0, 3.0)
    probability: float = 0.5

    def __post_init__(self) -> None:
        if self.sr < 1 or self.stretch < 1 or not 0 <= self.probability <= 1:
            raise ParameterError(
                "sr, stretch and probability must be > 0, >= 1 and within 0..1, got "
                f"{self.sr}, {self.stretch} and {self.probability}."
            )

    def __call__(self, y: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return a changed copy of ``y``, shape ``(n_samples,)``, same length, finite."""
        x = y.astype(np.float64)
        changes = (
            (self.semitones, self._shift),
            (self.stretch - 1.0, self._stretch),
            (self.eq_db, self._equalise),
            (self.reverb, self._reverberate),
            (1.0, self._add_noise),
            (1.0, self._amplify),
        )
        for amount, change in changes:
            if rng.random() < self.probability and amount > 0:
                x = change(x, rng)
        return x.astype(np.float32)

    @property
    def _n_fft(self) -> int:
        return 1 << max(round(math.log2(_FRAME * self.sr)), 3)

    def _shift(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        factor = 2.0 ** (rng.uniform(-self.semitones, self.semitones) / 12.0)
        return _resampled(phase_vocoder(x, 1.0 / factor, n_fft=self._n_fft), len(x))

    def _stretch(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        rate = self.stretch ** rng.uniform(-1.0, 1.0)
        stretched = phase_vocoder(x, rate, n_fft=self._n_fft)
        return stretched[np.arange(len(x)) % len(stretched)]

    def _equalise(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        octaves = np.log2(np.fft.rfftfreq(len(x), 1.0 / self.sr).clip(20.0) / 20.0)
        points = np.arange(0.0, octaves[-1] + _EQ_OCTAVES, _EQ_OCTAVES)
        gains = rng.normal(0.0, self.eq_db, len(points)).clip(-2 * self.eq_db, 2 * self.eq_db)
        curve = 10.0 ** (np.interp(octaves, points, gains) / 20.0)
        return np.fft.irfft(np.fft.rfft(x) * curve, len(x))

    def _reverberate(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        decay = rng.uniform(0.1, 1.0) * self.reverb
        times = np.arange(max(int(decay * self.sr), 1)) / self.sr
        room = rng.normal(size=len(times)) * np.exp(-6.91 * times / decay)
        room *= rng.uniform(0.1, 0.6) / max(float(np.linalg.norm(room)), 1e-12)
        size = len(x) + len(room) - 1
        wet = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(room, size), size)
        return x + wet[: len(x)]

    def _add_noise(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        level = float(np.sqrt(np.mean(x**2))) * 10.0 ** (-rng.uniform(*self.snr_db) / 20.0)
        noise: DoubleArray = rng.normal(size=len(x))
        return x + level * noise

    def _amplify(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        gain = 10.0 ** (float(rng.uniform(*self.gain_db)) / 20.0)
        return x * gain


def phase_vocoder(x: DoubleArray, rate: float, *, n_fft: int) -> DoubleArray:
    """Return ``x`` played ``rate`` times as fast at the same pitch, ``round(n / rate)`` samples.

    Parameters
    ----------
    x : float64 array, shape (n_samples,)
        A waveform.
    rate : float > 0
        Above 1 the result is shorter.
    n_fft : int, divisible by 4
        Samples of a frame; frames lie a quarter of that apart.

    References
    ----------
    Flanagan, Golden. "Phase vocoder". Bell System Technical Journal 45(9), 1966.
    """
    hop = n_fft // 4
    window = np.hanning(n_fft + 1)[:-1]
    padded = np.pad(x, n_fft)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    S = np.fft.rfft(frames * window)
    places = np.arange(0.0, len(S) - 1.0, rate)
    before = places.astype(int)
    part = (places - before)[:, np.newaxis]
    magnitude = (1.0 - part) * np.abs(S[before]) + part * np.abs(S[before + 1])
    expected = 2.0 * np.pi * hop * np.arange(S.shape[1]) / n_fft
    advance = np.angle(S[before + 1]) - np.angle(S[before]) - expected
    advance = expected + advance - 2.0 * np.pi * np.round(advance / (2.0 * np.pi))
    phase = np.angle(S[0]) + np.vstack([np.zeros(S.shape[1]), np.cumsum(advance[:-1], axis=0)])
    pieces = np.fft.irfft(magnitude * np.exp(1j * phase), n_fft) * window
    out = np.zeros(hop * (len(pieces) - 1) + n_fft)
    weight = np.zeros_like(out)
    for number, piece in enumerate(pieces):
        start = number * hop
        out[start : start + n_fft] += piece
        weight[start : start + n_fft] += window**2
    out /= np.maximum(weight, 1e-3)
    first, length = round(n_fft / rate), max(round(len(x) / rate), 1)
    return np.pad(out, (0, max(first + length - len(out), 0)))[first : first + length]


def _resampled(x: DoubleArray, length: int) -> DoubleArray:
    """Return ``x`` with ``length`` samples over the same time, by its spectrum."""
    return np.fft.irfft(np.fft.rfft(x), length) * (length / len(x))
