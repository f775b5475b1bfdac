"""Test signals whose every property is known: float32, mono, shape ``(n_samples,)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.types import FloatArray


def tone(
    frequency: float,
    *,
    duration: float = 1.0,
    sr: int = 22050,
    amplitude: float = 0.5,
    phase: float = 0.0,
) -> FloatArray:
    """Return a sine.

    Parameters
    ----------
    frequency : float
        In Hz, between 0 and ``sr / 2``.
    duration : float >= 0
        In seconds.
    sr : int > 0
        Rate in Hz.
    amplitude : float
        Peak value.
    phase : float
        At sample 0, in radians.
    """
    _check(sr, frequency)
    t = np.arange(_length(duration, sr), dtype=np.float64) / sr
    return (amplitude * np.sin(2 * np.pi * frequency * t + phase)).astype(np.float32)


def chirp(
    fmin: float,
    fmax: float,
    *,
    duration: float = 1.0,
    sr: int = 22050,
    amplitude: float = 0.5,
) -> FloatArray:
    """Return a sine whose frequency runs from ``fmin`` to ``fmax`` (Hz) exponentially."""
    _check(sr, fmin, fmax)
    if fmin <= 0 or fmax <= 0:
        raise ParameterError(f"fmin and fmax must be > 0, got {fmin} and {fmax}.")
    t = np.arange(_length(duration, sr), dtype=np.float64) / sr
    rate = np.log(fmax / fmin) / max(duration, 1.0 / sr)
    cycles = fmin * t if rate == 0 else fmin * np.expm1(rate * t) / rate
    return (amplitude * np.sin(2 * np.pi * cycles)).astype(np.float32)


def click_train(
    times: Sequence[float],
    *,
    duration: float,
    sr: int = 22050,
    amplitude: float = 0.9,
    click_duration: float = 0.01,
    frequency: float = 2000.0,
) -> FloatArray:
    """Return decaying tone bursts that start at ``times``.

    Parameters
    ----------
    times : sequence of float
        Onsets in seconds, rounded to the nearest sample; those beyond the end are cut off.
    duration, sr, amplitude
        As for `tone`.
    click_duration : float > 0
        Length of a burst in seconds; 0.01 gives a click that every onset detector finds.
    frequency : float
        Of the burst, in Hz.
    """
    _check(sr, frequency)
    out = np.zeros(_length(duration, sr), dtype=np.float32)
    t = np.arange(max(1, round(click_duration * sr))) / sr
    burst = amplitude * np.cos(2 * np.pi * frequency * t) * np.exp(-5 * t / click_duration)
    for time in times:
        start = round(time * sr)
        if start < 0:
            raise ParameterError(f"times must be >= 0, got {time}.")
        part = burst[: max(0, len(out) - start)]
        out[start : start + len(part)] += part.astype(np.float32)
    return out


def noise(
    *,
    rng: np.random.Generator,
    duration: float = 1.0,
    sr: int = 22050,
    amplitude: float = 0.5,
) -> FloatArray:
    """Return uniform white noise within ``-amplitude`` and ``amplitude``."""
    _check(sr)
    return rng.uniform(-amplitude, amplitude, _length(duration, sr)).astype(np.float32)


def silence(*, duration: float = 1.0, sr: int = 22050) -> FloatArray:
    """Return zeros."""
    return constant(0.0, duration=duration, sr=sr)


def constant(value: float, *, duration: float = 1.0, sr: int = 22050) -> FloatArray:
    """Return ``value`` at every sample: DC."""
    _check(sr)
    return np.full(_length(duration, sr), value, dtype=np.float32)


def _length(duration: float, sr: int) -> int:
    if not duration >= 0:
        raise ParameterError(f"duration must be >= 0 seconds, got {duration}.")
    return round(duration * sr)


def _check(sr: int, *frequencies: float) -> None:
    if sr < 1:
        raise ParameterError(f"sr must be an integer > 0, got {sr}.")
    for frequency in frequencies:
        if not 0 <= frequency <= sr / 2:
            raise ParameterError(f"frequency must lie within 0..{sr / 2} Hz, got {frequency}.")
