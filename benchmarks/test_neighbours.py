"""The counting behind the table of neighbours, on collections small enough to count by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "neighbours", Path(__file__).with_name("neighbours.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clips(bench: ModuleType) -> list:
    rows = [("a-0", "a", "Ada"), ("a-1", "a", "Ada"), ("b", "b", "Ada"), ("c", "c", "Bob")]
    return [bench.Clip(*row) for row in rows]


def unit(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_other_part_counts_clips_with_a_second_part(bench: ModuleType, clips: list) -> None:
    score = bench.other_part(clips, unit(0, 10, 15, 90))
    assert (score.hits, score.queries) == (1, 2)  # a-1 is nearer to b
    assert score.chance == pytest.approx(1 / 3)


def test_same_artist_leaves_the_own_recording_out(bench: ModuleType, clips: list) -> None:
    score = bench.same_artist(clips, unit(0, 10, 15, 13))
    # a-0 and a-1 are nearer to c than to b, b is nearer to c than to a; c has no other recording
    assert (score.hits, score.queries) == (0, 3)
    assert score.chance == pytest.approx((1 / 2 + 1 / 2 + 2 / 3) / 3)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(5, 10, 0.2366, 0.7634), (0, 10, 0.0, 0.2775), (1, 1, 0.2065, 1)]
)
def test_wilson_matches_tabled_intervals(
    bench: ModuleType, hits: int, n: int, low: float, high: float
) -> None:
    assert bench.wilson(hits, n) == pytest.approx((low, high), abs=1e-4)


def test_standardised_keeps_constant_dimensions_at_zero(bench: ModuleType) -> None:
    scaled = bench.standardised(np.array([[1, 7], [3, 7]], np.float32))
    np.testing.assert_allclose(scaled, [[-1, 0], [1, 0]])


def test_table_has_a_row_per_feature_and_scaling(bench: ModuleType, clips: list) -> None:
    lines = bench.table({"x": unit(0, 10, 15, 90)}, clips).splitlines()
    assert len(lines) == 2 + 2 + 1
    assert lines[2].startswith("| x | 2 | as stored | 1/2 = 0.50 (")
