"""The reader of checkpoints, the conversion, and the network against the published graph."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from featx import WeightsError
from featx_musicnn.bundle import read_bundle
from featx_musicnn.config import (
    EMBEDDING,
    MIDDLE,
    N_FRAMES,
    TAGS,
    TEMPORAL,
    TEMPORAL_FRAMES,
    TIMBRAL,
    TIMBRAL_BANDS,
)
from featx_musicnn.convert import FOLDERS, wheel
from featx_musicnn.model import Musicnn

#: Float32 sums of some thousand products.
ATOL = 2e-5


def varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def bundle(arrays: Mapping[str, np.ndarray]) -> tuple[bytes, bytes]:
    """Index and data of a checkpoint, keys sharing their beginnings as in LevelDB."""
    data, entries, before = b"", b"", b""
    for name in sorted(arrays):
        values = arrays[name].astype("<f4")
        dims = b"".join(
            b"\x12" + varint(len(part)) + part
            for part in (b"\x08" + varint(size) for size in values.shape)
        )
        entry = b"\x08\x01\x12" + varint(len(dims)) + dims
        entry += b"\x20" + varint(len(data)) + b"\x28" + varint(values.nbytes) + b"\x35crc!"
        key = name.encode()
        shared = next((i for i, (a, b) in enumerate(zip(key, before)) if a != b), 0)  # noqa: B905
        entries += varint(shared) + varint(len(key) - shared) + varint(len(entry))
        entries += key[shared:] + entry
        data, before = data + values.tobytes(), key
    block = entries + struct.pack("<II", 0, 1)
    handle = varint(0) + varint(len(block))
    top = varint(0) + varint(1) + varint(len(handle)) + b"~" + handle + struct.pack("<II", 0, 1)
    table = block + b"\0crc!" + top + b"\0crc!"
    footer = varint(0) + varint(0) + varint(len(block) + 5) + varint(len(top))
    magic = struct.pack("<Q", 0xDB4775248B80FB57)
    return table + footer.ljust(40, b"\0") + magic, data


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Random arrays of the published shapes; some factors of normalisation are negative."""
    rng = np.random.default_rng(1)
    shapes = [(7, bands, 1, TIMBRAL) for bands in TIMBRAL_BANDS]
    shapes += [(frames, 1, 1, TEMPORAL) for frames in TEMPORAL_FRAMES]
    front = 2 * TIMBRAL + 3 * TEMPORAL
    shapes += [(7, n, 1, MIDDLE) for n in (front, MIDDLE, MIDDLE)]
    pooled = 2 * (front + 3 * MIDDLE)
    found: dict[str, np.ndarray] = {}
    for number, shape in enumerate(shapes):
        suffix = f"_{number}" if number else ""
        found[f"conv2d{suffix}/kernel"] = rng.normal(0, 1 / np.sqrt(np.prod(shape[:3])), shape)
        found[f"conv2d{suffix}/bias"] = rng.normal(0, 0.1, shape[3])
    for name, shape2 in (("dense", (pooled, EMBEDDING)), ("dense_1", (EMBEDDING, 50))):
        found[f"{name}/kernel"] = rng.normal(0, 1 / np.sqrt(shape2[0]), shape2)
        found[f"{name}/bias"] = rng.normal(0, 0.1, shape2[1])
    sizes = [1, *(shape[3] for shape in shapes), pooled, EMBEDDING]
    for number, size in enumerate(sizes):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        found[f"{name}/gamma"] = rng.normal(0, 1, size)
        found[f"{name}/beta"] = rng.normal(0, 0.1, size)
        found[f"{name}/moving_mean"] = rng.normal(0, 0.1, size)
        found[f"{name}/moving_variance"] = rng.uniform(0.5, 1.5, size)
    return {name: values.astype(np.float32) for name, values in found.items()}


@pytest.fixture(scope="module")
def published(arrays: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published layout, with random arrays."""
    path = tmp_path_factory.mktemp("wheel") / "musicnn.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for folder in FOLDERS.values():
            index, data = bundle(arrays)
            archive.writestr(f"{folder}/.index", index)
            archive.writestr(f"{folder}/.data-00000-of-00001", data)
    return path


def test_tensors_come_back_by_name(arrays: dict[str, np.ndarray]) -> None:
    read = read_bundle(*bundle(arrays))
    assert read.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(read[name], values)


@pytest.mark.parametrize("cut", [0, 40, 1000])
def test_a_cut_index_is_refused(arrays: dict[str, np.ndarray], cut: int) -> None:
    index, data = bundle(arrays)
    with pytest.raises(WeightsError):
        read_bundle(index[:cut], data)


def test_missing_data_are_refused(arrays: dict[str, np.ndarray]) -> None:
    index, data = bundle(arrays)
    with pytest.raises(WeightsError, match="in the one data file"):
        read_bundle(index, data[:-4])


def test_another_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.whl").write_bytes(b"no archive")
    with pytest.raises(WeightsError, match="must be the wheel of musicnn"):
        wheel(tmp_path / "other.whl")


def graph(arrays: dict[str, Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The published graph in float64: convolution, activation, normalisation, pooling, in turn."""

    def norm(values: np.ndarray, number: int) -> np.ndarray:
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        gamma, beta, mean, variance = (
            arrays[f"{name}/{part}"].astype(np.float64)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (values - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def conv(values: np.ndarray, number: int, before: int, after: int) -> np.ndarray:
        suffix = f"_{number}" if number else ""
        kernel = arrays[f"conv2d{suffix}/kernel"][:, :, 0].astype(np.float64)
        padded = np.pad(values, ((before, after), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2])
        sums = np.tensordot(windows, kernel, ((2, 3), (0, 1)))
        return norm(np.maximum(sums + arrays[f"conv2d{suffix}/bias"], 0), number + 1)

    x = norm(x[..., np.newaxis], 0)[..., 0]
    front = [conv(x, number, 3, 3).max(axis=1) for number in (0, 1)]
    for number, frames in enumerate(TEMPORAL_FRAMES, start=2):
        left = (frames - 1) // 2
        front.append(conv(x, number, left, frames - 1 - left).max(axis=1))
    layers = [np.concatenate(front, axis=1)]
    layers.append(conv(layers[0], 5, 3, 3)[:, 0])
    for number in (6, 7):
        layers.append(conv(layers[-1], number, 3, 3)[:, 0] + layers[-1])
    features = np.concatenate(layers, axis=1)
    pooled = np.stack([features.max(axis=0), features.mean(axis=0)], axis=1).ravel()
    hidden = norm(pooled, 9) @ arrays["dense/kernel"] + arrays["dense/bias"]
    embedding = norm(np.maximum(hidden, 0), 10)
    return embedding, embedding @ arrays["dense_1/kernel"] + arrays["dense_1/bias"]


def test_network_is_the_published_graph(arrays: dict[str, np.ndarray], published: Path) -> None:
    tensors, _ = wheel(published)
    network = Musicnn(len(TAGS["msd"]))
    prefix = "msd/"
    network.load_state_dict(
        {
            name.removeprefix(prefix): torch.from_numpy(values)
            for name, values in tensors.items()
            if name.startswith(prefix)
        }
    )
    x = np.random.default_rng(2).uniform(0, 4, (N_FRAMES, 96))
    with torch.no_grad():
        embedding, logits = network(torch.from_numpy(x.astype(np.float32))[np.newaxis])
    expected = graph(arrays, x)
    np.testing.assert_allclose(embedding[0].numpy(), expected[0], rtol=0, atol=ATOL)
    np.testing.assert_allclose(logits[0].numpy(), expected[1], rtol=0, atol=ATOL)
