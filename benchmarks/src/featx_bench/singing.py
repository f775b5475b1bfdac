"""Synthesised singing with exact notes: what detectors of notes are trained on.

A voice is a sum of partials under formants, with glides, vibrato, scoops, drift and shimmer. Notes
are joined by rests, breaths, consonants or nothing. A room, a microphone and noise finish it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.signal

Array = npt.NDArray[Any]

SR = 16000
#: Samples between the values that the voice is controlled by.
_STEP = 80
_RATE = SR / _STEP
#: Formants of vowels of a man in Hz: a, e, i, o, u, and a neutral one.
_VOWELS = np.array(
    [
        [730, 1090, 2440, 3400, 4500], [530, 1840, 2480, 3500, 4500], [270, 2290, 3010, 3700, 4700],
        [570, 840, 2410, 3300, 4400], [300, 870, 2240, 3300, 4400], [500, 1500, 2500, 3500, 4500],
    ]
)  # fmt: skip
_WIDTHS = np.array([70.0, 90.0, 120.0, 180.0, 250.0])
#: Steps of the scale that melodies move on, in semitones.
_SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
#: How the second partial decides where a note is: level under the plateau in dB, and seconds of the
#: window that it is seen through, at the onset and at the offset.
_ONSET_DB, _ONSET_WINDOW = -14.0, 0.02
_OFFSET_DB, _OFFSET_WINDOW = -15.0, 0.064
#: Seconds from there to where people mark an onset.
_MARKED_LATER = 0.01
#: Ways from a note to the next.
_JOINTS = ("rest", "plosive", "fricative", "sonorant", "glide", "repeat")


@dataclass(frozen=True)
class Singer:
    """One voice: everything that stays the same through a recording."""

    lowest: float
    tract: float
    tilt: float
    vibrato: float
    vibrato_rate: float
    tremolo: float
    drift: float
    shimmer: float
    scoop: float
    breath: float
    attack: float
    release: float
    glide: float
    murmur: float
    articulation: float
    joints: Array
    tempo: float


def draw_singer(rng: np.random.Generator) -> Singer:
    """Return a voice at random, from bass to child."""
    register = rng.uniform()
    return Singer(
        lowest=40 + 19 * register + rng.normal(0, 2),
        tract=0.95 + 0.3 * register + rng.normal(0, 0.04),
        tilt=rng.uniform(0, 9),
        vibrato=rng.choice([0.0, rng.uniform(5, 40), rng.uniform(40, 120)], p=[0.35, 0.4, 0.25]),
        vibrato_rate=rng.uniform(4.5, 7.0),
        tremolo=rng.uniform(0, 2.5),
        drift=rng.uniform(4, 25),
        shimmer=rng.uniform(0.5, 3.0),
        scoop=rng.choice([rng.uniform(0, 60), rng.uniform(60, 300)], p=[0.7, 0.3]),
        breath=rng.uniform(-55, -22),
        attack=10 ** rng.uniform(-2.0, -1.0),
        release=10 ** rng.uniform(-1.7, -0.8),
        glide=10 ** rng.uniform(-1.3, -0.66),
        murmur=rng.uniform(0, 0.8),
        articulation=rng.uniform(0.02, 0.16),
        joints=rng.dirichlet(np.array([1.5, 1.5, 1.5, 2.0, 0.6, 0.4])),
        tempo=rng.uniform(0.25, 0.8),
    )


@dataclass
class _Control:
    """The voice in steps of 5 ms: pitch in semitones, level and second gain in dB, vowel mix."""

    pitch: Array
    level: Array
    muffle: Array
    vowels: Array
    noise: list[tuple[float, float, str, float]]
    notes: list[tuple[float, float, float]]


def _compose(rng: np.random.Generator, singer: Singer, duration: float) -> _Control:
    """Write a melody and how its notes are joined; times of notes are those of the control."""
    n = round(duration * _RATE)
    pitch, level = np.zeros(n), np.full(n, -90.0)
    muffle, vowels = np.zeros(n), np.zeros((n, len(_VOWELS)))
    control = _Control(pitch, level, muffle, vowels, [], [])
    degree, key = int(rng.integers(0, 8)), singer.lowest
    time, vowel, joint, last = rng.uniform(0.1, 0.8), int(rng.integers(6)), "rest", None
    favourite = rng.uniform() < 0.4  # one syllable all along, as in la la la
    while True:
        length = singer.tempo * rng.choice([0.5, 1, 1, 1.5, 2, 3]) * rng.uniform(0.8, 1.2)
        length = max(length, 0.12)
        if time + length > duration - 0.3:
            break
        if joint != "repeat":
            degree = int(np.clip(degree + rng.choice([-4, -3, -2, -1, -1, 1, 1, 2, 3, 4]), 0, 9))
        if not favourite or last is None:
            vowel = int(rng.integers(6))
        goal = key + _SCALE[degree % 7] + 12 * (degree // 7) + rng.normal(0, 0.15)
        _sing(rng, singer, control, (time, time + length), goal, vowel, joint, last)
        last = goal
        time += length
        joint = str(rng.choice(_JOINTS, p=singer.joints))
        if rng.uniform() < 0.1:  # the phrase ends
            rest = rng.uniform(0.3, 1.2)
            if rng.uniform() < 0.6:
                span = min(rng.uniform(0.15, 0.5), rest)
                control.noise.append((time + rest - span, span, "breath", rng.uniform(-50, -25)))
            time, joint, last = time + rest, "rest", None
        elif joint == "rest":
            time += 10 ** rng.uniform(-1.5, -0.5)
        elif joint == "plosive":
            gap = rng.uniform(0.03, 0.1)
            control.noise.append(
                (time + gap - 0.015, rng.uniform(0.008, 0.04), "burst", rng.uniform(-35, -12))
            )
            time += gap
        elif joint == "fricative":
            gap = rng.uniform(0.04, 0.18)
            control.noise.append((time, gap * 1.1, "hiss", rng.uniform(-40, -15)))
            time += gap
    return control


def _sing(
    rng: np.random.Generator, singer: Singer, control: _Control, span: tuple[float, float],
    goal: float, vowel: int, joint: str, last: float | None,
) -> None:  # fmt: skip
    """Write one note into the control."""
    first, stop = (round(time * _RATE) for time in span)
    n = stop - first
    t = np.arange(n) / _RATE
    pitch = np.full(n, goal)
    bound = joint in ("sonorant", "glide", "repeat") and last is not None
    if bound and last is not None:
        width = max(2, round(singer.glide * rng.uniform(0.6, 1.5) * _RATE))
        middle = np.arange(-width, width)
        move = 0.5 - 0.5 * np.cos(np.pi * np.clip((middle / width + 1) / 2, 0, 1))
        glide = last + (goal - last) * move
        left = min(width, first)
        control.pitch[first - left : first] = glide[width - left : width]
        right = min(width, n)
        pitch[:right] = glide[width : width + right]
    else:
        pitch -= singer.scoop / 100 * rng.uniform(0, 1.5) * np.exp(-t / rng.uniform(0.02, 0.1))
    if singer.vibrato and n > 30:
        depth = singer.vibrato / 100 * np.clip((t - rng.uniform(0.05, 0.3)) / 0.2, 0, 1)
        swing = np.sin(2 * np.pi * singer.vibrato_rate * rng.uniform(0.95, 1.05) * t)
        pitch += depth * swing
        tremolo = singer.tremolo * depth / max(depth.max(), 1e-9) * swing
    else:
        tremolo = np.zeros(n)
    shape = rng.uniform(-5, 3) * (t / max(t[-1], 1e-3)) + tremolo + rng.normal(0, 1.5)
    level = shape.copy()
    release = singer.release * rng.uniform(0.5, 1.5)
    if not bound:
        attack = singer.attack * rng.uniform(0.5, 1.8)
        level += 20 * np.log10(np.sin(0.5 * np.pi * np.clip(t / attack, 1e-3, 1)) + 1e-4)
    control.level[first:stop] = level
    control.pitch[first:stop] = pitch
    if not bound and rng.uniform() < singer.murmur:  # a nasal or a liquid before the vowel
        width = min(round(rng.uniform(0.03, 0.13) * _RATE), first)
        place = np.arange(first - width, first)
        hum = np.clip(np.arange(width) / 6, 0, 1) * rng.uniform(0.6, 1)
        control.level[place] = 20 * np.log10(hum + 1e-3) - rng.uniform(0, 14)
        control.muffle[place] = rng.uniform(0.0, 1.0)
        control.pitch[place] = pitch[0]
        control.vowels[place] = 0.0
        control.vowels[place, vowel] = 1.0
        control.level[first : first + 4] = np.maximum(level[:4], control.level[first - 1])
    # it dies away behind its end unless the next note takes over
    tail = np.arange(min(round(3 * release * _RATE), len(control.level) - stop))
    control.level[stop : stop + len(tail)] = level[-1] - 20 * tail / (release * _RATE)
    control.pitch[stop : stop + len(tail)] = pitch[-1] - rng.uniform(0, 1.5) * tail / max(
        len(tail), 1
    )
    if joint == "sonorant" and bound:
        width = round(rng.uniform(0.04, 0.14) * _RATE)
        place = np.arange(max(0, first - width), min(first, len(level) + first))
        control.muffle[place] = rng.uniform(0.3, 1.0)
        control.level[place] -= rng.uniform(3, 16)
    elif joint == "repeat" and bound:
        width = round(rng.uniform(0.03, 0.08) * _RATE)
        place = np.arange(max(0, first - width), min(first + width // 2, stop))
        dip = np.hanning(len(place) + 2)[1:-1]
        control.level[place] -= rng.uniform(6, 25) * dip
    control.vowels[first : stop + len(tail)] = 0.0
    control.vowels[first : stop + len(tail), vowel] = 1.0
    if rng.uniform() < 0.6:  # the tongue comes from a consonant
        locus, width = int(rng.integers(6)), min(round(rng.uniform(0.01, 0.08) * _RATE), n)
        control.vowels[first : first + width] *= 0.3
        control.vowels[first : first + width, locus] += 0.7
    if rng.uniform() < 0.4 and n > 40:  # a diphthong
        other, span_steps = int(rng.integers(6)), rng.uniform(0.03, 0.3) * _RATE
        ticks = np.arange(n + len(tail))
        mix = rng.uniform(0.3, 1) * np.clip((ticks - rng.uniform(0.1, 0.8) * n) / span_steps, 0, 1)
        control.vowels[first : stop + len(tail)] *= 1 - mix[:, np.newaxis]
        control.vowels[first : stop + len(tail), other] += mix
    if rng.uniform() < 0.25 and n > 60:  # the voice swells and fades
        width = int(rng.uniform(0.15, 0.8) * n)
        place = first + int(rng.integers(0, n - width)) + np.arange(width)
        control.level[place] -= rng.uniform(-5, 8) * np.hanning(width)
    control.notes.append((*span, 440.0 * 2 ** ((goal - 69) / 12)))


def _slow_noise(rng: np.random.Generator, n: int, seconds: float, columns: int = 1) -> Array:
    """Return smooth noise of unit deviation that changes within about ``seconds``."""
    coarse = rng.standard_normal((max(4, int(n / _RATE / seconds) + 4), columns))
    places = np.linspace(0, len(coarse) - 1, n)
    return np.stack([np.interp(places, np.arange(len(coarse)), column) for column in coarse.T], 1)


def _tract(frequencies: Array, vowels: Array, scale: float) -> Array:
    """Return the gain in dB of mixed vowels at frequencies (n_steps, n_partials)."""
    formants = vowels @ _VOWELS * scale
    gain = np.zeros_like(frequencies)
    for k, width in enumerate(_WIDTHS):
        centre = np.maximum(formants[:, k : k + 1], 100.0)
        gain -= 10 * np.log10(
            ((1 - (frequencies / centre) ** 2) ** 2 + (frequencies * width / centre**2) ** 2) + 1e-6
        )
    return gain


def _voice(rng: np.random.Generator, singer: Singer, control: _Control) -> tuple[Array, Array]:
    """Return the voiced sound and the amplitude of its second partial at every step."""
    n = len(control.pitch)
    sounding = control.level > -80
    pitch = control.pitch + singer.drift / 100 * _slow_noise(rng, n, 0.3)[:, 0]
    f0 = np.where(sounding, 440.0 * 2 ** ((pitch - 69) / 12), 100.0)
    n_partials = int(min(60, 7600 / max(np.percentile(f0[sounding], 20), 60.0)))
    orders = np.arange(1, n_partials + 1)
    frequencies = f0[:, np.newaxis] * orders
    width = 2 + max(3, round(singer.articulation * _RATE))
    smooth = np.hanning(width)[1:-1] / np.hanning(width).sum()
    vowels = scipy.signal.convolve(control.vowels, smooth[:, np.newaxis], mode="same")
    gain = _tract(frequencies, vowels, singer.tract) - singer.tilt * np.log2(orders)
    gain += singer.shimmer * _slow_noise(rng, n, 0.08, n_partials)
    gain += 2 * singer.shimmer * np.minimum(_slow_noise(rng, n, 0.4, n_partials), 0.5)
    for _ in range(rng.poisson(n / _RATE / 4)):  # a partial fades and comes back
        k, width = int(rng.integers(0, min(4, n_partials))), int(rng.uniform(0.05, 0.3) * _RATE)
        start = int(rng.integers(0, max(1, n - width)))
        gain[start : start + width, k] -= rng.uniform(4, 20) * np.hanning(width)[: n - start]
    muffle = np.convolve(control.muffle, np.full(3, 1 / 3), mode="same")
    gain -= muffle[:, np.newaxis] * 14 * np.maximum(orders - 1, 0) ** 0.5
    gain += np.maximum(control.level, -90)[:, np.newaxis]
    gain -= np.percentile(gain[sounding].max(axis=1), 90)
    amplitude = np.where(frequencies < 7600, 10 ** (gain / 20), 0.0)
    amplitude[~sounding] = 0.0
    ticks, places = np.arange(n), np.arange(n * _STEP) / _STEP
    phase = 2 * np.pi * np.cumsum(np.interp(places, ticks, f0)) / SR
    turn = np.exp(1j * phase)
    rotor, y = turn.copy(), np.zeros(n * _STEP)
    whole = np.minimum(places.astype(int), n - 2)
    part = places - whole
    for k in range(n_partials):
        column = amplitude[:, k]
        y += (column[whole] + part * (column[whole + 1] - column[whole])) * rotor.imag
        rotor *= turn
    # aspiration: noise under the same level and vowel, stronger where the voice begins and ends
    hiss = rng.standard_normal(len(y))
    hiss = scipy.signal.lfilter([1, -0.9], [1, -0.4], hiss)
    strength = 10 ** ((np.maximum(control.level, -90) * rng.uniform(0.4, 1.0) + singer.breath) / 20)
    strength[~sounding] = 0.0
    y += np.interp(places, ticks, strength) * hiss * 0.5
    return y, amplitude[:, 1]


def _unvoiced(rng: np.random.Generator, control: _Control, n: int) -> Array:
    """Return breaths, bursts and hisses."""
    out = np.zeros(n)
    for start, span, kind, level in control.noise:
        length = max(8, round(span * SR))
        noise = rng.standard_normal(length)
        low, high = {"breath": (300, 4000), "burst": (400, 6000), "hiss": (2500, 7500)}[kind]
        edges = [low * rng.uniform(0.6, 1.5), high]
        noise = scipy.signal.sosfilt(
            scipy.signal.butter(2, edges, "band", fs=SR, output="sos"), noise
        )
        if kind == "burst":
            noise *= np.exp(-np.arange(length) / (length / 3))
        else:
            noise *= np.sin(np.pi * np.linspace(0, 1, length)) ** 0.7
        first = max(0, round(start * SR))
        inside = noise[: max(0, n - first)]
        out[first : first + len(inside)] += 10 ** (level / 20) * 2 * inside
    return out


def _finish(rng: np.random.Generator, y: Array) -> Array:
    """Return the sound in a room, through a microphone, with noise."""
    if rng.uniform() < 0.7:
        decay = rng.uniform(0.08, 0.7)
        n = round(decay * SR)
        tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
        tail[: round(rng.uniform(0.002, 0.02) * SR)] = 0
        tail *= 10 ** (rng.uniform(-26, -8) / 20) / np.sqrt((tail**2).sum())
        tail[0] = 1.0
        y = scipy.signal.fftconvolve(y, tail)[: len(y)]
    corner = rng.uniform(40, 160)
    y = scipy.signal.sosfilt(scipy.signal.butter(1, corner, "high", fs=SR, output="sos"), y)
    if rng.uniform() < 0.5:
        corner = rng.uniform(3000, 7500)
        y = scipy.signal.sosfilt(scipy.signal.butter(2, corner, "low", fs=SR, output="sos"), y)
    tilt = rng.uniform(-0.4, 0.4)
    y = scipy.signal.lfilter([1, -tilt], [1], y)
    y = y / max(float(np.percentile(np.abs(y), 99.5)), 1e-6)
    noise = rng.standard_normal(len(y))
    if rng.uniform() < 0.5:
        noise = scipy.signal.lfilter([1], [1, -0.95], noise) * 0.3
    y = y + 10 ** (rng.uniform(-75, -32) / 20) * noise
    if rng.uniform() < 0.3:
        hum = 2 * np.pi * rng.choice([50.0, 60.0]) * np.arange(len(y)) / SR
        y = y + 10 ** (rng.uniform(-60, -35) / 20) * (np.sin(hum) + 0.5 * np.sin(3 * hum))
    return np.asarray(np.clip(y, -1.5, 1.5) * 10 ** (rng.uniform(-22, -1) / 20) / 1.5, np.float32)


def _label(control: _Control, second: Array) -> Array:
    """Return onset, offset and Hz of every note, as the second partial shows them.

    Onset and offset are where it passes 14 and 15 dB below its plateau, the onset a little later.
    Where it never falls that far between two notes, one ends and the next begins in the middle of
    the glide.
    """
    early, late = (
        np.convolve(second, window / window.sum(), mode="same")
        for window in (
            np.hanning(round(seconds * _RATE) + 2)[1:-1]
            for seconds in (_ONSET_WINDOW, _OFFSET_WINDOW)
        )
    )
    rows = []
    for k, (start, end, hertz) in enumerate(control.notes):
        first, last = round(start * _RATE), round(end * _RATE)
        inner = early[first : max(last, first + 2)]
        plateau = max(float(np.percentile(inner, 70)), 1e-9)
        peak = first + int(np.argmax(inner > 0.9 * plateau))
        before = round(control.notes[k - 1][0] * _RATE) if k else 0
        low = np.flatnonzero(early[before:peak] < plateau * 10 ** (_ONSET_DB / 20))
        dipped = len(low) > 0 and before + low[-1] > first - round(0.2 * _RATE)
        onset = before + low[-1] + 1 if dipped else first
        after = round(control.notes[k + 1][0] * _RATE) if k + 1 < len(control.notes) else len(late)
        faded = late[peak : after + 13] < plateau * 10 ** (_OFFSET_DB / 20)
        faded[: max(0, first + (last - first) // 2 - peak)] = False
        offset = peak + int(np.argmax(faded)) if faded.any() else after
        rows.append((onset / _RATE + _MARKED_LATER, offset / _RATE, hertz))
    table = np.array(rows)
    table[:-1, 1] = np.minimum(table[:-1, 1], table[1:, 0])
    return table[table[:, 1] > table[:, 0] + 0.03]


def synthesise_singing(rng: np.random.Generator, *, duration: float = 20.0) -> tuple[Array, Array]:
    """Return a recording of one singer and its notes.

    Parameters
    ----------
    rng : Generator
        Decides everything.
    duration : float
        Seconds, at least 3.

    Returns
    -------
    y : float32 array, shape (n_samples,)
        At 16000 Hz.
    notes : float64 array, shape (n_notes, 3)
        Onset and offset in seconds, and frequency in Hz.
    """
    singer = draw_singer(rng)
    control = _compose(rng, singer, duration)
    voice, second = _voice(rng, singer, control)
    y = _finish(rng, voice + _unvoiced(rng, control, len(voice)))
    return y, _label(control, second)
