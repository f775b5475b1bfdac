"""Fixtures of these tests."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """A freshly seeded generator: the same numbers in every test and every run."""
    return np.random.default_rng(20_240_229)
