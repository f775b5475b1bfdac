"""The state of a training in one safetensors file, replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import ParameterError, TrainingError, WeightsError
from featx.types import AnyArray
from featx.weights import load_weights, save_weights
from featx.weights.cards import STATE_NAME

_FORMAT = 2


@dataclass
class State:
    """Everything that the next step depends on.

    ``parts`` hold arrays by part (``model``, ``optimizer``) and name; ``plain`` is the rest, as
    JSON values. Random numbers need no state: those of a step follow from the seed and its number.
    """

    step: int
    identity: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, AnyArray]]
    plain: dict[str, Any] = field(default_factory=dict)


def save_state(folder: Path, state: State) -> None:
    """Write the state under a temporary name, flush it to disk, then rename it.

    Arrays that are not finite raise `TrainingError`: the state on disk stays the last good one.
    """
    arrays = {
        f"{part}/{name}": array for part, own in state.parts.items() for name, array in own.items()
    }
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise TrainingError(
                f"the training diverged: after step {state.step} {name} is not finite. "
                f"{last_good(folder)}"
            )
    config = {
        "format": _FORMAT,
        "step": state.step,
        "identity": dict(state.identity),
        "plain": state.plain,
    }
    save_weights(folder / STATE_NAME, arrays, config)


def load_state(folder: Path, identity: Mapping[str, Any]) -> State | None:
    """Read the state of an earlier run; None where there is none.

    The state of another training raises `ParameterError` that names every difference, a damaged one
    `TrainingError`.
    """
    path = folder / STATE_NAME
    if not path.exists():
        return None
    try:
        arrays, config = load_weights(path)
    except WeightsError as error:
        raise TrainingError(f"{error} Move it away to begin again.") from error
    if config.get("format") != _FORMAT:
        raise TrainingError(f"{path} must be a training state of format {_FORMAT}.")
    _check_same(path, config["identity"], json.loads(json.dumps(identity)))
    parts: dict[str, dict[str, AnyArray]] = {}
    for key, array in arrays.items():
        part, _, name = key.partition("/")
        parts.setdefault(part, {})[name] = array
    return State(step=config["step"], identity=identity, parts=parts, plain=config["plain"])


def _check_same(path: Path, stored: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    before, now = _flat(stored), _flat(present)
    changed = [
        f"the songs of {key!r} changed"  # compared by digests, which say nothing to a reader
        if key in {"train", "valid"}
        else f"{key} changed from {before.get(key)!r} to {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise ParameterError(
            f"{path} must belong to this training, but {', '.join(changed)}. Choose another "
            "folder, or move this one away."
        )


def _flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def last_good(folder: Path) -> str:
    """Say which checkpoint to go back to."""
    path = folder / STATE_NAME
    if not path.exists():
        return "There is no checkpoint yet. Lower the learning rate and run again."
    _, config = load_weights(path)
    return f"The last good checkpoint is {path}, after step {config['step']}."
