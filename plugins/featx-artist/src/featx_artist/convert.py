"""Turns the published Keras model into arrays under the names of the torch model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import WeightsError, read_keras_h5
from featx_artist.config import FRONT_END, SIAMESE

if TYPE_CHECKING:
    from featx.types import FloatArray

#: The published file has 2.2 MB; a wider model of the same kind stays far below this.
_MAX_BYTES = 64 << 20

#: Name after ``batch_normalization_<i>`` in the file -> name in the state dict.
_NORMALISATION = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def keras_siamese(path: Path) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Convert ``model_siamese_10000.h5`` of jongpillee/ismir2018-artist.

    Parameters
    ----------
    path : Path
        HDF5 file of Keras 2; a complete model or its weights alone.

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
        If the file is not sound HDF5, or not this model: a missing, surplus or misshapen array, or
        values that cannot be weights.
    """
    arrays = read_keras_h5(path, max_bytes=_MAX_BYTES)
    layout = list(_layout())
    theirs = {name for name, _, _ in layout}
    for problem, names in (
        ("lacks", theirs - arrays.keys()),
        ("has the unknown array", arrays.keys() - theirs),
    ):
        if names:
            raise WeightsError(
                f"{path} is not the Siamese artist model: it {problem} {min(names)!r} "
                f"({len(names)} in all)."
            )
    tensors: dict[str, FloatArray] = {}
    for name, ours, shape in layout:
        values = arrays[name]
        _check(path, name, values, shape)
        tensors[ours] = np.ascontiguousarray(values.transpose() if values.ndim == 3 else values)
    return tensors, {"model": SIAMESE.to_json(), "front_end": FRONT_END}


def _layout() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield (name in the file, name in the state dict, shape in the file) of every array."""
    widths = (SIAMESE.n_bands, *SIAMESE.filters)
    for i, kernel in enumerate(SIAMESE.kernels):
        shape = (kernel, widths[i], widths[i + 1])
        conv, norm = f"conv1d_{i + 1}", f"batch_normalization_{i + 1}"
        yield f"{conv}/{conv}/kernel:0", f"layers.{i}.conv.weight", shape
        yield f"{conv}/{conv}/bias:0", f"layers.{i}.conv.bias", shape[2:]
        for theirs, ours in _NORMALISATION.items():
            yield f"{norm}/{norm}/{theirs}:0", f"layers.{i}.bn.{ours}", shape[2:]


def _check(path: Path, name: str, values: Any, shape: tuple[int, ...]) -> None:
    if values.shape != shape or values.dtype != np.float32:
        raise WeightsError(
            f"{path}: {name} must be float32 of shape {shape}, got {values.dtype} of shape "
            f"{values.shape}."
        )
    if not np.all(np.isfinite(values)):
        raise WeightsError(f"{path}: {name} must be finite, got NaN or inf.")
    if name.endswith("moving_variance:0") and values.min() < 0:
        raise WeightsError(f"{path}: {name} must be >= 0, got a negative value.")
