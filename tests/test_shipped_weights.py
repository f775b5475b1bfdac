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

ARTIST, SAMPLECNN = "featx-artist:artist-joint", "featx-samplecnn:samplecnn"
#: Package, full name of the extractor, what file and card are called, and what asks for them.
SHIPPED: list[tuple[str, str, str, dict[str, str]]] = [
    ("featx_artist", ARTIST, "artist-joint", {}),
    ("featx_samplecnn", SAMPLECNN, "3^9", {}),
    ("featx_samplecnn", SAMPLECNN, "sr8000", {"model": "sr8000"}),
]
each_file = pytest.mark.parametrize(("package", "extractor", "stem", "settings"), SHIPPED)


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return (0.1 * rng.standard_normal(7 * SR)).astype(np.float32)


def folder(package: str) -> Path:
    return Path(str(files(package))) / "weights"


@each_file
def test_card_tells_of_these_weights(
    package: str, extractor: str, stem: str, settings: dict[str, str]
) -> None:
    card = json.loads((folder(package) / f"{stem}.json").read_text(encoding="utf-8"))
    path = folder(package) / f"{stem}.safetensors"
    assert card["results"]["sha256"] == file_sha256(path)
    assert card["extractor"] == extractor
    assert card["data"]["train_songs"] > 1000
    assert path.stat().st_size < 8e6
    assert "POP909" in card["data"]["origin"]
    assert card["data"]["origin"] in origin(path)


@each_file
def test_commands_tell_what_the_weights_learned_from(
    package: str, extractor: str, stem: str, settings: dict[str, str]
) -> None:
    told = origin(folder(package) / f"{stem}.safetensors")
    assert told
    asked = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    for words in (["info", extractor, *asked], ["weights", "list"]):
        output = CliRunner().invoke(main, words, catch_exceptions=False).output
        assert told in output


@each_file
def test_packaged_weights_run_unasked(
    package: str,
    extractor: str,
    stem: str,
    settings: dict[str, str],
    y: np.ndarray,
    recwarn: pytest.WarningsRecorder,
) -> None:
    path = folder(package) / f"{stem}.safetensors"
    with featx.open_extractor(extractor, params=settings) as trained:
        embedding = trained(y, SR)["embedding"]
    assert not [item for item in recwarn if item.category is UntrainedWarning]
    assert embedding.shape == (512,)
    assert np.isfinite(embedding).all()
    with featx.open_extractor(extractor, weights=path) as named:
        np.testing.assert_array_equal(named(y, SR)["embedding"], embedding)
    with pytest.warns(UntrainedWarning):
        untrained = featx.open_extractor(extractor, weights="untrained", params=settings)
    with untrained as random:
        other = random(y, SR)["embedding"]
    cosine = embedding @ other / np.sqrt((embedding @ embedding) * (other @ other))
    assert cosine < 0.9
