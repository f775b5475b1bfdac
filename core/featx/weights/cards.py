"""The results of trainings, as described by the cards beside the weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featx.errors import ParameterError
from featx.weights.files import file_sha256

#: What a reader of the weights must know.
CARD_NAME = "card.json"
#: What a training resumes from.
STATE_NAME = "state.safetensors"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One folder that `featx.training.train` wrote, which ``featx run --weights`` takes.

    ``status`` is ``ok``; ``unfinished`` where training was interrupted and can be resumed;
    ``changed`` where the file is not the one that the card describes; ``missing`` where there is no
    file; ``in training`` where there is a state but no result yet. The other texts are those of the
    card, empty while in training; ``metrics`` are those of the best validation.
    """

    folder: str
    status: str
    extractor: str = ""
    method: str = ""
    weights: str = ""
    sha256: str = ""
    steps: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    bytes: int = 0


def find_checkpoints(folder: str | os.PathLike[str]) -> list[Checkpoint]:
    """Return the checkpoint in ``folder``, or those in its subfolders, by name.

    Raises
    ------
    ParameterError
        If there is none, or a card cannot be read.
    """
    place = Path(folder)
    candidates = [place, *sorted(item for item in place.glob("*") if item.is_dir())]
    folders = [item for item in candidates if _is_checkpoint(item)]
    if not folders:
        known = "" if place.exists() else f" An extractor's weights: featx info {place}."
        raise ParameterError(
            f"folder must hold a checkpoint of featx train, or folders that do, got {place}.{known}"
        )
    return [_read(item) for item in folders]


def unfinished(path: str | os.PathLike[str]) -> Checkpoint | None:
    """Return the checkpoint that weights come from if its training can be resumed.

    Parameters
    ----------
    path : path
        A file of weights, with or without a card beside it.
    """
    path = Path(path)
    if not (path.parent / CARD_NAME).is_file():
        return None
    try:
        checkpoint = _read(path.parent)
    except ParameterError:
        return None  # a card of somebody else, under the same name
    of_path = Path(checkpoint.weights).name == path.name
    return checkpoint if of_path and checkpoint.status == "unfinished" else None


def origin(path: str | os.PathLike[str]) -> str:
    """Return in one line what weights learned from, from the card beside them.

    Parameters
    ----------
    path : path
        ``<name>.safetensors``; the card is ``<name>.json`` in the same folder.

    Returns
    -------
    str
        Number of songs and method of a training by featx, and ``data.origin`` where the card has
        it; empty without a card.
    """
    beside = Path(path).with_suffix(".json")
    if not beside.is_file():
        return ""
    try:
        card: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
        data = card["data"]
        if "train_songs" not in data:  # learned elsewhere
            return str(data["origin"])
        summary = f"{data['train_songs']} songs by method {card['method']!r}"
        return f"{summary}: {data['origin']}" if "origin" in data else summary
    except (ValueError, KeyError, TypeError):
        return ""  # a file of somebody else, under the same name


def _is_checkpoint(folder: Path) -> bool:
    return (folder / CARD_NAME).is_file() or (folder / STATE_NAME).is_file()


def _read(folder: Path) -> Checkpoint:
    path = folder / CARD_NAME
    if not path.is_file():
        return Checkpoint(folder=str(folder), status="in training")
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        results = card["results"]
        weights = folder / str(results["weights"])
        facts = {
            "extractor": card["extractor"],
            "method": card["method"],
            "sha256": results["sha256"],
            "steps": results["steps"],
            "metrics": results["metrics"],
        }
        finished = results["finished"]
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(
            f"{path} must be a card that featx train wrote, got {type(error).__name__}: {error}."
        ) from error
    status = "ok" if finished else "unfinished"
    size = 0
    if not weights.is_file():
        status = "missing"
    else:
        size = weights.stat().st_size
        if file_sha256(weights) != facts["sha256"]:
            status = "changed"
    return Checkpoint(folder=str(folder), status=status, weights=str(weights), bytes=size, **facts)
