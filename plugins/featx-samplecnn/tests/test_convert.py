"""Importers: every layout against a forward pass in numpy, float64, in the names of the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import featx
from featx import WeightsError
from featx.neural import load_tensors
from featx.weights import convert
from featx_samplecnn import featx_extractors
from featx_samplecnn.catalogue import MODELS
from featx_samplecnn.config import config_from_json
from featx_samplecnn.convert import checkpoint
from featx_samplecnn.networks import make_network

#: float32 over up to 21 layers of up to 1536 products, relative to the largest logit
ROUNDING = 1e-4

Arrays = dict[str, np.ndarray]


# ------------------------------------------------------------------ float64, in plain numpy
def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int, pad: int):  # type: ignore[no-untyped-def]
    """(in, time) with a kernel (out, in, taps) and zeros on both sides -> (out, time')."""
    x = np.pad(x, ((0, 0), (pad, pad)))
    taps = kernel.shape[2]
    n = (x.shape[1] - taps) // stride + 1
    out = np.zeros((len(kernel), n)) + bias[:, None]
    for tap in range(taps):
        out += kernel[:, :, tap] @ x[:, tap : tap + stride * (n - 1) + 1 : stride]
    return out


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def pool(x: np.ndarray, size: int) -> np.ndarray:
    n = x.shape[1] // size
    return x[:, : n * size].reshape(len(x), n, size).max(axis=2)


# ------------------------------------------------------- minzwon/sota-music-tagging-models
def bn_arrays(rng: np.random.Generator, n: int) -> Iterator[tuple[str, np.ndarray]]:
    yield "weight", rng.uniform(0.8, 1.2, n)
    yield "bias", rng.normal(0, 0.1, n)
    yield "running_mean", rng.normal(0, 0.1, n)
    yield "running_var", rng.uniform(0.5, 1.5, n)


def he(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)


WIDTHS = [(1, 128), (128, 128), (128, 128), (128, 256), *[(256, 256)] * 5, (256, 512), (512, 512)]


def sota_arrays(rng: np.random.Generator, *, se: bool) -> Arrays:
    found: Arrays = {}

    def convolution(layer: str, conv: str, bn: str, n_in: int, n_out: int, taps: int) -> None:
        found[f"{layer}.{conv}.weight"] = he(rng, n_out, n_in, taps)
        found[f"{layer}.{conv}.bias"] = rng.normal(0, 0.1, n_out)
        for part, values in bn_arrays(rng, n_out):
            found[f"{layer}.{bn}.{part}"] = values

    def dense(name: str, n_in: int, n_out: int) -> None:
        found[f"{name}.weight"] = he(rng, n_out, n_in)
        found[f"{name}.bias"] = rng.normal(0, 0.1, n_out)

    for i, (n_in, n_out) in enumerate(WIDTHS, start=1):
        layer, taps = f"layer{i}", 1 if i == 11 else 3
        if not se:
            convolution(layer, "conv", "bn", n_in, n_out, taps)
            continue
        convolution(layer, "conv_1", "bn_1", n_in, n_out, taps)
        convolution(layer, "conv_2", "bn_2", n_out, n_out, taps)
        if i in (1, 4, 10):
            convolution(layer, "conv_3", "bn_3", n_in, n_out, taps)
        dense(f"{layer}.dense1", n_out, n_out)
        dense(f"{layer}.dense2", n_out, n_out)
    if se:
        dense("dense1", 512, 512)
        for part, values in bn_arrays(rng, 512):
            found[f"bn.{part}"] = values
        dense("dense2", 512, 50)
    else:
        dense("dense", 512, 50)
    return {name: values.astype(np.float32) for name, values in found.items()}


def sota_forward(y: np.ndarray, arrays: Arrays, *, se: bool) -> np.ndarray:
    """Logits of one input, layer by layer as samplecnn.md section 3 names them."""
    A = {name: values.astype(np.float64) for name, values in arrays.items()}

    def bn(x: np.ndarray, name: str) -> np.ndarray:
        scale = A[f"{name}.weight"] / np.sqrt(A[f"{name}.running_var"] + 1e-5)
        shift = A[f"{name}.bias"] - A[f"{name}.running_mean"] * scale
        return x * scale.reshape(-1, *[1] * (x.ndim - 1)) + shift.reshape(-1, *[1] * (x.ndim - 1))

    def conv(x: np.ndarray, name: str, stride: int) -> np.ndarray:
        kernel = A[f"{name}.weight"]
        return convolve(x, kernel, A[f"{name}.bias"], stride, kernel.shape[2] // 2)

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return A[f"{name}.weight"] @ x + A[f"{name}.bias"]

    x = y[None]
    for i in range(1, 12):
        layer, stride, size = f"layer{i}", 3 if i == 1 else 1, 1 if i in (1, 11) else 3
        if not se:
            x = pool(relu(bn(conv(x, f"{layer}.conv", stride), f"{layer}.bn")), size)
            continue
        out = relu(bn(conv(x, f"{layer}.conv_1", stride), f"{layer}.bn_1"))
        out = bn(conv(out, f"{layer}.conv_2", 1), f"{layer}.bn_2")
        gate = relu(dense(out.mean(axis=1), f"{layer}.dense1"))
        out = out * sigmoid(dense(gate, f"{layer}.dense2"))[:, None]
        if i in (1, 4, 10):
            x = bn(conv(x, f"{layer}.conv_3", stride), f"{layer}.bn_3")
        x = pool(relu(x + out), size)
    assert x.shape == (512, 1)
    if not se:
        return dense(x[:, 0], "dense")
    return dense(relu(bn(dense(x[:, 0], "dense1"), "bn")), "dense2")


@pytest.fixture
def sota_file(tmp_path: Path, rng: np.random.Generator) -> Callable[..., tuple[Path, Arrays]]:
    def write(*, se: bool, nested: bool = False) -> tuple[Path, Arrays]:
        arrays = sota_arrays(rng, se=se)
        state: dict[str, Any] = {name: torch.from_numpy(v) for name, v in arrays.items()}
        bn = "layer1.bn_1" if se else "layer1.bn"
        state[f"{bn}.num_batches_tracked"] = torch.tensor(1000)
        path = tmp_path / "best_model.pth"
        torch.save({"state_dict": state, "epoch": 3} if nested else state, path)
        return path, arrays

    return write


def logits(path: Path, y: np.ndarray) -> np.ndarray:
    tensors, config = checkpoint(path)
    network = load_tensors(make_network(config_from_json(config["model"])), tensors, name="test")
    with torch.inference_mode():
        found: np.ndarray = network(torch.from_numpy(y[None].astype(np.float32)))[0].numpy()
    return found


def agree(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())


@pytest.mark.parametrize("se", [False, True])
def test_sota_checkpoint_gives_what_numpy_gives(
    se: bool, sota_file: Callable[..., tuple[Path, Arrays]], rng: np.random.Generator
) -> None:
    path, arrays = sota_file(se=se)
    y = rng.normal(0, 0.3, 59049)
    agree(logits(path, y), sota_forward(y, arrays, se=se))


def test_sota_checkpoint_is_evaluated_as_published(
    sota_file: Callable[..., tuple[Path, Arrays]], tmp_path: Path, rng: np.random.Generator
) -> None:
    """Sixteen chunks at 16 kHz, hop (N - 59049) // 16, mean of the probabilities."""
    path, _ = sota_file(se=False, nested=True)
    (spec,) = [item for item in featx_extractors() if item.name == "samplecnn"]
    assert spec.weights is not None
    ours = tmp_path / "samplecnn.safetensors"
    convert(spec.weights, path, ours, converter=checkpoint)
    y = rng.normal(0, 0.3, 59049 + 333).astype(np.float32)
    with featx.open_extractor("samplecnn", weights=ours) as extractor:
        assert extractor.sr == 16000
        found = extractor(y, 16000)["tags"]
    hop = 333 // 16
    chunks = [sigmoid(logits(path, y[i * hop : i * hop + 59049])) for i in range(16)]
    np.testing.assert_allclose(found, np.mean(chunks, axis=0), atol=ROUNDING)


# --------------------------------------------------------------------- tae-jun/resemul
def keras_layers(rng: np.random.Generator, block: str, multi: bool) -> list[tuple[str, list]]:  # type: ignore[type-arg]
    """Layers with weights in the order in which the published function makes them."""

    def conv(n_in: int, n_out: int, taps: int) -> tuple[str, list]:  # type: ignore[type-arg]
        return "conv1d", [he(rng, n_out, n_in, taps).transpose(2, 1, 0), rng.normal(0, 0.1, n_out)]

    def bn(n: int) -> tuple[str, list]:  # type: ignore[type-arg]
        return "batch_normalization", [values for _, values in bn_arrays(rng, n)]

    def dense(n_in: int, n_out: int) -> tuple[str, list]:  # type: ignore[type-arg]
        return "dense", [he(rng, n_out, n_in).T, rng.normal(0, 0.1, n_out)]

    layers = [conv(1, 128, 3), bn(128)]
    width = 128
    for channels in (128, 128, *[256] * 6, 512):
        if block in ("res", "rese"):
            if channels != width:
                layers += [conv(width, channels, 1), bn(channels)]
            layers += [conv(width, channels, 3), bn(channels)]
            layers += [conv(channels, channels, 3), bn(channels)]
        else:
            layers += [conv(width, channels, 3), bn(channels)]
        if block in ("se", "rese"):
            layers += [dense(channels, 16 * channels), dense(16 * channels, channels)]
        width = channels
    width = 1024 if multi else 512
    layers += [dense(width, width), bn(width), dense(width, 50)]
    return [(kind, [values.astype(np.float32) for values in arrays]) for kind, arrays in layers]


PARTS = {
    "conv1d": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}


def write_keras(path: Path, layers: list[tuple[str, list]], first: int = 1) -> None:  # type: ignore[type-arg]
    """Number the layers of a kind from ``first``, as a session that has made others does."""
    numbers = dict.fromkeys(PARTS, first)
    with h5py.File(path, "w") as file:
        for kind, arrays in layers:
            name = f"{kind}_{numbers[kind]}"
            numbers[kind] += 1
            for part, values in zip(PARTS[kind], arrays, strict=True):
                file[f"{name}/{name}/{part}:0"] = values


def keras_forward(y: np.ndarray, layers: list, block: str, multi: bool) -> np.ndarray:  # type: ignore[type-arg]
    """Logits of one input, time first as Keras has it, taking the layers one by one."""
    left = iter([(k, [v.astype(np.float64) for v in arrays]) for k, arrays in layers])

    def take(kind: str) -> list[np.ndarray]:
        found, arrays = next(left)
        assert found == kind
        return arrays

    def conv(x: np.ndarray, stride: int = 1, same: bool = True) -> np.ndarray:
        kernel, bias = take("conv1d")
        pad = len(kernel) // 2 if same else 0
        return convolve(x.T, kernel.transpose(2, 1, 0), bias, stride, pad).T

    def bn(x: np.ndarray) -> np.ndarray:
        gamma, beta, mean, variance = take("batch_normalization")
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def dense(x: np.ndarray) -> np.ndarray:
        kernel, bias = take("dense")
        return x @ kernel + bias

    def gate(x: np.ndarray) -> np.ndarray:
        return x * sigmoid(dense(relu(dense(x.mean(axis=0)))))

    x = relu(bn(conv(y[:, None], 3, same=False)))
    outputs = []
    for channels in (128, 128, *[256] * 6, 512):
        if block in ("res", "rese"):
            kept = x if channels == x.shape[1] else bn(conv(x))
            x = bn(conv(relu(bn(conv(x)))))
            x = pool(relu(kept + (gate(x) if block == "rese" else x)).T, 3).T
        else:
            x = pool(relu(bn(conv(x))).T, 3).T
            x = gate(x) if block == "se" else x
        outputs.append(x.max(axis=0))
    flat = np.concatenate(outputs[-3:]) if multi else outputs[-1]
    return dense(relu(bn(dense(flat))))


@pytest.mark.parametrize(
    ("name", "block", "multi", "first"),
    [
        ("basic-multi", "basic", True, 1),
        ("se-multi", "se", True, 1),
        ("res-2", "res", False, 7),  # numbers with one and with two digits
        ("rese-2-multi", "rese", True, 95),
    ],
)
def test_resemul_weights_give_what_numpy_gives(
    name: str, block: str, multi: bool, first: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    layers = keras_layers(rng, block, multi)
    path = tmp_path / "weights.hdf5"
    write_keras(path, layers, first)
    _, config = checkpoint(path)
    assert config["params"] == {"model": name}
    assert config["model"] == MODELS[name].to_json()
    y = rng.normal(0, 0.3, 59049)
    agree(logits(path, y), keras_forward(y, layers, block, multi))


# --------------------------------------------------------------------------- refusals, ours
def test_another_torch_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"is not the model .sota.: it lacks .dense\.bias."):
        checkpoint(path)


def test_a_surplus_tensor_is_refused(sota_file: Callable[..., tuple[Path, Arrays]]) -> None:
    path, arrays = sota_file(se=False)
    state = {name: torch.from_numpy(values) for name, values in arrays.items()}
    torch.save({**state, "spec.window": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"has the unknown tensor .spec\.window."):
        checkpoint(path)


def test_another_width_is_refused(sota_file: Callable[..., tuple[Path, Arrays]]) -> None:
    path, arrays = sota_file(se=False)
    state = {name: torch.from_numpy(values) for name, values in arrays.items()}
    torch.save({**state, "dense.weight": torch.zeros(50, 64)}, path)
    with pytest.raises(WeightsError, match=r"head.weight must have shape \(50, 512\)"):
        checkpoint(path)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([("dense", [np.zeros((3, 3), "f4"), np.zeros(3, "f4")])], "1 dense layers"),
        ([("gru", [np.zeros((3, 3), "f4")])], "it has 'gru_1/gru_1/kernel:0'"),
    ],
)
def test_another_keras_file_is_refused(layers: list, message: str, tmp_path: Path) -> None:  # type: ignore[type-arg]
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        for kind, arrays in layers:
            for part, values in zip(("kernel", "bias"), arrays, strict=False):
                file[f"{kind}_1/{kind}_1/{part}:0"] = values
    with pytest.raises(WeightsError, match=message):
        checkpoint(path)


def test_our_own_files_pass_through(tmp_path: Path, rng: np.random.Generator) -> None:
    network = make_network(MODELS["sr2000"])
    tensors = {
        key: rng.normal(size=tuple(value.shape)).astype(np.float32)
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    config = {"model": MODELS["sr2000"].to_json(), "params": {"model": "sr2000"}}
    path = tmp_path / "samplecnn.safetensors"
    featx.save_weights(path, tensors, config)
    found, told = checkpoint(path)
    assert told == config
    np.testing.assert_array_equal(found["head.bias"], tensors["head.bias"])
    featx.save_weights(path, tensors, {})
    with pytest.raises(WeightsError, match="must hold the configuration"):
        checkpoint(path)
