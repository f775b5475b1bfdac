"""A module with the HEAR API becomes an extractor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featx
from featx import ParameterError
from featx.testing import check_extractor

SETTINGS = {"module": "fake_hear", "dim": 6}
SR = 16000


@pytest.fixture(autouse=True)
def fake_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def embedding(y: Any, **params: Any) -> np.ndarray:
    with featx.open_extractor("hear", params={**SETTINGS, **params}) as extractor:
        values: np.ndarray = extractor(y, SR)["embedding"]
        return values


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.5, 0.5, n).astype(np.float32)


def test_embedding_is_that_of_the_module() -> None:
    import fake_hear
    import torch

    y = noise(3 * SR)
    expected = fake_hear.get_scene_embeddings(torch.from_numpy(y)[None], fake_hear.load_model())
    np.testing.assert_allclose(embedding(y), expected.detach().numpy()[0], rtol=1e-6)


def test_long_recordings_are_the_mean_of_their_segments() -> None:
    y = noise(5 * SR)
    y[: 3 * SR] *= 0.1
    parts = np.array_split(y, 3)
    expected = np.average([embedding(p) for p in parts], axis=0, weights=[len(p) for p in parts])
    np.testing.assert_allclose(embedding(y, seconds=2.0), expected, rtol=1e-5)
    assert not np.allclose(embedding(y), expected, rtol=1e-2)


def test_short_recordings_are_filled_up() -> None:
    y = noise(100)
    np.testing.assert_allclose(embedding(y), embedding(np.pad(y, (0, SR - 100))), rtol=1e-6)


def test_weights_are_given_to_the_module(tmp_path: Path) -> None:
    path = tmp_path / "gain.txt"
    path.write_text("2.0")
    y = noise(SR)
    np.testing.assert_allclose(embedding(y, weights=str(path)), 2 * embedding(y), rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": ""}, "Add --set hear.module=NAME"),
        ({"module": "no_such_hear"}, "pip install no_such_hear"),
        ({"module": "json"}, "has no load_model and no get_scene_embeddings"),
        ({"sr": 22050}, "sr must be 16000.*Add --set hear.sr=16000"),
        ({"dim": 7}, "dim must be 6, the scene_embedding_size"),
    ],
)
def test_wrong_parameters_are_explained(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        featx.open_extractor("hear", params={**SETTINGS, **params})


@pytest.mark.slow
def test_extractor_conforms() -> None:
    check_extractor("featx-hear:hear", params=SETTINGS)
