"""The converted networks against numpy in float64, straight from the arrays of the Keras files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from featx.neural import build, load_tensors
from featx_music_tagger.config import MODELS
from featx_music_tagger.convert import keras_tagger
from featx_music_tagger.model import KerasGRU, MusicTagger

#: float32 over five layers of up to 1728 products, and normalisation folded into them
LOGIT = 2e-3


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """Every array by the last part of its name, float64; read here without featx."""
    found = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            key = name.rsplit("/", maxsplit=1)[-1].replace(":0", "").removesuffix("_1")
            found[key] = item[()].astype(np.float64)

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def normalise(x: np.ndarray, W: dict[str, np.ndarray], name: str, axis: int) -> np.ndarray:
    shape = [1] * x.ndim
    shape[axis] = -1
    gamma, beta, mean, std = (
        W[f"{name}_{kind}"].reshape(shape)
        for kind in ("gamma", "beta", "running_mean", "running_std")
    )
    return (x - mean) / std * gamma + beta


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3 x 3, zeros around, no flip: (in, rows, columns) -> (out, rows, columns)."""
    _, rows, columns = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(kernel), rows, columns)) + bias[:, None, None]
    for i in range(3):
        for j in range(3):
            part = padded[:, i : i + rows, j : j + columns]
            out += np.tensordot(kernel[:, :, i, j], part, axes=1)
    return out


def pool(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    a, b = size
    channels, rows, columns = x.shape
    cut = x[:, : rows // a * a, : columns // b * b]
    return cut.reshape(channels, rows // a, a, columns // b, b).max(axis=(2, 4))


def gru(x: np.ndarray, W: dict[str, np.ndarray], name: str) -> np.ndarray:
    h = np.zeros(W[f"{name}_b_z"].shape)
    states = []
    for now in x:
        z, r = (
            np.clip(
                0.2
                * (now @ W[f"{name}_W_{gate}"] + W[f"{name}_b_{gate}"] + h @ W[f"{name}_U_{gate}"])
                + 0.5,
                0,
                1,
            )
            for gate in ("z", "r")
        )
        new = np.tanh(now @ W[f"{name}_W_h"] + W[f"{name}_b_h"] + (r * h) @ W[f"{name}_U_h"])
        h = z * h + (1 - z) * new
        states.append(h)
    return np.array(states)


def forward(x: np.ndarray, W: dict[str, np.ndarray], model: str) -> np.ndarray:
    """Logits of one window (time, band), as the published code lays the layers out."""
    x = x.T[None]  # (1, band, time)
    if model == "crnn":
        x = np.pad(x, ((0, 0), (0, 0), (37, 37)))
    x = normalise(x, W, "bn_0_freq", 2)
    pools = {
        "cnn": [(2, 4), (2, 4), (2, 4), (3, 5), (4, 4)],
        "crnn": [(2, 2), (3, 3), (4, 4), (4, 4)],
    }[model]
    for i, size in enumerate(pools, start=1):
        x = normalise(convolve(x, W[f"conv{i}_W"], W[f"conv{i}_b"]), W, f"bn{i}", 0)
        x = pool(np.where(x > 0, x, np.expm1(np.minimum(x, 0))), size)
    if model == "cnn":
        flat = x.reshape(-1)
    else:
        flat = gru(gru(x.transpose(2, 0, 1).reshape(15, 128), W, "gru1"), W, "gru2")[-1]
    return flat @ W["output_W"] + W["output_b"]


def converted(path: Path, model: str) -> MusicTagger:
    tensors, config = keras_tagger(path)
    assert config["params"] == {"model": model}
    return load_tensors(build(lambda: MusicTagger(MODELS[model])), tensors, name="test")


def agree(path: Path, model: str, rng: np.random.Generator) -> None:
    # slopes as well as noise: a frame or a band in the wrong place must show
    x = rng.normal(0, 0.5, (1366, 96)) + np.linspace(-1, 1, 1366)[:, None] - np.linspace(0, 1, 96)
    expected = forward(x, arrays_of(path), model)
    with torch.inference_mode():
        found = converted(path, model)(torch.from_numpy(x[None].astype(np.float32)))[0].numpy()
    np.testing.assert_allclose(found, expected, atol=LOGIT * np.abs(expected).max())


@pytest.mark.parametrize("model", MODELS)
def test_random_weights_give_what_numpy_gives(
    model: str, random_file: Callable[[str], Path], rng: np.random.Generator
) -> None:
    agree(random_file(model), model, rng)


@pytest.mark.data
@pytest.mark.parametrize("model", MODELS)
def test_published_weights_give_what_numpy_gives(
    model: str, published: Callable[[str], Path], rng: np.random.Generator
) -> None:
    agree(published(model), model, rng)


@pytest.mark.data
@pytest.mark.parametrize(("model", "parameters"), [("cnn", 870_154), ("crnn", 400_562)])
def test_published_files_have_the_known_size(
    model: str, parameters: int, published: Callable[[str], Path]
) -> None:
    arrays = arrays_of(published(model))
    assert sum(values.size for values in arrays.values()) == parameters


@pytest.mark.data
def test_stored_spread_is_a_standard_deviation(published: Callable[[str], Path]) -> None:
    """Frames that are always zero have sqrt(0 + 1e-6)."""
    std = arrays_of(published("crnn"))["bn_0_freq_running_std"]
    np.testing.assert_allclose(np.r_[std[:37], std[-37:]], 1e-3, rtol=1e-4)


def test_recurrent_unit_stays_where_it_is_under_a_full_update_gate() -> None:
    layer = KerasGRU(2, 3)
    with torch.no_grad():
        for value in layer.parameters():
            value.zero_()
        layer.inputs.bias[:3] = 2.5  # 0.2 * 2.5 + 0.5 = 1: keep all
        layer.inputs.bias[6:] = 1.0
        assert torch.equal(layer(torch.zeros(1, 4, 2)), torch.zeros(1, 4, 3))
        layer.inputs.bias[:3] = -2.5  # 0: take the candidate
        states = layer(torch.zeros(1, 4, 2))
    torch.testing.assert_close(states, torch.full((1, 4, 3), float(np.tanh(1.0))))
