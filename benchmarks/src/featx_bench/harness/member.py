"""What is asked of an extractor in the environment that has it.

A child process of another environment imports this file alone, so that it needs nothing but featx.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx.guarded import Answer, Channel, Request

if TYPE_CHECKING:
    from featx.registry import Registry

__all__ = ["answer", "describe", "measure"]


def describe(member: Mapping[str, Any], registry: Registry) -> dict[str, Any]:
    """Return outputs, recipe and licences of an extractor; nothing is opened.

    The licence of the weights of a network that has random ones is ``untrained``.

    Parameters
    ----------
    member : mapping
        ``extractor``, ``params`` and ``weights``.

    Raises
    ------
    FeatxError
        If it is not installed, its parameters are wrong, or its weights are missing.
    """
    from featx.engine.planning.preparing import prepare_extractors

    (prepared,) = prepare_extractors(
        registry,
        [member["extractor"]],
        params=dict(member["params"]),
        weights=member["weights"] or None,
    )
    weights = prepared.spec.weights
    licence = weights.licence if weights is not None and prepared.weights else ""
    if prepared.recipe.weights.startswith("untrained"):
        licence = "untrained"
    return {
        "name": prepared.name,
        "full_name": prepared.full_name,
        "outputs": {spec.name: spec.kind for spec in prepared.resolved.outputs},
        "features": list(prepared.features),
        "recipe": prepared.recipe.to_json(),
        "recipe_id": prepared.recipe.id,
        "licence": prepared.spec.licence,
        "weights_licence": licence,
    }


def answer(channel: Channel) -> None:
    """Describe one extractor for another process; an error is an answer as well: ``error``."""
    from featx.errors import FeatxError
    from featx.registry import load_registry

    member = channel.wait(Request).values
    try:
        values = describe(member, load_registry())
    except FeatxError as error:
        values = {"error": str(error)}
    channel.send(Answer(values=values))


def measure(channel: Channel) -> None:
    """Open extractors, extract once, then as often as asked; answers with seconds and memory.

    An exception of an extractor is an answer as well: ``status`` (unopened, error) and ``reason``.
    """
    import numpy as np

    import featx

    job = channel.wait(Request).values
    sr, seconds = job["sr"], job["seconds"]
    y = np.load(job["waveform"])
    step = "unopened"
    try:
        opened: list[Any] = [
            featx.open_extractor(
                member["extractor"],
                params=member["params"],
                features=member["outputs"],
                weights=member["weights"] or None,
            )
            for member in job["members"]
        ]
        step = "error"
        _extract(opened, y[: int(seconds * sr / 10)], sr)
    except Exception as error:  # of a plugin, which may raise anything; it is reported
        reason = f"{type(error).__name__}: {error}"
        channel.send(Answer(values={"status": step, "reason": reason}))
        return
    channel.send(Answer(values={}, last=False))
    for number in range(job["rounds"]):
        channel.wait(Request)
        began = time.process_time()
        _extract(opened, y, sr)
        spent = time.process_time() - began
        last = number == job["rounds"] - 1
        channel.send(Answer(values={"seconds": spent, "peak": _peak()}, last=last))


def _extract(opened: list[Any], y: Any, sr: int) -> None:
    for extractor in opened:
        extractor(y, sr)


def _peak() -> int:
    """Return the largest number of bytes that this process had resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
