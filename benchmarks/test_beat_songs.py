"""What of a teacher's beats is learned from."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def beat_songs(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("beat_songs")


N = 48
EVEN = 0.5 * np.arange(N)


def bars(length: int) -> np.ndarray:
    return np.arange(N) % length + 1


@pytest.mark.parametrize(("length", "kind"), [(3, "bars"), (4, "bars"), (2, "beats")])
def test_bars_of_three_and_four_are_taken(beat_songs: ModuleType, length: int, kind: str) -> None:
    assert beat_songs.certainty(EVEN, bars(length), np.full(N, 0.8)) == kind


def test_bars_that_change_leave_the_beats(beat_songs: ModuleType) -> None:
    positions = np.concatenate([bars(4)[:24], bars(3)[:24]])
    assert beat_songs.certainty(EVEN, positions, np.full(N, 0.8)) == "beats"


def test_weak_few_and_uneven_beats_are_left_out(beat_songs: ModuleType) -> None:
    rng = np.random.default_rng(0)
    uneven = np.cumsum(rng.uniform(0.3, 0.7, N))
    assert beat_songs.certainty(EVEN, bars(4), np.full(N, 0.4)) == "uncertain"
    few = beat_songs.LEAST_BEATS - 1
    assert beat_songs.certainty(EVEN[:few], bars(4)[:few], np.full(few, 0.8)) == "uncertain"
    assert beat_songs.certainty(uneven, bars(4), np.full(N, 0.8)) == "uncertain"
