"""Turns other people's checkpoints, and ours, into weights of ``samplecnn``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import WeightsError, load_weights, read_torch
from featx_samplecnn.catalogue import MODELS
from featx_samplecnn.config import config_from_json
from featx_samplecnn.keras import keras_resemul
from featx_samplecnn.networks import make_network

if TYPE_CHECKING:
    from featx.types import AnyArray

#: Layers of both networks of minzwon/sota-music-tagging-models.
_LAYERS = 11
_BN = ("weight", "bias", "running_mean", "running_var")


def checkpoint(path: Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Convert a checkpoint of this family, from any of the known sources.

    Parameters
    ----------
    path : Path
        ``.h5``, ``.hdf5``: Keras weights of tae-jun/resemul, see
        `featx_samplecnn.keras.keras_resemul`. ``.safetensors``: ours, as ``featx train`` writes
        them, taken as they are. Anything else: a PyTorch state dict of SampleCNN or SampleCNNSE of
        minzwon/sota-music-tagging-models, read with ``weights_only=True``.

    Returns
    -------
    tensors : dict of str to array
        State dict of the network.
    config : dict
        Its configuration, and the parameters of the extractor that go with it.

    Raises
    ------
    WeightsError
        If it is not one of these.
    """
    suffix = path.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        tensors, config = keras_resemul(path)
    elif suffix == ".safetensors":
        tensors, config = load_weights(path)
        if not isinstance(config.get("model"), dict):
            raise WeightsError(f"{path} must hold the configuration of its model, got none.")
    else:
        tensors, config = torch_sota(path)
    _check_shapes(path, tensors, config["model"])
    return tensors, config


def _check_shapes(path: Path, tensors: Mapping[str, AnyArray], model: Mapping[str, Any]) -> None:
    """Refuse what the network would not take, before it lies in a cache."""
    for name, tensor in make_network(config_from_json(model)).state_dict().items():
        shape = tensors[name].shape if name in tensors else None
        if shape != tuple(tensor.shape) and not name.endswith("num_batches_tracked"):
            raise WeightsError(
                f"{path}: {name} must have shape {tuple(tensor.shape)}, got {shape}."
            )


def torch_sota(path: Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Convert a state dict of SampleCNN or SampleCNNSE of minzwon/sota-music-tagging-models.

    Counters of batches are ignored. Sixteen segments that each begin an equal part of the track are
    set, as the published evaluation takes them. Raises `WeightsError` as `checkpoint` does.
    """
    arrays = {
        name.rpartition("/")[2]: values
        for name, values in read_torch(path).items()
        if not name.endswith("num_batches_tracked")
    }
    model = "sota-se" if "layer1.conv_1.weight" in arrays else "sota"
    names = dict(_se_names() if model == "sota-se" else _plain_names())
    for problem, keys in (
        ("lacks", names.keys() - arrays.keys()),
        ("has the unknown tensor", arrays.keys() - names.keys()),
    ):
        if keys:
            raise WeightsError(
                f"{path} is not the model {model!r}: it {problem} {min(keys)!r} "
                f"({len(keys)} in all)."
            )
    tensors = {ours: arrays[theirs] for theirs, ours in names.items()}
    for name, values in tensors.items():
        if not np.all(np.isfinite(values)):
            raise WeightsError(f"{path}: {name} must be finite, got NaN or inf.")
    params = {"model": model, "segments": 16, "spacing": "exclusive"}
    if model == "sota":
        params["widths"] = "code"
    return tensors, {"model": MODELS[model].to_json(), "params": params}


def _plain_names() -> Iterator[tuple[str, str]]:
    """Yield (theirs, ours) for SampleCNN."""
    ours = ["stem", *(f"stages.{i}" for i in range(_LAYERS - 2)), "top"]
    for i, block in enumerate(ours, start=1):
        for part in ("weight", "bias"):
            yield f"layer{i}.conv.{part}", f"{block}.conv.{part}"
        for part in _BN:
            yield f"layer{i}.bn.{part}", f"{block}.bn.{part}"
    for part in ("weight", "bias"):
        yield f"dense.{part}", f"head.{part}"


#: Layers of SampleCNNSE whose shortcut is a convolution.
_SHORTCUTS = (1, 4, 10)


def _se_names() -> Iterator[tuple[str, str]]:
    """Yield (theirs, ours) for SampleCNNSE."""
    for i in range(1, _LAYERS + 1):
        block = f"blocks.{i - 1}"
        parts = {1: "first", 2: "second", **({3: "shortcut"} if i in _SHORTCUTS else {})}
        for number, ours in parts.items():
            for part in ("weight", "bias"):
                yield f"layer{i}.conv_{number}.{part}", f"{block}.{ours}.conv.{part}"
            for part in _BN:
                yield f"layer{i}.bn_{number}.{part}", f"{block}.{ours}.bn.{part}"
        for theirs, ours in (("dense1", "squeeze"), ("dense2", "excite")):
            for part in ("weight", "bias"):
                yield f"layer{i}.{theirs}.{part}", f"{block}.gate.{ours}.{part}"
    for part in ("weight", "bias"):
        yield f"dense1.{part}", f"hidden.linear.{part}"
        yield f"dense2.{part}", f"head.{part}"
    for part in _BN:
        yield f"bn.{part}", f"hidden.bn.{part}"
