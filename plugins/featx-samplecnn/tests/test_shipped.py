"""The weights of ``samplecnn`` that come with the package, and their card."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.engine import UntrainedWarning
from featx.weights import file_sha256

FOLDER = Path(str(files("featx_samplecnn"))) / "weights"
SR = 22050


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return (0.1 * rng.standard_normal(7 * SR)).astype(np.float32)


def test_card_tells_of_these_weights() -> None:
    card = json.loads((FOLDER / "sr8000.json").read_text(encoding="utf-8"))
    path = FOLDER / "sr8000.safetensors"
    assert card["results"]["sha256"] == file_sha256(path)
    assert card["extractor"] == "featx-samplecnn:samplecnn"
    assert card["data"]["train_songs"] > 1000
    assert path.stat().st_size < 8e6


def test_default_is_the_shipped_network(y: np.ndarray, recwarn) -> None:
    with featx.load("featx-samplecnn:samplecnn") as trained:
        embedding = trained(y, SR)["embedding"]
    assert not [item for item in recwarn if item.category is UntrainedWarning]
    assert embedding.shape == (512,)
    assert np.isfinite(embedding).all()
    path = FOLDER / "sr8000.safetensors"
    with featx.load("samplecnn", weights=path) as named:
        np.testing.assert_array_equal(named(y, SR)["embedding"], embedding)
    with (
        pytest.warns(UntrainedWarning),
        featx.load("samplecnn", weights="untrained") as random,
    ):
        other = random(y, SR)["embedding"]
    cosine = embedding @ other / np.sqrt((embedding @ embedding) * (other @ other))
    assert cosine < 0.9


def test_other_models_are_untrained_and_say_so(y: np.ndarray) -> None:
    with pytest.warns(UntrainedWarning), featx.load("samplecnn", model="sr2000") as random:
        assert random(y, SR)["tags"].shape == (50,)


def test_labels_of_the_weights_name_the_tags(y: np.ndarray) -> None:
    with featx.load("samplecnn") as trained:
        tags = trained(y, SR)
    columns = tags.specs["tags"].columns
    assert {"piano", "guitar", "drums", "minor"} <= set(columns)
    assert tags["tags"].shape == (len(columns),)


def test_another_width_than_that_of_the_weights_is_refused() -> None:
    with pytest.raises(featx.WeightsError, match="or give --weights untrained"):
        featx.load("samplecnn", widths="code")
