"""The rules that every extractor keeps, checked in processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from featx import save_weights
from featx.testing import check_extractor
from featx_artist.config import SIAMESE
from featx_artist.model import ArtistTrunk


def test_extractor_conforms(tmp_path: Path) -> None:
    """With random weights: what the rules speak of does not depend on them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = ArtistTrunk(SIAMESE).state_dict()
    tensors = {key: value.numpy() for key, value in state.items() if "num_batches" not in key}
    weights = tmp_path / "random.safetensors"
    save_weights(weights, tensors, {"model": SIAMESE.to_json()})
    check_extractor("featx-artist:artist-siamese", weights=weights)


@pytest.mark.parametrize("name", ["artist-basic", "artist-tag", "artist-joint"])
def test_extractor_conforms_with_what_it_ships(name: str) -> None:
    check_extractor(f"featx-artist:{name}")
