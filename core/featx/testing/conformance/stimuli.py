"""The signals that every extractor is run on, at its own rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx.testing.music import synthesise
from featx.testing.signals import chirp, click_train, noise, tone

if TYPE_CHECKING:
    from featx.types import FloatArray

#: Seconds of the longest standard signal.
LONGEST = 5.0

#: Pieces of music need this rate; below, noise stands in for them.
_MUSIC_SR = 8000


def standard(sr: int, *, min_duration: float = 0.0) -> dict[str, FloatArray]:
    """Return signals by name; none is shorter than ``min_duration`` seconds."""
    rng = np.random.default_rng(1)
    least = min_duration + 0.05

    def seconds(wish: float) -> float:
        return max(wish, least)

    top = 0.45 * sr
    out = {
        "tone": tone(min(440.0, top), duration=seconds(1.0), sr=sr),
        "chirp": chirp(min(50.0, top / 4), top, duration=seconds(2.0), sr=sr),
        "clicks": click_train(
            np.arange(0.1, seconds(2.0), 0.25).tolist(),
            duration=seconds(2.0),
            sr=sr,
            frequency=min(2000.0, top),
        ),
        "noise": noise(rng=rng, duration=seconds(0.7), sr=sr),
    }
    if sr >= _MUSIC_SR:
        out["music"] = synthesise(seed=11, duration=seconds(LONGEST), sr=sr).y
    else:
        out["music"] = noise(rng=rng, duration=seconds(LONGEST), sr=sr)
    return out


def crowd(sr: int, *, n: int, min_duration: float = 0.0) -> list[FloatArray]:
    """Return ``n`` short signals of different lengths and levels, for batches."""
    rng = np.random.default_rng(2)
    return [
        noise(
            rng=rng,
            duration=min_duration + 0.05 + float(rng.uniform(0.05, 0.6)),
            sr=sr,
            amplitude=float(10.0 ** rng.uniform(-3, -0.1)),
        )
        for _ in range(n)
    ]
