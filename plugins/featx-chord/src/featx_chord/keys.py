"""How well a chroma fits each of the 24 keys."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray

#: Seconds between two changes of key, and weight of the likeness to a key against them.
KEY_DURATION, SHARPNESS = 60.0, 20.0
#: A chroma is even where it deviates less than this share of its length from its mean: 0.05 to 0.2
#: in noise of any slope, 0.3 to 0.7 in music.
EVEN = 0.2

#: Weights of the pitch classes above the tonic in major and minor. pop: per cent of time.
#: krumhansl: Krumhansl, Kessler.
#: "Tracing the dynamic changes in perceived tonal organization". Psychological Review, 1982.
#: temperley: Temperley. "Music and probability". MIT Press, 2007, from the Kostka-Payne corpus.
PROFILES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "pop": (
        (21.24, 0.15, 12.57, 0.18, 14.61, 9.04, 0.31, 20.83, 0.52, 12.71, 0.53, 7.32),
        (20.69, 0.36, 9.10, 14.84, 0.71, 12.05, 0.56, 19.03, 7.15, 0.61, 13.23, 1.66),
    ),
    "krumhansl": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    "temperley": (
        (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
        (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330),
    ),
}


@functools.cache
def _keys(profile: str) -> DoubleArray:
    """Return the profiles of all keys, shape (24, 12), of mean 0 and length 1."""
    rows = np.array([np.roll(mode, tonic) for mode in PROFILES[profile] for tonic in range(12)])
    rows -= rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def key_scores(chroma: FloatArray, profile: str) -> FloatArray:
    """Return unnormalised log probabilities of no key and of the 24 keys.

    Parameters
    ----------
    chroma : float32 array, shape (n_frames, 12), >= 0
    profile : {'pop', 'krumhansl', 'temperley'}

    Returns
    -------
    float32 array, shape (n_frames, 25)
        `SHARPNESS` times the correlation of chroma and profile. No key comes first: it is certain
        where the chroma is zero or even, as that of noise is, and nearly impossible elsewhere.
    """
    x = chroma - chroma.mean(axis=1, keepdims=True, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    scores = SHARPNESS * (x / np.where(length > 0, length, 1.0)) @ _keys(profile).T
    even = length <= EVEN * np.linalg.norm(chroma, axis=1, keepdims=True)
    none = np.where(even, 2.0, -2.0) * SHARPNESS
    return np.asarray(np.concatenate([none, scores], axis=1), np.float32)


def windowed(chroma: FloatArray, n_frames: float, stride: int) -> FloatArray:
    """Return running means over ``n_frames`` frames, every ``stride``-th; shorter at the ends."""
    half = max(1, round(n_frames / 2))
    total = np.concatenate([np.zeros((1, 12)), np.cumsum(chroma, axis=0, dtype=np.float64)])
    centres = np.arange(0, len(chroma), stride)
    first, last = np.maximum(centres - half, 0), np.minimum(centres + half + 1, len(chroma))
    means = (total[last] - total[first]) / (last - first)[:, np.newaxis]
    return np.asarray(np.maximum(means, 0.0), np.float32)
