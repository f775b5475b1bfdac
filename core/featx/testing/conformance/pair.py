"""What each of two processes does that run at the same time in different surroundings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from featx.guarded import Answer, Channel, Request
from featx.testing.conformance.host import Session, compare
from featx.testing.conformance.stimuli import standard
from featx.testing.conformance.target import Target
from featx.types import Features


def surroundings(folder: Path) -> list[tuple[dict[str, str], Path]]:
    """Return variables and working folder of two processes; ``folder`` is where these are made."""
    from featx.folders import cache_folder

    shared = {"FEATX_CACHE": str(cache_folder())}
    variables: list[dict[str, str]] = [
        {"PYTHONHASHSEED": "0"},
        # memory that is used before it is written to holds this byte (glibc)
        {"PYTHONHASHSEED": "1", "TZ": "Pacific/Chatham", "LC_ALL": "C", "MALLOC_PERTURB_": "77"},
    ]
    made = []
    for name, own in zip(("here", "elsewhere"), variables, strict=True):
        (folder / name / "home").mkdir(parents=True)
        home = {"HOME": str(folder / name / "home")}
        made.append(({**shared, **home, **own}, folder / name))
    return made


def serve(channel: Channel) -> None:
    """Extract from every standard signal, and save the features as one npz file."""
    request = channel.wait(Request).values
    session = Session(Target(**request["target"]))
    signals = standard(session.sr, min_duration=session.spec.min_duration)
    order = list(signals)[:: -1 if request["backwards"] else 1]
    with session.opened() as extractor:
        results = session.batch(extractor, [signals[name] for name in order])
    arrays = {
        f"{signal} {feature}": value
        for signal, features in zip(order, results, strict=True)
        for feature, value in features.items()
    }
    np.savez(request["file"], **arrays)  # type: ignore[arg-type]
    resolved = session.prepared.resolved
    answer: dict[str, Any] = {
        "outputs": [output.to_json() for output in resolved.outputs],
        "recipe": session.prepared.recipe.id,
    }
    channel.send(Answer(values=answer))


def compare_files(a: str, b: str, *, tolerance: float) -> str:
    """Return '' where both files agree, else what differs."""
    with np.load(a, allow_pickle=False) as first, np.load(b, allow_pickle=False) as second:
        return compare(Features(dict(first)), Features(dict(second)), tolerance=tolerance)
