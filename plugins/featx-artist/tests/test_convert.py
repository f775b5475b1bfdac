"""The importer: layout, orientation of kernels, refusal of everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from featx import WeightsError
from featx_artist.config import SIAMESE, ArtistConfig
from featx_artist.convert import keras_siamese

LAYERS = [(4, 128, 128), (4, 128, 128), (4, 128, 128), (2, 128, 128), (1, 128, 256)]
FIRST = "model_weights/conv1d_1/conv1d_1"
NORM = "model_weights/batch_normalization_5/batch_normalization_5"


@pytest.fixture
def keras(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A file of the published layout with random arrays."""
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        file.create_group("optimizer_weights")
        root.create_group("input_1")
        for i, shape in enumerate(LAYERS, start=1):
            conv = root.create_group(f"conv1d_{i}/conv1d_{i}")
            conv["kernel:0"] = rng.normal(0, 0.05, shape).astype(np.float32)
            conv["bias:0"] = rng.normal(0, 0.1, shape[2]).astype(np.float32)
            norm = root.create_group(f"batch_normalization_{i}/batch_normalization_{i}")
            for name in ("gamma", "beta", "moving_mean", "moving_variance"):
                norm[f"{name}:0"] = rng.uniform(0.5, 1.0, shape[2]).astype(np.float32)
    return path


def test_kernels_are_transposed_and_not_flipped(keras: Path) -> None:
    tensors, _ = keras_siamese(keras)
    with h5py.File(keras) as file:
        kernel = file[f"{FIRST}/kernel:0"][()]
    assert tensors["layers.0.conv.weight"].shape == (128, 128, 4)
    for time in range(4):
        np.testing.assert_array_equal(tensors["layers.0.conv.weight"][:, :, time], kernel[time].T)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("gamma", "weight"),
        ("beta", "bias"),
        ("moving_mean", "running_mean"),
        ("moving_variance", "running_var"),
    ],
)
def test_normalisation_keeps_its_meaning(theirs: str, ours: str, keras: Path) -> None:
    tensors, _ = keras_siamese(keras)
    with h5py.File(keras) as file:
        np.testing.assert_array_equal(
            tensors[f"layers.4.bn.{ours}"], file[f"{NORM}/{theirs}:0"][()]
        )


def test_config_survives_json(keras: Path) -> None:
    _, config = keras_siamese(keras)
    plain = json.loads(json.dumps(config))
    assert ArtistConfig.from_json(plain["model"]) == SIAMESE
    assert plain["front_end"] == "fe-artist"


def drop_kernel(file: h5py.File) -> None:
    del file[f"{FIRST}/kernel:0"]


def drop_root(file: h5py.File) -> None:
    del file["model_weights"]


def other_shape(file: h5py.File) -> None:
    del file[f"{FIRST}/kernel:0"]
    file[f"{FIRST}/kernel:0"] = np.zeros((3, 128, 128), np.float32)


def other_type(file: h5py.File) -> None:
    del file[f"{FIRST}/bias:0"]
    file[f"{FIRST}/bias:0"] = np.zeros(128, np.int32)


def not_finite(file: h5py.File) -> None:
    file[f"{FIRST}/bias:0"][3] = np.nan


def negative_variance(file: h5py.File) -> None:
    file[f"{NORM}/moving_variance:0"][0] = -1.0


def other_head(file: h5py.File) -> None:
    file["model_weights/dense_1/dense_1/kernel:0"] = np.zeros((256, 50), np.float32)


def external_link(file: h5py.File) -> None:
    del file[f"{FIRST}/bias:0"]
    file[f"{FIRST}/bias:0"] = h5py.ExternalLink("/etc/hostname", "/x")


def soft_link(file: h5py.File) -> None:
    file.move("model_weights", "hidden")
    file["model_weights"] = h5py.SoftLink("/hidden")


def external_storage(file: h5py.File) -> None:
    del file[f"{FIRST}/bias:0"]
    file.create_dataset(f"{FIRST}/bias:0", (128,), np.float32, external=[("/etc/hostname", 0, 512)])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_kernel, "lacks 'conv1d_1/conv1d_1/kernel:0'"),
        (drop_root, "must hold arrays, got none"),
        (other_shape, r"kernel:0 must be float32 of shape \(4, 128, 128\), got float32 of"),
        (other_type, r"bias:0 must be float32 of shape \(128,\), got int32"),
        (not_finite, "bias:0 must be finite"),
        (negative_variance, "moving_variance:0 must be >= 0"),
        (other_head, "has the unknown array 'dense_1/dense_1/kernel:0'"),
        (external_link, "bias:0' is a link"),
        (soft_link, "'model_weights' is a link"),
        (external_storage, "is in other files"),
    ],
)
def test_another_file_is_refused(
    damage: Callable[[h5py.File], None], message: str, keras: Path
) -> None:
    with h5py.File(keras, "r+") as file:
        damage(file)
    with pytest.raises(WeightsError, match=message) as caught:
        keras_siamese(keras)
    assert str(keras) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not HDF5", b"\x89HDF\r\n\x1a\n"])
def test_a_file_that_is_not_hdf5_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="must be a sound HDF5 file"):
        keras_siamese(path)


@pytest.mark.data
def test_the_published_file_is_read_completely(keras_file: Path) -> None:
    tensors, _ = keras_siamese(keras_file)
    trainable = [value.size for key, value in tensors.items() if "running" not in key]
    assert sum(trainable) == 264_448
    assert len(tensors) == 30
