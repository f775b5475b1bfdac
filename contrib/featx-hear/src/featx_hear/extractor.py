"""Scene embeddings by a module with the HEAR API (version 0.9.3 of its validator)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from featx import Context, Extractor, Features, ParameterError, PluginError, Track

if TYPE_CHECKING:
    from featx.types import FloatArray

_FUNCTIONS = ("load_model", "get_scene_embeddings")


class Hear(Extractor):
    """``hear``."""

    def open(self, context: Context) -> None:
        """Import the module, load its model, and compare what it says with the parameters."""
        super().open(context)
        name, path = context.params.module, context.params.weights
        if not name:
            raise ParameterError(
                "module must name a Python module with the HEAR API, got ''. "
                "Add --set hear.module=NAME."
            )
        try:
            self.module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ParameterError(
                f"module must be installed, but {error.name!r} is not, which {name!r} needs. "
                "Install it, for instance with: pip install " + (error.name or name)
            ) from error
        missing = [each for each in _FUNCTIONS if not hasattr(self.module, each)]
        if missing:
            raise ParameterError(
                f"module must have the functions {', '.join(_FUNCTIONS)} of the HEAR API, but "
                f"{name!r} has no {' and no '.join(missing)}."
            )
        self.model = self.module.load_model(path) if path else self.module.load_model()
        for parameter, attribute in (("sr", "sample_rate"), ("dim", "scene_embedding_size")):
            actual, given = int(getattr(self.model, attribute)), getattr(context.params, parameter)
            if actual != given:
                raise ParameterError(
                    f"{parameter} must be {actual}, the {attribute} of {name!r}, got {given}. "
                    f"Add --set hear.{parameter}={actual}."
                )
        self.model.to(context.device).eval()

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return one embedding for each track."""
        return [Features(embedding=self._embedding(track)) for track in tracks]

    def _embedding(self, track: Track) -> FloatArray:
        """Return the mean over segments of nearly equal length, each at least a second."""
        length = round(self.context.params.seconds * track.sr)
        y = np.pad(track.y, (0, max(track.sr - len(track.y), 0)))
        segments = np.array_split(y, -(-len(y) // length))
        total = np.zeros(self.context.params.dim)
        for segment in segments:
            total += len(segment) / len(y) * self._scene(segment)
        return total.astype(np.float32)

    def _scene(self, segment: FloatArray) -> FloatArray:
        audio = torch.from_numpy(np.array(segment, np.float32))[None].to(self.context.device)
        with torch.inference_mode():
            result = self.module.get_scene_embeddings(audio, self.model)
        values: FloatArray = result.detach().float().cpu().numpy()
        if values.shape != (1, self.context.params.dim):
            raise PluginError(
                f"{self.context.params.module!r} must give scene embeddings of shape "
                f"(1, {self.context.params.dim}), got {values.shape}."
            )
        scene: FloatArray = values[0]
        return scene
