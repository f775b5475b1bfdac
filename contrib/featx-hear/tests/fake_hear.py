"""A tiny module with the HEAR API: level and crossings of zero by a fixed matrix."""

from __future__ import annotations

from pathlib import Path

import torch


class Model(torch.nn.Module):
    sample_rate = 16000
    scene_embedding_size = 6
    timestamp_embedding_size = 6

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(gain * torch.arange(12.0).reshape(2, 6) / 12)


def load_model(model_file_path: str = "") -> Model:
    return Model(float(Path(model_file_path).read_text()) if model_file_path else 1.0)


def get_scene_embeddings(audio: torch.Tensor, model: Model) -> torch.Tensor:
    level = audio.square().mean(dim=1).sqrt()
    crossings = (audio[:, 1:] * audio[:, :-1] < 0).float().mean(dim=1)
    return torch.stack([level, crossings], dim=1) @ model.weight


def get_timestamp_embeddings(
    audio: torch.Tensor, model: Model
) -> tuple[torch.Tensor, torch.Tensor]:
    raise NotImplementedError
