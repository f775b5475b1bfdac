"""The extractor ``samplecnn``: segments of a track through the network, mean over segments."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
import torch

from featx import Context, Extractor, Features, ParameterError, Track, WeightsError
from featx.neural import inference, load_tensors, map_segments
from featx_samplecnn.config import ModelConfig, config_from_json
from featx_samplecnn.fast import make_forward
from featx_samplecnn.networks import make_network, seeded_network
from featx_samplecnn.segments import segments_of

#: Segments per call of the network. A CPU gains nothing from more: one segment fills the cache.
BATCH_SIZE_CPU = 1
BATCH_SIZE_ACCELERATOR = 64

#: What only matters while training.
_TRAINING_ONLY = frozenset({"dropout", "block_dropout"})


class SampleCNNExtractor(Extractor):
    """Embeddings, tag probabilities and three levels of activations per track."""

    def open(self, context: Context) -> None:
        """Build the network from weights, or from ``context.seed`` where there are none."""
        super().open(context)
        config: ModelConfig = context.params.config()
        if context.weights is None:
            generator = torch.Generator().manual_seed(context.seed)
            self.model = seeded_network(config, generator, device=context.device)
        else:
            check_config(context.config.get("model"), config, name="samplecnn")
            self.model = load_tensors(
                make_network(config), context.weights, name="samplecnn", device=context.device
            )
        self.config = config
        self.forward = make_forward(
            self.model, device=context.device, precision=context.params.precision
        )
        self.batch_size = BATCH_SIZE_CPU if context.device == "cpu" else BATCH_SIZE_ACCELERATOR

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``embedding``, ``tags`` and ``levels`` for every track."""
        with inference(threads=self.context.threads):
            return [self._extract(track) for track in tracks]

    def close(self) -> None:
        """Drop the network."""
        del self.model, self.forward

    def _extract(self, track: Track) -> Features:
        params = self.context.params
        segments = segments_of(track, self.config, segments=params.segments, spacing=params.spacing)
        found = map_segments(
            self._forward, segments, batch_size=self.batch_size, device=self.context.device
        )
        means = (values.mean(axis=0, dtype=np.float64).astype(np.float32) for values in found)
        values = dict(zip(("levels", "embedding", "tags"), means, strict=True))
        return Features({name: values[name] for name in self.context.features})

    def _forward(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        levels, hidden, logits = self.forward(y)
        if self.config.activation == "softmax":
            return levels, hidden, torch.softmax(logits, dim=1)
        return levels, hidden, torch.sigmoid(logits)


def check_config(
    stored: object, wanted: ModelConfig, *, name: str, ignore: Collection[str] = ()
) -> None:
    """Refuse weights of another network, also where the shapes would agree.

    Settings in ``ignore`` may differ.

    Raises
    ------
    WeightsError
        Naming the first setting that differs; weights that do not say are taken as they are.
    """
    if stored is None:
        return
    if not isinstance(stored, dict):
        raise WeightsError(f"weights {name!r} must tell their configuration, got {stored!r}.")
    try:
        given = config_from_json(stored)
    except ParameterError as error:
        raise WeightsError(f"weights {name!r}: {error}") from error
    theirs, ours = given.to_json(), wanted.to_json()
    for key in ("kind", *(field.name for field in dataclasses.fields(wanted))):
        if key not in {*_TRAINING_ONLY, *ignore} and theirs.get(key) != ours[key]:
            raise WeightsError(
                f"weights {name!r} were made for {key}={theirs.get(key)!r}, "
                f"got parameters that ask for {ours[key]!r}. Set those of the weights, or give "
                "--weights untrained."
            )
