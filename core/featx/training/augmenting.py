"""Other views of a waveform: pitch, tempo, colour, room, noise and level, at random."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

__all__ = ["Augmentation"]

#: Random gains of the equaliser lie so many octaves apart.
_EQ_OCTAVES = 1.0


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Changes a waveform at random; each change happens with ``probability``.

    Everything drawn comes from the generator of the call, so that a view depends on its seed
    alone. Pitch and tempo are changed by Signalsmith Stretch (``pip install 'featx[augment]'``).

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
        for name, holds, rule in (
            ("sr", self.sr >= 1, "an integer > 0"),
            ("semitones", self.semitones >= 0, ">= 0"),
            ("stretch", self.stretch >= 1, ">= 1"),
            ("eq_db", self.eq_db >= 0, ">= 0"),
            ("reverb", self.reverb >= 0, ">= 0"),
            ("snr_db", self.snr_db[0] <= self.snr_db[1], "a range (low, high)"),
            ("gain_db", self.gain_db[0] <= self.gain_db[1], "a range (low, high)"),
            ("probability", 0 <= self.probability <= 1, "within 0..1"),
        ):
            if not holds:
                raise ParameterError(f"{name} must be {rule}, got {getattr(self, name)}.")
        bends = self.probability > 0 and (self.semitones > 0 or self.stretch > 1)
        if bends and importlib.util.find_spec("python_stretch") is None:
            raise ParameterError(
                "semitones and stretch must be 0 and 1 without python-stretch, got "
                f"{self.semitones} and {self.stretch}. Run: pip install 'featx[augment]'"
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

    def _shift(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        stretcher = self._stretcher()
        stretcher.setTransposeSemitones(rng.uniform(-self.semitones, self.semitones))
        return _processed(stretcher, x)

    def _stretch(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        stretcher = self._stretcher()
        stretcher.setTimeFactor(self.stretch ** rng.uniform(-1.0, 1.0))
        stretched = _processed(stretcher, x)
        return stretched[np.arange(len(x)) % len(stretched)]

    def _stretcher(self) -> Any:
        from python_stretch import Signalsmith

        stretcher: Any = Signalsmith.Stretch()
        stretcher.preset(1, float(self.sr))
        return stretcher

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
        noisy: DoubleArray = x + level * rng.normal(size=len(x))
        return noisy

    def _amplify(self, x: DoubleArray, rng: np.random.Generator) -> DoubleArray:
        louder: DoubleArray = x * 10.0 ** (rng.uniform(*self.gain_db) / 20.0)
        return louder


def _processed(stretcher: Any, x: DoubleArray) -> DoubleArray:
    y: DoubleArray = stretcher.process(x.astype(np.float32)[np.newaxis])[0].astype(np.float64)
    return y
