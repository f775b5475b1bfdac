"""The rules that every extractor keeps, checked in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from featx import save_weights
from featx.testing import check_extractor
from featx_music_tagger.convert import keras_tagger


def test_extractor_conforms(random_file: Callable[[str], Path], tmp_path: Path) -> None:
    """With random weights: what the rules speak of does not depend on them."""
    weights = tmp_path / "random.safetensors"
    save_weights(weights, *keras_tagger(random_file("cnn")))
    check_extractor("featx-music-tagger:music-tagger", weights=weights)
