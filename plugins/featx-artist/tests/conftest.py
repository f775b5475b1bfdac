"""Fixtures of these tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_240_229)


@pytest.fixture(scope="session")
def keras_file() -> Path:
    """The published weights; without them the test is skipped, and fails under FEATX_CI=1."""
    folder = Path(os.environ.get("FEATX_TEST_DATA", "/nowhere"))
    path = folder / "weights/ismir2018_artist_siamese/model_siamese_10000.h5"
    if path.is_file():
        return path
    reason = f"FEATX_TEST_DATA must hold the published weights, {path} does not exist."
    if os.environ.get("FEATX_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
