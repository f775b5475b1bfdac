"""The extractor under `featx.run` and `featx.open_extractor`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

import featx
from featx.engine import UntrainedWarning
from featx.neural import build, initial_tensors
from featx_samplecnn.catalogue import model_config
from featx_samplecnn.model import SampleCNN


@pytest.fixture
def music(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "music").mkdir()
    for name, seconds in (("long", 6), ("short", 1)):
        y = rng.normal(0, 0.1, seconds * 8000)
        sf.write(tmp_path / "music" / f"{name}.wav", y, 8000, subtype="FLOAT")
    return tmp_path / "music"


def test_run_without_weights_says_and_records_untrained(music: Path, tmp_path: Path) -> None:
    with pytest.warns(UntrainedWarning, match="UNTRAINED"):
        summary = featx.run(
            music, tmp_path / "store", extractors="samplecnn", params={"model": "sr2000"}, jobs=1
        )
    assert (summary.ok, summary.failed) == (2, 0)
    with pytest.warns(UntrainedWarning, match="UNTRAINED"):
        loaded = featx.open_extractor("samplecnn", params={"model": "sr2000"})
    with loaded, featx.open_store(tmp_path / "store") as store:
        assert store["samplecnn"].recipe.weights == "untrained:seed=0"
        alone = loaded.file(music / "long.wav")["embedding"]
        np.testing.assert_allclose(store["samplecnn"]["embedding"]["long.wav"], alone, atol=1e-5)


def test_saved_weights_are_used(music: Path, tmp_path: Path) -> None:
    config = model_config("sr2000")
    tensors = initial_tensors(build(lambda: SampleCNN(config)), torch.Generator().manual_seed(0))
    tensors["head.weight"] = -tensors["head.weight"]
    path = tmp_path / "weights.safetensors"
    featx.save_weights(path, tensors, {"model": config.to_json()})
    with pytest.warns(UntrainedWarning):
        untrained = featx.open_extractor("samplecnn", params={"model": "sr2000"})
    trained = featx.open_extractor("samplecnn", params={"model": "sr2000"}, weights=path)
    with untrained, trained:
        before = untrained.file(music / "long.wav")["tags"]
        after = trained.file(music / "long.wav")["tags"]
    # sigmoid(-x) = 1 - sigmoid(x), in every segment and so in their mean
    np.testing.assert_allclose(after, 1 - before, atol=1e-5)


@pytest.mark.parametrize("params", [{"depth": 9}, {"model": "3^7"}, {"segments": "many"}])
def test_weights_that_name_wrong_parameters_are_refused(
    params: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    featx.save_weights(path, {"x": np.zeros(3, np.float32)}, {"params": params})
    with pytest.raises(featx.WeightsError, match="must be made for parameters that 'samplecnn'"):
        featx.open_extractor("samplecnn", weights=path)


def test_settings_go_before_what_the_weights_say(tmp_path: Path) -> None:
    config = model_config("sr2000")
    drawn = initial_tensors(build(lambda: SampleCNN(config)), torch.Generator().manual_seed(0))
    path = tmp_path / "weights.safetensors"
    featx.save_weights(
        path,
        drawn,
        {"model": config.to_json(), "params": {"model": "sr2000", "segments": 3}},
    )
    with featx.open_extractor("samplecnn", weights=path) as told:
        assert told.recipe.params["segments"] == 3
    with featx.open_extractor("samplecnn", weights=path, params={"segments": 5}) as told:
        assert (told.recipe.params["segments"], told.sr) == (5, 2000)
