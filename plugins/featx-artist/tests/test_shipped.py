"""The weights of ``artist-joint`` that come with the package, and their card."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.engine import UntrainedWarning
from featx.weights import file_sha256

FOLDER = Path(str(files("featx_artist"))) / "weights"
SR = 22050


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return (0.1 * rng.standard_normal(7 * SR)).astype(np.float32)


def test_card_tells_of_these_weights() -> None:
    card = json.loads((FOLDER / "artist-joint.json").read_text(encoding="utf-8"))
    path = FOLDER / "artist-joint.safetensors"
    assert card["results"]["sha256"] == file_sha256(path)
    assert card["extractor"] == "featx-artist:artist-joint"
    assert card["data"]["train_songs"] > 1000
    assert path.stat().st_size < 8e6


def test_default_is_the_shipped_network(y: np.ndarray, recwarn) -> None:
    with featx.load("featx-artist:artist-joint") as trained:
        embedding = trained(y, SR)["embedding"]
    assert not [item for item in recwarn if item.category is UntrainedWarning]
    assert embedding.shape == (512,)
    assert np.isfinite(embedding).all()
    path = FOLDER / "artist-joint.safetensors"
    with featx.load("artist-joint", weights=path) as named:
        np.testing.assert_array_equal(named(y, SR)["embedding"], embedding)
    with (
        pytest.warns(UntrainedWarning),
        featx.load("artist-joint", weights="untrained") as random,
    ):
        other = random(y, SR)["embedding"]
    cosine = embedding @ other / np.sqrt((embedding @ embedding) * (other @ other))
    assert cosine < 0.9
