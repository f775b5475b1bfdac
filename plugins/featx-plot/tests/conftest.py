"""Fixtures of these tests."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_240_229)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list:
    """The figures that a command saves."""
    import featx_plot

    figures = []
    save = featx_plot.save

    def keep(figure, path, *, dpi):
        figures.append(figure)
        return save(figure, path, dpi=dpi)

    monkeypatch.setattr(featx_plot, "save", keep)
    return figures
