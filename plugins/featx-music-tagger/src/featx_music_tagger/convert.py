"""Turns the published Keras 1 weights into arrays under the names of the torch model.

The arrays called ``running_std`` hold standard deviations, not variances: in the recurrent model
those of the frames that are always zero are 0.001, the square root of an epsilon of 1e-6, and real
music gives every layer the stored spread only if they are read so. Kernels are those of a
cross-correlation, as the TensorFlow backend stores them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import WeightsError, read_keras_h5
from featx_music_tagger.config import FRONT_END, MODELS, TAGS, TaggerConfig

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray

#: The published files have 3.5 and 1.6 MB.
_MAX_BYTES = 64 << 20

_STATISTICS = ("gamma", "beta", "running_mean", "running_std")
_GATES = ("z", "r", "h")


def keras_tagger(path: Path) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Convert ``music_tagger_{cnn,crnn}_weights_tensorflow.h5``.

    Parameters
    ----------
    path : Path
        HDF5 file of keunwoochoi/music-auto_tagging-keras.

    Returns
    -------
    tensors : dict of str to float32 array
        State dict of `MusicTagger`; normalisation is folded in, in float64.
    config : dict
        Configuration of the model and its front end, as plain values.

    Raises
    ------
    WeightsError
        If the file is not sound HDF5, or neither of these models.
    """
    arrays = {
        _plain(name): values for name, values in read_keras_h5(path, max_bytes=_MAX_BYTES).items()
    }
    model = "crnn" if any(name.startswith("gru") for name in arrays) else "cnn"
    config = MODELS[model]
    layout = dict(_layout(config))
    for problem, names in (
        ("lacks", layout.keys() - arrays.keys()),
        ("has the unknown array", arrays.keys() - layout.keys()),
    ):
        if names:
            raise WeightsError(
                f"{path} is not the music tagger {model!r}: it {problem} {min(names)!r} "
                f"({len(names)} in all)."
            )
    for name, shape in layout.items():
        _check(path, name, arrays[name], shape)
    tensors = {
        name: np.ascontiguousarray(values, dtype=np.float32)
        for name, values in _converted(arrays, config)
    }
    return tensors, {
        "model": config.to_json(),
        "front_end": FRONT_END.to_json(),
        "params": {"model": model},
    }


def _plain(name: str) -> str:
    """Return the last part of a path without ``:0`` and without the number of the session."""
    return name.rpartition("/")[2].removesuffix(":0").removesuffix("_1")


def _layout(config: TaggerConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    for statistic in _STATISTICS:
        yield f"bn_0_freq_{statistic}", (config.n_frames,)
    width = 1
    for i, channels in enumerate(config.channels, start=1):
        yield f"conv{i}_W", (channels, width, 3, 3)
        yield f"conv{i}_b", (channels,)
        for statistic in _STATISTICS:
            yield f"bn{i}_{statistic}", (channels,)
        width = channels
    for i in (1, 2) if config.recurrent else ():
        for gate in _GATES:
            yield f"gru{i}_W_{gate}", (width, config.recurrent)
            yield f"gru{i}_U_{gate}", (config.recurrent, config.recurrent)
            yield f"gru{i}_b_{gate}", (config.recurrent,)
        width = config.recurrent
    yield "output_W", (width, len(TAGS))
    yield "output_b", (len(TAGS),)


def _converted(
    arrays: Mapping[str, AnyArray], config: TaggerConfig
) -> Iterator[tuple[str, AnyArray]]:
    yield from zip(("scale", "shift"), _affine(arrays, "bn_0_freq"), strict=True)
    for i in range(len(config.channels)):
        scale, shift = _affine(arrays, f"bn{i + 1}")
        kernel, bias = arrays[f"conv{i + 1}_W"], arrays[f"conv{i + 1}_b"]
        yield f"convs.{i}.weight", kernel * scale[:, None, None, None]
        yield f"convs.{i}.bias", bias * scale + shift
    for i in (0, 1) if config.recurrent else ():
        own = f"gru{i + 1}"
        inputs = [arrays[f"{own}_W_{gate}"].T for gate in _GATES]
        held = [arrays[f"{own}_U_{gate}"].T for gate in _GATES]
        yield f"recurrent.{i}.inputs.weight", np.concatenate(inputs)
        yield (
            f"recurrent.{i}.inputs.bias",
            np.concatenate([arrays[f"{own}_b_{gate}"] for gate in _GATES]),
        )
        yield f"recurrent.{i}.gates.weight", np.concatenate(held[:2])
        yield f"recurrent.{i}.candidate.weight", held[2]
    yield "head.weight", arrays["output_W"].T
    yield "head.bias", arrays["output_b"]


def _affine(arrays: Mapping[str, AnyArray], name: str) -> tuple[AnyArray, AnyArray]:
    """Return factor and summand that a normalisation comes to, float64."""
    gamma, beta, mean, std = (
        arrays[f"{name}_{statistic}"].astype(np.float64) for statistic in _STATISTICS
    )
    return gamma / std, beta - mean * gamma / std


def _check(path: Path, name: str, values: AnyArray, shape: tuple[int, ...]) -> None:
    if values.shape != shape or values.dtype != np.float32:
        raise WeightsError(
            f"{path}: {name} must be float32 of shape {shape}, got {values.dtype} of shape "
            f"{values.shape}."
        )
    if not np.all(np.isfinite(values)):
        raise WeightsError(f"{path}: {name} must be finite, got NaN or inf.")
    if name.endswith("running_std") and values.min() <= 0:
        raise WeightsError(f"{path}: {name} must be > 0, got {values.min():g}.")
