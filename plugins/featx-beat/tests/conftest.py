"""Signals with known beats."""

from __future__ import annotations

import numpy as np
import pytest

SR = 22050


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_240_229)


@pytest.fixture
def strokes(rng):
    """Return a function that puts short bursts of noise at times in seconds."""

    def make(times, duration: float) -> np.ndarray:
        y = np.zeros(round(duration * SR), np.float32)
        n = np.arange(800)
        burst = (0.3 * np.exp(-n / 150) * rng.standard_normal(800)).astype(np.float32)
        for time in times:
            start = round(time * SR)
            y[start : start + 800] += burst[: len(y) - start]
        return y

    return make
