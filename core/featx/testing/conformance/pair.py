"""Extraction in two processes at the same time, in different surroundings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.guarded import Answer, Channel, Child, ChildDiedError, Request
from featx.testing.conformance.host import Session, compare
from featx.testing.conformance.recording import CheckFailed
from featx.testing.conformance.stimuli import standard
from featx.testing.conformance.target import Target
from featx.types import Features

if TYPE_CHECKING:
    from featx.engine.work.opening import OpenExtractor
    from featx.types import AnyArray

#: Seconds that the other process may take to open the extractor, and to extract.
_SECONDS = 300.0

_BOTH = "two processes at once must both succeed"
_HINT = "If the other checks pass, something is shared between processes, such as a file or a port."


def compare_processes(target: Target, folder: Path) -> None:
    """Extract in this process and, at the same time, in another one in other surroundings.

    Raises
    ------
    CheckFailed
        If one of them fails, or their numbers differ.
    """
    session = Session(target)
    file = folder / "elsewhere.npz"
    variables, elsewhere = _surroundings(folder)
    with Child(
        "featx.testing.conformance.pair:serve",
        answers=[Answer],
        environment=variables,
        folder=elsewhere,
    ) as child:
        try:
            child.send(
                Request(values={"target": target.to_json(), "file": str(file)}), seconds=_SECONDS
            )
            with session.opened() as extractor:
                child.receive(seconds=_SECONDS)  # open there, too
                here = _extracted(session, extractor)
                there = child.receive(seconds=_SECONDS).values
        except ChildDiedError as error:
            raise CheckFailed(f"{_BOTH}, but {error.reason}. {_HINT}") from error
        except Exception as error:  # a stranger's code may raise anything
            reason = f"one raised {type(error).__name__}: {str(error).rstrip('.')}"
            raise CheckFailed(f"{_BOTH}, but {reason}. {_HINT}") from error
    rule = (
        "two processes at once must agree, one of them in another working folder, home, time "
        "zone, hash seed and order of tracks"
    )
    if there != _resolution(session):
        raise CheckFailed(f"{rule}, but resolve gives them other outputs or front ends.")
    with np.load(file, allow_pickle=False) as arrays:
        difference = compare(
            Features(here), Features(dict(arrays)), tolerance=session.spec.tolerance
        )
    if difference:
        raise CheckFailed(f"{rule}, but {difference}.")


def serve(channel: Channel) -> None:
    """Extract from every standard signal, the last one first, and save the features as npz file."""
    request = channel.wait(Request).values
    target = Target(**request["target"])
    target.define()
    session = Session(target)
    with session.opened() as extractor:
        channel.send(Answer(values={}, last=False))
        arrays = _extracted(session, extractor, backwards=True)
    np.savez(request["file"], **arrays)  # type: ignore[arg-type]
    channel.send(Answer(values=_resolution(session)))


def _surroundings(folder: Path) -> tuple[Mapping[str, str], Path]:
    """Return variables and working folder of the other process; they are made in ``folder``."""
    from featx.folders import cache_folder

    home = folder / "elsewhere" / "home"
    home.mkdir(parents=True)
    variables = {
        "FEATX_CACHE": str(cache_folder()),
        "HOME": str(home),
        "PYTHONHASHSEED": "1",
        "TZ": "Pacific/Chatham",
        "LC_ALL": "C",
        "MALLOC_PERTURB_": "77",  # memory that is read before it is written holds this byte (glibc)
    }
    return variables, home.parent


def _extracted(
    session: Session, extractor: OpenExtractor, *, backwards: bool = False
) -> dict[str, AnyArray]:
    signals = standard(session.sr, min_duration=session.spec.min_duration)
    order = list(signals)[:: -1 if backwards else 1]
    results = session.batch(extractor, [signals[name] for name in order])
    return {
        f"{signal} {feature}": value
        for signal, features in zip(order, results, strict=True)
        for feature, value in features.items()
    }


def _resolution(session: Session) -> dict[str, Any]:
    return {
        "outputs": [output.to_json() for output in session.prepared.resolved.outputs],
        "recipe": session.prepared.recipe.id,
    }
