"""The rules that every extractor keeps, checked in processes of their own."""

from __future__ import annotations

from pathlib import Path

import torch

from featx import save_weights
from featx.testing import check_extractor
from featx_musicnn.model import Musicnn


def test_extractor_conforms(tmp_path: Path) -> None:
    """With random weights: what the rules speak of does not depend on them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Musicnn(50).state_dict()
    weights = tmp_path / "random.safetensors"
    save_weights(weights, {f"mtt/{key}": value.numpy() for key, value in state.items()}, {})
    check_extractor("featx-musicnn:musicnn", weights=weights)
