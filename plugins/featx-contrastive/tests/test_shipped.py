"""The weights that ship: their card, and what they know of real sounds."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile

import featx
from featx.weights import file_sha256, origin

FOLDER = Path(str(files("featx_contrastive"))) / "weights"


@pytest.fixture(scope="module")
def contrastive():
    """The extractor with the weights that ship."""
    with featx.open_extractor("contrastive") as extractor:
        yield extractor


def test_card_describes_these_weights():
    card = json.loads((FOLDER / "contrastive.json").read_text(encoding="utf-8"))
    path = FOLDER / "contrastive.safetensors"
    assert card["results"]["sha256"] == file_sha256(path)
    assert card["extractor"] == "featx-contrastive:contrastive"
    assert card["data"]["origin"] in origin(path)
    assert path.stat().st_size < 2.5e6
    assert not any(str(value).startswith("/") for value in card["params"]["teachers"])


def test_sounds_are_near_sounds_of_their_class(contrastive, clips):
    features = [contrastive.file(path) for path, _ in clips]
    for name, least in (("embedding", 0.5), ("similarity", 0.45)):
        x = np.stack([item[name] for item in features])
        x = x - x.mean(axis=0)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        scores = x @ x.T
        np.fill_diagonal(scores, -np.inf)
        labels = np.array([label for _, label in clips])
        assert (labels[scores.argmax(axis=1)] == labels).mean() >= least


def test_a_quieter_copy_is_the_same(contrastive, clips):
    path, _ = clips[0]
    y, sr = soundfile.read(path, dtype="float32")
    loud, quiet = contrastive(y, sr), contrastive(0.25 * y, sr)
    for name in ("embedding", "similarity", "tags"):
        np.testing.assert_allclose(quiet[name], loud[name], atol=2e-3)
