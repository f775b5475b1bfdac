"""The extractor ``samplecnn``: segments of a waveform through the network, mean over segments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from featx import Context, Extractor, Features, Track, WeightsError
from featx.neural import build, inference, load_tensors, map_segments, split_segments
from featx_samplecnn.config import SampleCNNConfig
from featx_samplecnn.model import SampleCNN, initial_tensors

#: Segments per call of the network. On a CPU larger batches are slower (the activations of one
#: segment fill the cache already) and padding them would be wasted work.
BATCH_SIZE_CPU = 1
BATCH_SIZE_ACCELERATOR = 32


class SampleCNNExtractor(Extractor):
    """Embeddings, tag probabilities and three levels of activations per track."""

    def open(self, context: Context) -> None:
        """Build the network from weights, or from ``context.seed`` where there are none."""
        super().open(context)
        config: SampleCNNConfig = context.params.config()
        model = build(lambda: SampleCNN(config))
        if context.weights is None:
            generator = torch.Generator().manual_seed(context.seed)
            drawn = initial_tensors(model, generator)
            tensors = {key: value.numpy() for key, value in drawn.items()}
        else:
            _check_config(context, config)
            tensors = dict(context.weights)
        self.config = config
        self.model = load_tensors(model, tensors, name="samplecnn", device=context.device)
        self.batch_size = BATCH_SIZE_CPU if context.device == "cpu" else BATCH_SIZE_ACCELERATOR

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``embedding`` (512,), ``tags`` (50,) and ``levels`` for every track."""
        with inference(threads=self.context.threads):
            return [self._extract(track) for track in tracks]

    def close(self) -> None:
        """Drop the network."""
        del self.model

    def _extract(self, track: Track) -> Features:
        segments = split_segments(track.y, length=self.config.n_samples)
        levels, tags = map_segments(
            self._forward, segments, batch_size=self.batch_size, device=self.context.device
        )
        level = levels.mean(axis=0, dtype=np.float64).astype(np.float32)
        values = {
            "embedding": level[slice(*self.config.levels["l1"])].copy(),
            "tags": tags.mean(axis=0, dtype=np.float64).astype(np.float32),
            "levels": level,
        }
        return Features({name: values[name] for name in self.context.features})

    def _forward(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        levels = self.model.encode(y)
        pooled = torch.cat([level.amax(dim=2) for level in levels], dim=1)  # (batch, dim)
        return pooled, torch.sigmoid(self.model.classify(levels.l1))


def _check_config(context: Context, config: SampleCNNConfig) -> None:
    """Refuse weights of another member of the family, also where the shapes would agree."""
    stored = context.config.get("model")
    if stored is None:
        return
    wanted = config.to_json()
    for name, value in wanted.items():
        if stored.get(name) != value:
            raise WeightsError(
                f"weights 'samplecnn' were made for {name}={stored.get(name)!r}, "
                f"got parameters that ask for {value!r}. Set the parameters of the weights."
            )
