"""Tonal tension in the spiral array: distances of tones from one another and from the key.

Chew. "Towards a mathematical model of tonality". PhD thesis, MIT, 2000. Plomp, Levelt. "Tonal
consonance and critical bandwidth". JASA, 1965. What is made of them is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray, FloatArray

#: Fifths above the tonic, -5..6, of the pitch classes above it.
_FIFTHS = (7 * np.arange(12) + 5) % 12 - 5
#: Their places in the spiral array: this height makes fifths as near as major thirds.
PLACES = np.stack([np.sin(_FIFTHS * np.pi / 2), np.cos(_FIFTHS * np.pi / 2),
                   _FIFTHS * np.sqrt(2 / 15)], axis=1)  # fmt: skip
#: Centres of major and minor: means of tonic, dominant and subdominant triads, weighted.
KEY_CENTRES = np.array([
    np.tensordot((0.5, 0.3, 0.2), PLACES[[[0, t, 7], [7, 11, 2], [5, 5 + t, 0]]].mean(axis=1), 1)
    for t in (4, 3)
])  # fmt: skip
#: Share of the strongest that a pitch class must have to count, and most partials compared.
_AUDIBLE, _PARTIALS = 0.1, 20


def roughness(S: FloatArray, frequencies: DoubleArray) -> DoubleArray:
    """Return the beating of the highest peaks of spectra (n, n_bins), relative to their energy."""
    padded = np.pad(np.log(S + 1e-9), ((0, 0), (1, 1)), mode="edge")
    left, here, right = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    peaks = np.where((here > left) & (here >= right), S, 0.0)
    best = np.argsort(-peaks, axis=1)[:, :_PARTIALS]
    left, here, right, a = (np.take_along_axis(x, best, 1) for x in (left, here, right, peaks))
    shift = np.where(a > 0, 0.5 * (left - right) / np.minimum(left - 2 * here + right, -1e-9), 0.0)
    f = frequencies[best] * (frequencies[1] / frequencies[0]) ** shift
    d = np.abs(f[:, :, None] - f[:, None]) * 0.24
    d /= 0.021 * np.minimum(f[:, :, None], f[:, None]) + 19.0
    beating = a[:, :, None] * a[:, None] * (np.exp(-3.5 * d) - np.exp(-5.75 * d))
    return np.asarray(beating.sum(axis=(1, 2)) / np.maximum(2 * (a * a).sum(axis=1), 1e-12))


def tension(chroma: FloatArray, keys: AnyArray, S: FloatArray, bins: DoubleArray) -> FloatArray:
    """Return diameter, momentum, strain, roughness and total tension of every step.

    Parameters
    ----------
    chroma : float32 array, shape (n_steps, 12), >= 0
    keys : int array, shape (n_steps,)
        0..11 major, 12..23 minor, negative where there is none: such steps are zero.
    S, bins : float arrays, shape (n_steps, n_bins) and (n_bins,)
        Magnitudes, and their frequencies in Hz, which rise by equal ratios.
    """
    steps, turns = np.arange(len(chroma)), (np.arange(12) + keys[:, None] % 12) % 12
    now, before = (chroma[rows[:, None], turns] for rows in (steps, np.maximum(steps - 1, 0)))
    sounding = (keys >= 0) & now.any(axis=1)
    before = np.where(before.any(axis=1, keepdims=True), before, now)
    centre, last = (
        w @ PLACES / np.maximum(w.sum(axis=1, keepdims=True), 1e-9) for w in (now, before)
    )
    audible = now > _AUDIBLE * now.max(axis=1, keepdims=True)
    apart = np.linalg.norm(PLACES[:, None] - PLACES, axis=2)
    parts = np.stack([
        (audible[:, :, None] * audible[:, None] * apart).max(axis=(1, 2)),
        np.linalg.norm(centre - last, axis=1),
        np.linalg.norm(centre - KEY_CENTRES[keys // 12], axis=1),
        roughness(S, bins),
    ])  # fmt: skip
    loudness = np.log(S.mean(axis=1) + 1e-9)
    total = np.zeros(len(chroma))
    if sounding.any():
        x = np.vstack([parts, loudness])[:, sounding]
        deviation = np.maximum(x.std(axis=1, keepdims=True), 1e-9)
        total[sounding] = ((x - x.mean(axis=1, keepdims=True)) / deviation).mean(axis=0)
    total = np.convolve(total, (0.25, 0.5, 0.25))[1:-1]
    return np.asarray((np.vstack([parts, total]) * sounding).T, np.float32)
