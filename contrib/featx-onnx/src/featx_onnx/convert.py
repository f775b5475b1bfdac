"""Published ONNX files as weights of featx: the bytes of the file are one tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from featx import WeightsError
from featx.types import AnyArray

__all__ = ["basic_pitch"]

#: Name of the model's input, which no other file has.
_INPUT = b"serving_default_input_2:0"
#: The published file has 0.2 MB.
_MAX_BYTES = 16 << 20


def basic_pitch(path: Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Read ``nmp.onnx`` of Basic Pitch.

    Returns
    -------
    tensors : dict
        ``model``, the bytes of the file, uint8.
    config : dict
        ``format``.

    Raises
    ------
    WeightsError
        If the file is another one.
    """
    data = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b""
    if _INPUT not in data:
        raise WeightsError(
            f"{path} must be nmp.onnx of Basic Pitch, but has no input "
            f"{_INPUT.decode()!r}. Download the file with the suffix .onnx."
        )
    return {"model": np.frombuffer(data, dtype=np.uint8)}, {"format": "onnx"}
