"""The extractor ``mlms``: several networks, three levels of each, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from featx import Context, Extractor, Features, ParameterError, Track, WeightsError
from featx.neural import inference, load_tensors, map_segments
from featx.weights import file_sha256
from featx_samplecnn.config import ModelConfig, config_from_json
from featx_samplecnn.convert import checkpoint
from featx_samplecnn.extractor import BATCH_SIZE_ACCELERATOR, BATCH_SIZE_CPU, check_config
from featx_samplecnn.fast import Forward, make_forward
from featx_samplecnn.mlms_params import MLMSParams, member_text
from featx_samplecnn.networks import make_network
from featx_samplecnn.segments import segments_of

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray

#: Between the label of a network and the name of a tensor.
_SEPARATOR = "/"

#: Levels do not depend on the classifier.
_HEAD = frozenset({"n_tags", "activation"})


class MLMSExtractor(Extractor):
    """One vector per track.

    References
    ----------
    Lee, Nam. "Multi-level and multi-scale feature aggregation using pretrained convolutional
    neural networks for music auto-tagging". IEEE Signal Processing Letters, 2017.
    """

    def open(self, context: Context) -> None:
        """Build every network from its part of the weights."""
        super().open(context)
        if context.weights is None:
            raise WeightsError(
                "weights 'mlms' must be given, got none. "
                "Run: featx weights import mlms <members.json>"
            )
        stored = context.config.get("models", {})
        self.networks: list[tuple[ModelConfig, Forward]] = []
        for member in context.params.members():
            told = stored.get(member.label)
            if told is None:
                raise WeightsError(
                    f"weights 'mlms' must hold the network {member.label!r}, "
                    f"got {', '.join(sorted(stored)) or 'none'}."
                )
            check_config(told, member.config, name=f"mlms: {member.label}", ignore=_HEAD)
            network = load_tensors(
                make_network(config_from_json(told)),
                _part(context.weights, member.label),
                name=f"mlms: {member.label}",
                device=context.device,
            )
            self.networks.append((member.config, make_forward(network, device=context.device)))
        self.batch_size = BATCH_SIZE_CPU if context.device == "cpu" else BATCH_SIZE_ACCELERATOR

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``concat`` for every track."""
        with inference(threads=self.context.threads):
            return [self._extract(track) for track in tracks]

    def close(self) -> None:
        """Drop the networks."""
        del self.networks

    def _extract(self, track: Track) -> Features:
        return Features(
            concat=np.concatenate([self._levels(track, *network) for network in self.networks])
        )

    def _levels(self, track: Track, config: ModelConfig, forward: Forward) -> FloatArray:
        def levels(y: torch.Tensor) -> tuple[torch.Tensor]:
            return (forward(y)[0],)

        (found,) = map_segments(
            levels,
            segments_of(track, config),
            batch_size=self.batch_size,
            device=self.context.device,
        )
        mean: FloatArray = found.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean


def _part(weights: Mapping[str, AnyArray], label: str) -> dict[str, AnyArray]:
    prefix = f"{label}{_SEPARATOR}"
    return {
        name.removeprefix(prefix): values
        for name, values in weights.items()
        if name.startswith(prefix)
    }


def bundle(path: Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Join checkpoints of ``samplecnn`` into one weights file of ``mlms``.

    Parameters
    ----------
    path : Path
        JSON: an object whose keys are labels and whose values are files or folders (then
        ``samplecnn.safetensors`` in it), absolute or beside ``path``; every file is what
        `featx_samplecnn.convert.checkpoint` reads.

    Returns
    -------
    tensors : dict of str to array
        ``<label>/<name in the state dict>``.
    config : dict
        Configurations, SHA-256 of every checkpoint, and the parameters of the extractor.

    Raises
    ------
    WeightsError
        If the list or a checkpoint cannot be read, a checkpoint does not tell its parameters, or
        the networks do not go together.
    """
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path} must be JSON, but {error}.") from error
    if not isinstance(listed, dict) or not listed:
        raise WeightsError(f"{path} must be an object of labels and paths, got {listed!r:.60}.")
    tensors: dict[str, AnyArray] = {}
    config: dict[str, Any] = {"models": {}, "members": {}}
    texts = []
    for label, given in listed.items():
        file = _member_file(path, label, given)
        arrays, told = checkpoint(file)
        tensors |= {f"{label}{_SEPARATOR}{name}": values for name, values in arrays.items()}
        config["models"][label] = told["model"]
        config["members"][label] = {"source": file.name, "sha256": file_sha256(file)}
        texts.append(_text(file, label, told.get("params", {})))
    try:
        params = {"models": list(MLMSParams(models=tuple(texts)).models)}
    except ParameterError as error:
        raise WeightsError(f"{path}: {error}") from error
    return tensors, {**config, "params": params}


def _member_file(path: Path, label: str, given: Any) -> Path:
    if not isinstance(given, str):
        raise WeightsError(f"{path}: the path of {label!r} must be text, got {given!r:.60}.")
    file = path.parent / given
    file = file / "samplecnn.safetensors" if file.is_dir() else file
    if not file.is_file():
        raise WeightsError(f"{path}: the path of {label!r} must be an existing file, got {file}.")
    return file


def _text(file: Path, label: str, params: Mapping[str, Any]) -> str:
    if "model" not in params:
        raise WeightsError(f"{file} must tell the parameters it was made with, got none.")
    return member_text(
        label,
        model=params["model"],
        widths=params.get("widths", "paper"),
        first_padding=params.get("first_padding", False),
    )
