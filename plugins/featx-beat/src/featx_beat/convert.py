"""The published weights of BeatNet as weights of ``beats``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx import read_torch
from featx.neural import build, load_tensors
from featx_beat.config import BeatNetConfig
from featx_beat.networks import BeatNet

if TYPE_CHECKING:
    from featx.types import AnyArray

__all__ = ["beatnet"]


def beatnet(path: Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Read ``model_1_weights.pt`` or its like from mjhydri/BeatNet; every tensor must fit.

    Raises
    ------
    WeightsError
        If a tensor is missing, unknown, misshapen or not finite.
    """
    tensors = dict(read_torch(path))
    config = BeatNetConfig()
    load_tensors(build(lambda: BeatNet(config)), tensors, name=path.name)
    return tensors, {"model": config.to_json(), "params": {"model": "beatnet"}}
