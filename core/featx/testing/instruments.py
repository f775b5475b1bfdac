"""Sounds of the synthesised music: additive notes, drums from noise and sweeps, a small room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx.types import DoubleArray

#: Seconds over which a note fades after its offset.
RELEASE = 0.04


@dataclass(frozen=True, kw_only=True)
class Timbre:
    """How an instrument sounds.

    Parameters
    ----------
    n_harmonics : int > 0
        Partials; those above 0.45 sr are omitted.
    rolloff : float
        Partial h has amplitude ``h ** -rolloff``.
    even : float
        Factor on even partials; 0 sounds like a clarinet or a square wave.
    attack : float
        Rise time in seconds; onsets stay sharp below 0.03.
    decay : float
        Time constant of partial 1 in seconds.
    damping : float
        Partial h decays ``h ** damping`` times faster.
    inharmonicity : float
        Stiffness B: partial h lies at ``h f0 sqrt(1 + B h^2)``.
    vibrato : float
        Depth in cents, growing over the first 0.3 s, at 5.5 Hz.
    detune : float
        A second voice this many cents higher, 0 for none.
    noise : float
        Breath noise relative to the note's peak.
    """

    n_harmonics: int
    rolloff: float
    attack: float
    decay: float
    even: float = 1.0
    damping: float = 0.0
    inharmonicity: float = 0.0
    vibrato: float = 0.0
    detune: float = 0.0
    noise: float = 0.0


def midi_to_hz(pitch: float) -> float:
    """Return the frequency of MIDI ``pitch`` (69 is A4, 440 Hz)."""
    return float(440.0 * 2.0 ** ((pitch - 69.0) / 12.0))


def render_note(timbre: Timbre, *, pitch: int, duration: float, sr: int) -> DoubleArray:
    """Return one note of peak 1 that starts at sample 0 and fades within `RELEASE` of its end."""
    n = max(2, round((duration + RELEASE) * sr))
    t = np.arange(n) / sr
    out = _partials(timbre, midi_to_hz(pitch), t, sr)
    if timbre.detune:
        out += _partials(timbre, midi_to_hz(pitch + timbre.detune / 100.0), t, sr)
    out /= max(np.abs(out).max(), 1e-9)
    if timbre.noise:
        breath = np.random.default_rng([pitch, n]).standard_normal(n)
        out += timbre.noise * breath * np.exp(-t / timbre.decay)
    out *= np.minimum(1.0, t / timbre.attack) if timbre.attack > 0 else 1.0
    fade = np.clip((n - 1 - np.arange(n)) / (RELEASE * sr), 0.0, 1.0)
    out *= np.sin(0.5 * np.pi * fade) ** 2
    out /= max(np.abs(out).max(), 1e-9)
    return out


def _partials(timbre: Timbre, f0: float, t: DoubleArray, sr: int) -> DoubleArray:
    depth = timbre.vibrato / 1200.0 * np.log(2.0)
    swing = depth * np.minimum(1.0, t / 0.3) / (2 * np.pi * 5.5) * -np.cos(2 * np.pi * 5.5 * t)
    phase = 2 * np.pi * f0 * (t + swing)
    out = np.zeros(len(t))
    for h in range(1, timbre.n_harmonics + 1):
        stretch = h * np.sqrt(1.0 + timbre.inharmonicity * h * h)
        if f0 * stretch > 0.45 * sr:
            break
        gain = h**-timbre.rolloff * (1.0 if h % 2 else timbre.even)
        if gain:
            envelope = np.exp(-t * (h**timbre.damping / timbre.decay))
            # Quadratic phases keep the partials from adding up to a click at sample 0.
            out += gain * envelope * np.sin(stretch * phase + np.pi * h * h / timbre.n_harmonics)
    return out


def render_drum(drum: str, *, sr: int) -> DoubleArray:
    """Return a stroke of ``kick``, ``snare``, ``hat`` or ``shaker``: peak 1, onset at sample 0."""
    seconds = {"kick": 0.35, "snare": 0.22, "hat": 0.07, "shaker": 0.06}[drum]
    t = np.arange(round(seconds * sr)) / sr
    breath = np.random.default_rng([ord(drum[0]), ord(drum[1])]).standard_normal(len(t))
    if drum == "kick":
        cycles = 48.0 * t + 130.0 * 0.025 * -np.expm1(-t / 0.025)
        out = np.cos(2 * np.pi * cycles) * np.exp(-t / 0.1) + 0.3 * breath * np.exp(-t / 0.003)
    elif drum == "snare":
        body = np.cos(2 * np.pi * 190.0 * t) * np.exp(-t / 0.03)
        out = 0.5 * body + 0.6 * np.diff(breath, prepend=0.0) * np.exp(-t / 0.06)
    else:
        bright = np.diff(
            breath, n=2 if drum == "hat" else 1, prepend=[0.0] * (2 if drum == "hat" else 1)
        )
        out = bright * np.exp(-t / (0.018 if drum == "hat" else 0.025))
    out *= np.clip((t[-1] - t) / 0.01, 0.0, 1.0)
    out /= np.abs(out).max()
    return np.asarray(out, dtype=np.float64)


def add_room(y: DoubleArray, *, amount: float, sr: int) -> DoubleArray:
    """Mix a decaying room of 0.6 s into ``y``; causal, so that onsets stay where they are."""
    if not amount:
        return y
    n = round(0.6 * sr)
    t = np.arange(n) / sr
    response = np.random.default_rng(7).standard_normal(n) * np.exp(-t / 0.13)
    response[: round(0.011 * sr)] = 0.0
    response *= amount / np.sqrt((response**2).sum())
    size = 1 << (len(y) + n - 1).bit_length()
    spectrum = np.fft.rfft(y, size) * np.fft.rfft(response, size)
    return y + np.fft.irfft(spectrum, size)[: len(y)]
