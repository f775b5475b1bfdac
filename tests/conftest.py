"""Fixtures that every test file may use."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

SEED = 20_240_229


@pytest.fixture
def rng() -> np.random.Generator:
    """A freshly seeded generator: the same numbers in every test and every run."""
    return np.random.default_rng(SEED)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real recordings; without it the test is skipped, and fails under FEATX_CI=1."""
    value = os.environ.get("FEATX_TEST_DATA", "")
    if value and Path(value).is_dir():
        return Path(value)
    reason = (
        f"FEATX_TEST_DATA must name the folder of real recordings, got {value!r}. "
        "Set it to run the tests marked 'data'."
    )
    if os.environ.get("FEATX_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
