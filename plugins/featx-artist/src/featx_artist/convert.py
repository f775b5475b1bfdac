"""Reads the published Keras model into arrays under the names of the torch model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from featx import WeightsError
from featx_artist.config import SIAMESE

if TYPE_CHECKING:
    from featx.types import FloatArray

#: Name after ``batch_normalization_<i>`` in the file -> name in the state dict.
_NORMALISATION = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def keras_siamese(path: Path) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Convert ``model_siamese_10000.h5`` of jongpillee/ismir2018-artist.

    The file is a complete Keras 2.1 model with optimiser state. Only the arrays are read; nothing
    in it is deserialised, and links out of the file are refused.

    Parameters
    ----------
    path : Path
        HDF5 file.

    Returns
    -------
    tensors : dict of str to float32 array
        State dict of the trunk. Kernels become (out, in, time); Keras computes a
        cross-correlation as torch does, so nothing is flipped.
    config : dict
        Configuration of the model and its front end, as plain values.

    Raises
    ------
    WeightsError
        If the file is not HDF5, or not this model: a missing, surplus or misshapen array, or
        values that cannot be weights.
    """
    try:
        with h5py.File(path, "r") as file:
            tensors = _read(file)
    except OSError as error:
        raise WeightsError(f"{path} must be a readable Keras HDF5 file, got: {error}.") from error
    except WeightsError as error:
        raise WeightsError(f"{path} is not the Siamese artist model: {error}") from error
    return tensors, {"model": SIAMESE.to_json(), "front_end": "fe-artist"}


def _read(file: h5py.File) -> dict[str, FloatArray]:
    root = _member(file, "model_weights", h5py.Group)
    tensors: dict[str, FloatArray] = {}
    expected: set[str] = set()
    widths = (SIAMESE.n_bands, *SIAMESE.filters)
    for i, kernel in enumerate(SIAMESE.kernels):
        conv, norm = f"conv1d_{i + 1}", f"batch_normalization_{i + 1}"
        expected |= {conv, norm}
        shape = (kernel, widths[i], widths[i + 1])
        weight = _array(root, f"{conv}/{conv}/kernel:0", shape)
        tensors[f"layers.{i}.conv.weight"] = np.ascontiguousarray(weight.transpose(2, 1, 0))
        tensors[f"layers.{i}.conv.bias"] = _array(root, f"{conv}/{conv}/bias:0", shape[2:])
        for theirs, ours in _NORMALISATION.items():
            tensors[f"layers.{i}.bn.{ours}"] = _array(root, f"{norm}/{norm}/{theirs}:0", shape[2:])
        if tensors[f"layers.{i}.bn.running_var"].min() < 0:
            raise WeightsError(f"{norm}/moving_variance must be >= 0, got a negative value.")
    # layers without weights are empty groups; a filled one belongs to another model's head
    for name in sorted(set(root) - expected):
        if len(_member(root, name, h5py.Group)) > 0:
            raise WeightsError(f"it has an unknown layer with weights, {name!r}.")
    return tensors


def _member(group: h5py.Group, name: str, kind: type) -> Any:
    """Return a member that lies in this very file; ``name`` is one step, not a path."""
    link = group.get(name, getlink=True)
    if link is None:
        raise WeightsError(f"{group.name.rstrip('/')}/{name} must exist, got {sorted(group)[:5]}.")
    if not isinstance(link, h5py.HardLink) or not isinstance(group[name], kind):
        raise WeightsError(f"{group.name.rstrip('/')}/{name} must be a plain {kind.__name__}.")
    return group[name]


def _array(root: h5py.Group, path: str, shape: tuple[int, ...]) -> FloatArray:
    *steps, last = path.split("/")
    group = root
    for step in steps:
        group = _member(group, step, h5py.Group)
    dataset = _member(group, last, h5py.Dataset)
    if dataset.is_virtual or dataset.external:
        raise WeightsError(f"{dataset.name} must lie in the file itself, got external storage.")
    if dataset.shape != shape or dataset.dtype != np.float32:
        raise WeightsError(
            f"{dataset.name} must be float32 of shape {shape}, got {dataset.dtype} of shape "
            f"{dataset.shape}."
        )
    values: FloatArray = dataset[()]
    if not np.all(np.isfinite(values)):
        raise WeightsError(f"{dataset.name} must be finite, got NaN or inf.")
    return values
