"""What the weights of ``samplecnn`` that come with the package bring, and for which models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import featx
import featx_samplecnn
from featx.engine import UntrainedWarning
from featx.weights import file_sha256, origin

SR = 22050
FOLDER = Path(featx_samplecnn.__file__).parent / "weights"

#: Share of the nearest three of every clip of ESC-10 that are of its class; 0.41 before the
#: network learned from real sounds, 0.49 since.
NEAREST = 0.45


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return (0.1 * rng.standard_normal(7 * SR)).astype(np.float32)


def test_other_models_are_untrained_and_say_so(y: np.ndarray) -> None:
    told = r"UNTRAINED .*Trained weights ship for .*model=sr8000"
    with (
        pytest.warns(UntrainedWarning, match=told),
        featx.open_extractor("samplecnn", params={"model": "sr2000"}) as random,
    ):
        assert random(y, SR)["tags"].shape == (50,)


def test_labels_of_the_weights_name_the_tags(y: np.ndarray) -> None:
    with featx.open_extractor("samplecnn") as trained:
        tags = trained(y, SR)
    columns = tags.specs["tags"].column_names
    assert {"piano", "guitar", "drums", "techno"} <= set(columns)
    assert tags["tags"].shape == (50,)
    with featx.open_extractor("samplecnn", params={"model": "sr8000"}) as rendered:
        assert {"piano", "drums", "minor"} <= set(rendered(y, SR).specs["tags"].column_names)


def test_card_describes_these_weights() -> None:
    card = json.loads((FOLDER / "3^9.json").read_text(encoding="utf-8"))
    path = FOLDER / "3^9.safetensors"
    assert card["results"]["sha256"] == file_sha256(path)
    assert card["data"]["origin"] in origin(path)
    assert card["data"]["licences"]["CC-BY-SA-3.0"] > 0
    assert path.stat().st_size < 6e6
    assert not any(str(value).startswith("/") for value in card["params"]["teachers"])


def test_a_quieter_copy_is_the_same(y: np.ndarray) -> None:
    with featx.open_extractor("samplecnn") as trained:
        loud, quiet = trained(y, SR), trained(0.25 * y, SR)
    np.testing.assert_allclose(quiet["embedding"], loud["embedding"], atol=1e-5)


def test_sounds_are_near_sounds_of_their_class(clips: list[tuple[Path, str]]) -> None:
    with featx.open_extractor("samplecnn") as trained:
        x = np.stack([trained.file(path)["embedding"] for path, _ in clips])
    x = x - x.mean(axis=0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    scores = x @ x.T
    np.fill_diagonal(scores, -np.inf)
    labels = np.array([label for _, label in clips])
    nearest = labels[np.argsort(-scores, axis=1)[:, :3]]
    assert (nearest == labels[:, np.newaxis]).mean() >= NEAREST


def test_another_width_than_that_of_the_weights_is_refused() -> None:
    with pytest.raises(featx.WeightsError, match="or give --weights untrained"):
        featx.open_extractor("samplecnn", params={"widths": "code"})
