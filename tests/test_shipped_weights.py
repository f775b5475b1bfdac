"""Weights that come with a plugin: their cards, and that they are what runs by default."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import featx
from featx.cli import main
from featx.engine import UntrainedWarning
from featx.weights import file_sha256, origin

SR = 22050

#: Package, full name of the extractor, and what file and card are called.
SHIPPED = [
    ("featx_artist", "featx-artist:artist-joint", "artist-joint"),
    ("featx_samplecnn", "featx-samplecnn:samplecnn", "sr8000"),
]


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return (0.1 * rng.standard_normal(7 * SR)).astype(np.float32)


def folder(package: str) -> Path:
    return Path(str(files(package))) / "weights"


@pytest.mark.parametrize(("package", "extractor", "stem"), SHIPPED)
def test_card_tells_of_these_weights(package: str, extractor: str, stem: str) -> None:
    card = json.loads((folder(package) / f"{stem}.json").read_text(encoding="utf-8"))
    path = folder(package) / f"{stem}.safetensors"
    assert card["results"]["sha256"] == file_sha256(path)
    assert card["extractor"] == extractor
    assert card["data"]["train_songs"] > 1000
    assert path.stat().st_size < 8e6
    assert "POP909" in card["data"]["origin"]
    assert card["data"]["origin"] in origin(path)


@pytest.mark.parametrize(("package", "extractor", "stem"), SHIPPED)
def test_commands_tell_what_the_weights_learned_from(
    package: str, extractor: str, stem: str
) -> None:
    told = origin(folder(package) / f"{stem}.safetensors")
    for words in (["info", extractor], ["weights", "list"]):
        output = CliRunner().invoke(main, words, catch_exceptions=False).output
        assert told in output


@pytest.mark.parametrize(("package", "extractor", "stem"), SHIPPED)
def test_default_is_the_shipped_network(
    package: str, extractor: str, stem: str, y: np.ndarray, recwarn: pytest.WarningsRecorder
) -> None:
    with featx.load(extractor) as trained:
        embedding = trained(y, SR)["embedding"]
    assert not [item for item in recwarn if item.category is UntrainedWarning]
    assert embedding.shape == (512,)
    assert np.isfinite(embedding).all()
    with featx.load(extractor, weights=folder(package) / f"{stem}.safetensors") as named:
        np.testing.assert_array_equal(named(y, SR)["embedding"], embedding)
    with pytest.warns(UntrainedWarning), featx.load(extractor, weights="untrained") as random:
        other = random(y, SR)["embedding"]
    cosine = embedding @ other / np.sqrt((embedding @ embedding) * (other @ other))
    assert cosine < 0.9
