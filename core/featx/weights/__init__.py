"""Trained weights: safetensors files with their configuration inside, in a cache folder.

No pickle is read anywhere. Importers turn other people's formats into ours once; everything that
extracts reads safetensors only.
"""

from __future__ import annotations

from featx.weights.cache import (
    WeightsState,
    cached_path,
    convert,
    fetch,
    import_weights,
    locate,
    missing_message,
    shipped_settings,
    state,
)
from featx.weights.cards import Checkpoint, find_checkpoints, origin, unfinished
from featx.weights.files import (
    Provenance,
    file_sha256,
    load_weights,
    read_config,
    read_provenance,
    save_weights,
)
from featx.weights.readers import read_keras_h5, read_torch

__all__ = [
    "Checkpoint",
    "Provenance",
    "WeightsState",
    "cached_path",
    "convert",
    "fetch",
    "file_sha256",
    "find_checkpoints",
    "import_weights",
    "load_weights",
    "locate",
    "missing_message",
    "origin",
    "read_config",
    "read_keras_h5",
    "read_provenance",
    "read_torch",
    "save_weights",
    "shipped_settings",
    "state",
    "unfinished",
]
