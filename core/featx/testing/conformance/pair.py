"""What each of two processes does that run at the same time."""

from __future__ import annotations

import numpy as np

from featx.guarded import Answer, Channel, Request
from featx.testing.conformance.host import Session, compare
from featx.testing.conformance.stimuli import standard
from featx.testing.conformance.target import Target
from featx.types import Features


def serve(channel: Channel) -> None:
    """Extract from every standard signal, and save the features as one npz file."""
    request = channel.wait(Request).values
    session = Session(Target(**request["target"]))
    signals = standard(session.sr, min_duration=session.spec.min_duration)
    with session.opened() as extractor:
        results = session.batch(extractor, list(signals.values()))
    arrays = {
        f"{signal} {feature}": value
        for signal, features in zip(signals, results, strict=True)
        for feature, value in features.items()
    }
    np.savez(request["file"], **arrays)  # type: ignore[arg-type]
    channel.send(Answer(values={}))


def compare_files(a: str, b: str, *, tolerance: float) -> str:
    """Return '' where both files agree, else what differs."""
    with np.load(a, allow_pickle=False) as first, np.load(b, allow_pickle=False) as second:
        return compare(Features(dict(first)), Features(dict(second)), tolerance=tolerance)
