"""Turns the checkpoints in the published wheel into arrays under the names of the torch model."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import WeightsError
from featx_musicnn.bundle import read_bundle
from featx_musicnn.config import FRONT_END

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray

#: Model -> its folder in the wheel.
FOLDERS = {"mtt": "musicnn/MTT_musicnn", "msd": "musicnn/MSD_musicnn"}
#: A checkpoint has 9.5 MB.
_MAX_BYTES = 64 << 20
#: Added to variances, TensorFlow's default.
_EPS = 1e-3

#: Module with an `Affine` called ``norm`` and a layer, in the order of the checkpoint.
_LAYERS = (
    "timbral.0.conv", "timbral.1.conv", "temporal.0.linear", "temporal.1.linear",
    "temporal.2.linear", "middle.0.conv", "middle.1.conv", "middle.2.conv",
)  # fmt: skip


def wheel(path: Path) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Convert ``musicnn-0.1.0-py3-none-any.whl``.

    Returns
    -------
    tensors : dict of str to float32 array
        State dicts of `Musicnn` for both models, below ``mtt/`` and ``msd/``.
    config : dict
        The front end.

    Raises
    ------
    WeightsError
        If the file is no such wheel, or a checkpoint in it is not that of the model.
    """
    tensors = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for model, folder in FOLDERS.items():
                files = [_member(archive, f"{folder}/{name}") for name in
                         (".index", ".data-00000-of-00001")]  # fmt: skip
                for name, values in _converted(read_bundle(*files)):
                    tensors[f"{model}/{name}"] = np.array(values, np.float32, order="C")
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise WeightsError(f"{path} must be the wheel of musicnn 0.1.0, got: {error}.") from error
    return tensors, {"front_end": FRONT_END.to_json()}


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _MAX_BYTES:
        raise WeightsError(f"{name} must have less than {_MAX_BYTES} bytes.")
    return archive.read(name)


def _converted(arrays: Mapping[str, AnyArray]) -> Iterator[tuple[str, AnyArray]]:
    yield from _affine(arrays, 0, "norm")
    for number, name in enumerate(_LAYERS):
        suffix = f"_{number}" if number else ""
        kernel = arrays[f"conv2d{suffix}/kernel"].squeeze(2)  # (time, band, out)
        if name.startswith("temporal"):
            yield f"{name}.weight", kernel.squeeze(1).T
        else:
            yield f"{name}.weight", kernel.transpose(2, 1, 0)
        yield f"{name}.bias", arrays[f"conv2d{suffix}/bias"]
        yield from _affine(arrays, number + 1, f"{name.rpartition('.')[0]}.norm")
    for number, name in ((9, "pooled_norm"), (10, "hidden_norm")):
        yield from _affine(arrays, number, name)
    for theirs, ours in (("dense", "hidden"), ("dense_1", "head")):
        yield f"{ours}.weight", arrays[f"{theirs}/kernel"].T
        yield f"{ours}.bias", arrays[f"{theirs}/bias"]


def _affine(
    arrays: Mapping[str, AnyArray], number: int, name: str
) -> Iterator[tuple[str, AnyArray]]:
    """Yield factor and summand that a normalisation comes to."""
    suffix = f"_{number}" if number else ""
    gamma, beta, mean, variance = (
        arrays[f"batch_normalization{suffix}/{part}"].astype(np.float64)
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + _EPS)
    yield f"{name}.scale", scale
    yield f"{name}.shift", beta - mean * scale
