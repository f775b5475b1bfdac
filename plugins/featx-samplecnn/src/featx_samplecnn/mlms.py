"""The extractor ``mlms``: several networks, three levels of each, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from featx import Context, Features, ParameterError, Track, WeightsError
from featx.neural import NetworkExtractor, Segments, check_config
from featx.weights import file_sha256
from featx_samplecnn.config import ModelConfig, config_from_json
from featx_samplecnn.convert import checkpoint
from featx_samplecnn.extractor import SampleCNNExtractor
from featx_samplecnn.fast import Forward, make_forward
from featx_samplecnn.mlms_params import Member, MLMSParams, member_text
from featx_samplecnn.networks import make_network

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray

#: Between the label of a network and the name of a tensor.
_SEPARATOR = "/"

#: Levels depend neither on the classifier nor on how it was trained.
_NOT_IN_THE_LEVELS = ("n_tags", "activation", "level", *SampleCNNExtractor.training_only)


class MLMSExtractor(NetworkExtractor):
    """One vector per track.

    References
    ----------
    Lee, Nam. "Multi-level and multi-scale feature aggregation using pretrained convolutional
    neural networks for music auto-tagging". IEEE Signal Processing Letters, 2017.
    """

    accelerator_batch = SampleCNNExtractor.accelerator_batch

    def open(self, context: Context) -> None:
        """Build every network from its part of the weights."""
        super().open(context)
        self.fast = [
            (member.config, make_forward(self.model[_key(member)], device=context.device))
            for member in context.params.members()
        ]

    def network(self) -> nn.ModuleDict:
        """Return the networks by their labels."""
        stored = self.context.config.get("models", {})
        return nn.ModuleDict(
            {
                _key(member): make_network(_stored_config(member, stored))
                for member in self.context.params.members()
            }
        )

    def tensors(self, weights: Mapping[str, AnyArray]) -> Mapping[str, AnyArray]:
        """Return those of the networks that are used."""
        used = {member.label for member in self.context.params.members()}
        return {
            name.replace(_SEPARATOR, f"{_SEPARATOR}.", 1): values
            for name, values in weights.items()
            if name.partition(_SEPARATOR)[0] in used
        }

    def extract_track(self, track: Track) -> Features:
        """Return ``concat``, the levels of every network."""
        parts = [self._levels(track, *network) for network in self.fast]
        return Features(concat=np.concatenate(parts))

    def _levels(self, track: Track, config: ModelConfig, fast: Forward) -> FloatArray:
        front_end = config.front_end
        x = track.y if front_end is None else track.spectra(front_end)
        return self.run(lambda y: fast(y)[0], x, Segments(length=config.length))["concat"]


def _key(member: Member) -> str:
    """Return the name of a network in the module; a bare label may be that of an attribute."""
    return f"{member.label}{_SEPARATOR}"


def _stored_config(member: Member, stored: Mapping[str, Any]) -> ModelConfig:
    """Return the configuration of a network in the weights, which must be the one asked for."""
    if member.label not in stored:
        raise WeightsError(
            f"weights 'mlms' must hold the network {member.label!r}, "
            f"got {', '.join(sorted(stored)) or 'none'}."
        )
    plain = stored[member.label]
    check_config(
        plain, member.config.to_json(), name=f"mlms: {member.label}", ignore=_NOT_IN_THE_LEVELS
    )
    return config_from_json(plain)


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
        If the list or a checkpoint cannot be read, a checkpoint does not name its parameters, or
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
    for label, place in listed.items():
        file = _member_file(path, label, place)
        arrays, stored = checkpoint(file)
        tensors |= {f"{label}{_SEPARATOR}{name}": values for name, values in arrays.items()}
        config["models"][label] = stored["model"]
        config["members"][label] = {"source": file.name, "sha256": file_sha256(file)}
        texts.append(_text(file, label, stored.get("params", {})))
    try:
        params = {"models": list(MLMSParams(models=tuple(texts)).models)}
    except ParameterError as error:
        raise WeightsError(f"{path}: {error}") from error
    return tensors, {**config, "params": params}


def _member_file(path: Path, label: str, place: Any) -> Path:
    if not isinstance(place, str):
        raise WeightsError(f"{path}: the path of {label!r} must be text, got {place!r:.60}.")
    file = path.parent / place
    file = file / "samplecnn.safetensors" if file.is_dir() else file
    if not file.is_file():
        raise WeightsError(f"{path}: the path of {label!r} must be an existing file, got {file}.")
    return file


def _text(file: Path, label: str, params: Mapping[str, Any]) -> str:
    if "model" not in params:
        raise WeightsError(f"{file} must hold the parameters it was made with, got none.")
    return member_text(
        label,
        model=params["model"],
        widths=params.get("widths", "paper"),
        first_padding=params.get("first_padding", False),
    )
