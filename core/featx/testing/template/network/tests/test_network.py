"""What the network gives."""

from __future__ import annotations

import torch

from featx_example_name.config import CHANNELS
from featx_example_name.extractor import Network


def test_two_frames_of_bands_are_one_frame_of_the_network() -> None:
    outputs = Network()(torch.zeros(3, 64, 128))
    assert outputs["embedding"].shape == (3, 32, CHANNELS)
    assert outputs["activation"].shape == (3, 32, 1)
