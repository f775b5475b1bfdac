"""Windows, importing, refusals, and a run over a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import featx
from featx import Context, WeightsError
from featx.weights import convert
from featx_music_tagger import featx_extractors
from featx_music_tagger.config import (
    INPUT_MEAN,
    INPUT_STD,
    N_FRAMES,
    TAGS,
    MusicTaggerParams,
    resolve,
)
from featx_music_tagger.convert import keras_tagger
from featx_music_tagger.extractor import MusicTaggerExtractor, standardised

SR = 12000


def windows_of(S: np.ndarray, windows: str = "centre") -> np.ndarray:
    """Return what the network sees of a representation, without the standardisation."""
    params = MusicTaggerParams(windows=windows)
    extractor = MusicTaggerExtractor()
    extractor.context = Context(
        params=params, resolved=resolve(params, None), features=("embedding",)
    )
    extractor.batch_size = 1
    seen = []

    def forward(x: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append(standardised(x).numpy() * INPUT_STD + INPUT_MEAN)
        return {"embedding": torch.zeros(len(x), 256)}

    extractor.run(forward, S, extractor.segments, extractor.starts)
    return np.concatenate(seen)


def test_the_middle_is_taken(rng: np.random.Generator) -> None:
    S = rng.uniform(-30, 0, (N_FRAMES + 10, 96)).astype(np.float32)
    windows = windows_of(S)
    assert windows.shape == (1, N_FRAMES, 96)
    np.testing.assert_allclose(windows[0], 2 * S[5:-5], atol=1e-4)


def test_all_complete_windows_are_taken(rng: np.random.Generator) -> None:
    S = rng.uniform(-30, 0, (2 * N_FRAMES + 10, 96)).astype(np.float32)
    windows = windows_of(S, "all")
    np.testing.assert_allclose(windows.reshape(-1, 96), 2 * S[:-10], atol=1e-4)


def test_short_input_ends_in_silence(rng: np.random.Generator) -> None:
    S = rng.uniform(-10, 0, (100, 96)).astype(np.float32)
    (window,) = windows_of(S)
    np.testing.assert_allclose(window[:100], 2 * S, atol=1e-4)
    # 80 dB below the loudest value, as the published code cuts
    np.testing.assert_allclose(window[100:], 2 * S.max() - 80, atol=1e-4)


@pytest.mark.parametrize(("model", "dim"), [("cnn", 256), ("crnn", 32)])
def test_imported_weights_choose_the_model(
    model: str,
    dim: int,
    random_file: Callable[[str], Path],
    tmp_path: Path,
    rng: np.random.Generator,
) -> None:
    (spec,) = featx_extractors()
    assert spec.weights is not None
    path = tmp_path / "music-tagger.safetensors"
    convert(spec.weights, random_file(model), path, converter=keras_tagger)
    with featx.open_extractor("music-tagger", weights=path) as extractor:
        assert extractor.recipe.params["model"] == model
        found = extractor(rng.normal(0, 0.1, 3 * SR).astype(np.float32), SR)
    assert found["embedding"].shape == (dim,)
    assert found["tags"].shape == (50,)
    assert found.specs["tags"].column_names == TAGS
    assert 0 <= found["tags"].min() <= found["tags"].max() <= 1


def drop(file: h5py.File) -> None:
    del file["bn1/bn1_gamma:0"]


def add(file: h5py.File) -> None:
    file["conv6/conv6_W:0"] = np.zeros(3, np.float32)


def reshape(file: h5py.File) -> None:
    del file["output/output_W:0"]
    file["output/output_W:0"] = np.zeros((50, 256), np.float32)


def no_spread(file: h5py.File) -> None:
    file["bn2/bn2_running_std:0"][3] = 0.0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop, "lacks 'bn1_gamma'"),
        (add, "has the unknown array 'conv6_W'"),
        (reshape, r"output_W must be float32 of shape \(256, 50\)"),
        (no_spread, "bn2_running_std must be > 0"),
    ],
)
def test_another_file_is_refused(
    damage: Callable[[h5py.File], None], message: str, random_file: Callable[[str], Path]
) -> None:
    path = random_file("cnn")
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(WeightsError, match=message):
        keras_tagger(path)


def test_tags_are_fifty_and_distinct() -> None:
    assert len(set(TAGS)) == 50
