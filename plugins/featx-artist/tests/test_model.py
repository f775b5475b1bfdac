"""The trunk: shapes, padding, and the golden outputs of the published weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from featx import ParameterError
from featx.frontend import compute
from featx.neural import build, initial_tensors, load_tensors
from featx_artist.config import INPUT_MEAN, INPUT_STD, JOINT, SIAMESE, ArtistConfig
from featx_artist.convert import keras_siamese
from featx_artist.model import ArtistTrunk, Classifier

#: float32 against float64: moving variances reach 8e4, which costs digits.
RTOL = 1e-3

TIME, BAND = np.arange(129)[:, None], np.arange(128)[None]
SAMPLE = np.arange(66150)

ARRAYS = {
    "zeros": np.zeros((129, 128)),
    "silence": np.full((129, 128), -INPUT_MEAN / INPUT_STD),
    "waves": np.sin(0.1 * TIME) * np.cos(0.05 * BAND),
}
SIGNALS = {
    "tone": 0.5 * np.sin(2 * np.pi * 440 * SAMPLE / 22050),
    "impulses": (SAMPLE % 4410 == 0).astype(float),
}

# units above zero, sum, L2 norm, arg-max, maximum, some values
GOLDEN = {
    "zeros": (85, 445.81195, 61.63446, 61, 21.78905, {1: 7.10092, 5: 3.40243, 7: 12.89729,
                                                      18: 2.03189}),
    "silence": (113, 163.57032, 20.88430, 180, 6.60060, {3: 0.21786, 5: 2.55449, 24: 3.53951}),
    "waves": (90, 443.12301, 58.87741, 61, 16.68357, {1: 3.64762, 3: 0.9845, 7: 10.52255}),
    "tone": (105, 295.00896, 39.22579, 47, 12.06774, {}),
    "impulses": (79, 335.97298, 47.92587, 47, 16.55527, {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def trunk(keras_file: Path) -> ArtistTrunk:
    tensors, _ = keras_siamese(keras_file)
    return load_tensors(build(lambda: ArtistTrunk(SIAMESE)), tensors, name="artist-siamese")


def embed(trunk: ArtistTrunk, segment: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = trunk(torch.tensor(segment, dtype=torch.float32)[None])[0].numpy()
    return found


def assert_golden(found: np.ndarray, name: str) -> None:
    active, total, norm, peak, maximum, values = GOLDEN[name]
    assert int((found > 0).sum()) == active
    assert found.sum() == pytest.approx(total, rel=RTOL)
    assert np.linalg.norm(found) == pytest.approx(norm, rel=RTOL)
    assert int(found.argmax()) == peak
    assert found[peak] == pytest.approx(maximum, rel=RTOL)
    assert {i: found[i] for i in values} == pytest.approx(values, rel=RTOL)


@pytest.mark.data
@pytest.mark.parametrize("name", ARRAYS)
def test_golden_outputs_from_arrays(name: str, trunk: ArtistTrunk) -> None:
    assert_golden(embed(trunk, ARRAYS[name]), name)


@pytest.mark.data
@pytest.mark.parametrize("name", SIGNALS)
def test_golden_outputs_from_audio(name: str, trunk: ArtistTrunk) -> None:
    S = compute(SIGNALS[name].astype(np.float32), "fe-artist", sr=22050)
    assert_golden(embed(trunk, (S[:129] - INPUT_MEAN) / INPUT_STD), name)


@pytest.mark.data
def test_golden_outputs_notice_flipped_kernels(keras_file: Path) -> None:
    tensors, _ = keras_siamese(keras_file)
    flipped = {
        key: np.ascontiguousarray(value[..., ::-1]) if value.ndim == 3 else value
        for key, value in tensors.items()
    }
    other = load_tensors(build(lambda: ArtistTrunk(SIAMESE)), flipped, name="flipped")
    with pytest.raises(AssertionError):
        assert_golden(embed(other, ARRAYS["waves"]), "waves")


def test_trunk_has_the_tabled_parameters() -> None:
    model = build(lambda: ArtistTrunk(SIAMESE))
    assert sum(value.numel() for value in model.parameters()) == 264_448


def test_layers_have_the_tabled_frames() -> None:
    model = ArtistTrunk(SIAMESE).eval()
    x = torch.zeros(1, 128, 129)
    frames = []
    for layer in model.layers:
        x = layer(x)
        frames.append(x.shape[2])
    assert frames == [32, 8, 2, 1, 1]
    assert [layer.padding for layer in model.layers] == [(1, 2), (1, 2), (1, 2), (0, 1), (0, 0)]


def test_trunk_equals_a_plain_reading_of_the_table(rng: np.random.Generator) -> None:
    """Layer by layer with explicit frames in float64, normalisation at odd values."""
    model = ArtistTrunk(SIAMESE).eval()
    state = {
        key: rng.uniform(0.5, 1.5, value.shape) if value.ndim == 1 else value.double().numpy()
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    load_tensors(model, state, name="test")
    segment = rng.normal(size=(129, 128))
    x = segment
    for i, (kernel, pool) in enumerate(zip(SIAMESE.kernels, SIAMESE.pools, strict=True)):
        weight = state[f"layers.{i}.conv.weight"]
        left = (kernel - 1) // 2
        x = np.pad(x, ((left, kernel - 1 - left), (0, 0)))
        frames = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=0)  # (time, in, k)
        x = np.tensordot(frames, weight, axes=([1, 2], [1, 2])) + state[f"layers.{i}.conv.bias"]
        x = (x - state[f"layers.{i}.bn.running_mean"]) / np.sqrt(
            state[f"layers.{i}.bn.running_var"] + 1e-3
        )
        x = x * state[f"layers.{i}.bn.weight"] + state[f"layers.{i}.bn.bias"]
        x = np.maximum(x, 0)
        x = x[: len(x) // pool * pool].reshape(-1, pool, x.shape[1]).max(axis=1)
    np.testing.assert_allclose(embed(model, segment), x[0], rtol=1e-3, atol=1e-4)


def test_dropout_acts_in_training_only(rng: np.random.Generator) -> None:
    model = ArtistTrunk(ArtistConfig(dropout=0.99))
    x = torch.tensor(rng.normal(size=(16, 129, 128)).astype(np.float32))
    assert float((model(x) == 0).float().mean()) > 0.95
    model.eval()
    assert float((model(x) == 0).float().mean()) < 0.8


def test_joint_trunk_has_twice_the_filters() -> None:
    model = ArtistTrunk(JOINT).eval()
    assert [layer.conv.out_channels for layer in model.layers] == [256, 256, 256, 256, 512]
    assert model(torch.zeros(2, 129, 128)).shape == (2, 512)
    # kernels and biases, then gamma and beta, layer by layer
    convolutions = (4 * 128 * 256 + 256) + 2 * (4 * 256 * 256 + 256)
    convolutions += (2 * 256 * 256 + 256) + (256 * 512 + 512)
    expected = convolutions + 2 * (4 * 256 + 512)
    assert sum(value.numel() for value in model.parameters()) == expected == 922_112


@pytest.mark.parametrize("n_classes", [2, 500])
def test_classifier_puts_a_dense_head_on_the_trunk(n_classes: int) -> None:
    model = build(lambda: Classifier(SIAMESE, n_classes))
    assert sum(value.numel() for value in model.parameters()) == 264_448 + 257 * n_classes


def test_fresh_parameters_follow_the_generator_and_he() -> None:
    model = build(lambda: Classifier(SIAMESE, 3))
    one, two, other = (
        initial_tensors(model, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert all(np.array_equal(one[key], two[key]) for key in one)
    kernel = one["trunk.layers.0.conv.weight"]
    assert not np.array_equal(kernel, other["trunk.layers.0.conv.weight"])
    limit = (6 / (4 * 128)) ** 0.5
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    assert one["trunk.layers.0.bn.running_var"].min() == 1.0
    assert np.abs(one["head.bias"]).max() == 0.0


def test_config_survives_json() -> None:
    assert ArtistConfig.from_json(json.loads(json.dumps(SIAMESE.to_json()))) == SIAMESE


def test_config_refuses_lists_of_different_lengths() -> None:
    with pytest.raises(ParameterError, match="of one length"):
        ArtistConfig(filters=(128, 256))
