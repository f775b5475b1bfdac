"""Fixtures of these tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from featx_music_tagger.config import MODELS
from featx_music_tagger.convert import _layout


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_240_229)


@pytest.fixture
def published() -> Callable[[str], Path]:
    """The published weights; without them the test is skipped, and fails under FEATX_CI=1."""

    def find(model: str) -> Path:
        folder = Path(os.environ.get("FEATX_TEST_DATA", "/nowhere")) / "weights/music_tagger"
        path = folder / f"music_tagger_{model}_weights_tensorflow.h5"
        if path.is_file():
            return path
        reason = f"FEATX_TEST_DATA must hold the published weights, {path} does not exist."
        if os.environ.get("FEATX_CI") == "1":
            pytest.fail(reason)
        return pytest.skip(reason)

    return find


@pytest.fixture
def random_file(tmp_path: Path, rng: np.random.Generator) -> Callable[[str], Path]:
    """A file of the published layout with random arrays."""

    def write(model: str) -> Path:
        path = tmp_path / f"{model}.h5"
        with h5py.File(path, "w") as file:
            for name, shape in _layout(MODELS[model]):
                values = rng.normal(0, 0.1, shape)
                if name.endswith("running_std"):
                    values = rng.uniform(0.5, 1.5, shape)
                layer = name.rsplit("_", 2 if name.startswith(("gru", "bn")) else 1)[0]
                file[f"{layer}/{name}{'_1' if model == 'crnn' else ''}:0"] = values.astype("f4")
        return path

    return write
