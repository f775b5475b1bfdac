"""Reads the Keras weights of tae-jun/resemul, whose layers have running numbers for names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import WeightsError, read_keras_h5
from featx_samplecnn.catalogue import MODELS
from featx_samplecnn.config import STEM_CHANNELS, ResConfig

if TYPE_CHECKING:
    from featx.types import AnyArray

#: The largest published network has 108 MB.
_MAX_BYTES = 512 << 20

_NAME = re.compile(r"(conv1d|batch_normalization|dense)(?:_(\d+))?/(?:.*/)?(\w+)(?::0)?")

#: Name in the file -> in the state dict, by kind of layer.
_PARTS = {
    "conv1d": {"kernel": "weight", "bias": "bias"},
    "dense": {"kernel": "weight", "bias": "bias"},
    "batch_normalization": {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    },
}


def keras_resemul(path: Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Convert an HDF5 file of tae-jun/resemul.

    Keras numbers layers of a kind in the order in which they are made, whatever number it begins
    with; that order says which is which. Which network it is follows from how many there are.

    Parameters
    ----------
    path : Path
        Weights alone or a complete model of Keras 2.

    Returns
    -------
    tensors : dict of str to float32 array
        State dict. Kernels become (out, in, time); nothing is flipped.
    config : dict
        Configuration and parameters, as plain values.

    Raises
    ------
    WeightsError
        If the file is not sound HDF5, or none of these networks.
    """
    layers = _layers(path, read_keras_h5(path, max_bytes=_MAX_BYTES))
    counts = {kind: len(items) for kind, items in layers.items()}
    for name, config in MODELS.items():
        if not isinstance(config, ResConfig) or config.sr != 22050:
            continue
        order = list(_order(config))
        needs = {kind: sum(k == kind for k, _ in order) for kind in _PARTS}
        if needs == counts and _width(layers) == config.embedding_dim:
            tensors = dict(_assigned(path, order, layers, config))
            return tensors, {"model": config.to_json(), "params": {"model": name}}
    raise WeightsError(
        f"{path} must be one of the networks of resemul, but has "
        f"{', '.join(f'{n} {kind}' for kind, n in sorted(counts.items()))} layers."
    )


def _layers(path: Path, arrays: dict[str, AnyArray]) -> dict[str, list[dict[str, AnyArray]]]:
    """Return the layers of every kind, in the order of their numbers."""
    numbered: dict[tuple[str, int], dict[str, AnyArray]] = defaultdict(dict)
    for name, values in arrays.items():
        match = _NAME.fullmatch(name)
        if match is None or match[3] not in _PARTS[match[1]]:
            raise WeightsError(f"{path} is not one of the networks of resemul: it has {name!r}.")
        part = _PARTS[match[1]][match[3]]
        numbered[match[1], int(match[2] or 0)][part] = values
    layers: dict[str, list[dict[str, AnyArray]]] = {kind: [] for kind in _PARTS}
    for kind, number in sorted(numbered):
        layers[kind].append(numbered[kind, number])
    return layers


def _width(layers: dict[str, list[dict[str, AnyArray]]]) -> int:
    last = layers["dense"][-1].get("weight") if layers["dense"] else None
    return -1 if last is None else len(last)


def _order(config: ResConfig) -> Iterator[tuple[str, str]]:
    """Yield (kind of layer, its name in the state dict) in the order in which Keras makes them."""

    def convolution(block: str) -> Iterator[tuple[str, str]]:
        yield "conv1d", f"{block}.conv"
        yield "batch_normalization", f"{block}.bn"

    yield from convolution("stem")
    width = STEM_CHANNELS
    for i, channels in enumerate(config.channels):
        block = f"blocks.{i}"
        if config.block in ("res", "rese"):
            if channels != width:
                yield from convolution(f"{block}.shortcut")
            yield from convolution(f"{block}.first")
            yield from convolution(f"{block}.second")
        else:
            yield from convolution(f"{block}.first")
        if config.block in ("se", "rese"):
            yield "dense", f"{block}.gate.squeeze"
            yield "dense", f"{block}.gate.excite"
        width = channels
    yield "dense", "hidden.linear"
    yield "batch_normalization", "hidden.bn"
    yield "dense", "head"


def _assigned(
    path: Path,
    order: list[tuple[str, str]],
    layers: dict[str, list[dict[str, AnyArray]]],
    config: ResConfig,
) -> Iterator[tuple[str, AnyArray]]:
    places = {kind: iter(items) for kind, items in layers.items()}
    for kind, name in order:
        parts = next(places[kind])
        if set(parts) != set(_PARTS[kind].values()):
            raise WeightsError(
                f"{path}: the layer of {name} must have {sorted(_PARTS[kind])}, "
                f"got {len(parts)} arrays."
            )
        for part, values in parts.items():
            if values.dtype.kind != "f" or not np.all(np.isfinite(values)):
                raise WeightsError(f"{path}: {part} of {name} must be finite floats.")
            if part == "running_var" and values.min() < 0:
                raise WeightsError(f"{path}: {part} of {name} must be >= 0.")
            if name == "head" and values.shape[-1] != config.n_tags:
                raise WeightsError(
                    f"{path} must have {config.n_tags} tags, got {values.shape[-1]}."
                )
            turned = values.transpose() if part == "weight" and values.ndim > 1 else values
            yield f"{name}.{part}", np.ascontiguousarray(turned, dtype=np.float32)
