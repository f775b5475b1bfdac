"""For people who write plugins: music with known truth, test signals, and the conformance kit.

Names are resolved on first use, like those of `featx` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx.testing.artists import ARTISTS, Artist
    from featx.testing.collection import write_collection
    from featx.testing.conformance.checks import (
        check_extractor,
        check_index,
        check_loss,
        examine_extractor,
        examine_index,
        examine_loss,
    )
    from featx.testing.conformance.report import ConformanceError, Outcome, Report
    from featx.testing.music import Piece, synthesise
    from featx.testing.signals import chirp, click_train, constant, noise, silence, tone
    from featx.testing.truth import Chord, Hit, Note, Section, Truth, read_truth

#: public name -> module that defines it
_HOMES = {
    "ARTISTS": "artists",
    "Artist": "artists",
    "Chord": "truth",
    "ConformanceError": "conformance.report",
    "Hit": "truth",
    "Note": "truth",
    "Outcome": "conformance.report",
    "Piece": "music",
    "Report": "conformance.report",
    "Section": "truth",
    "Truth": "truth",
    "check_extractor": "conformance.checks",
    "check_index": "conformance.checks",
    "check_loss": "conformance.checks",
    "chirp": "signals",
    "click_train": "signals",
    "constant": "signals",
    "examine_extractor": "conformance.checks",
    "examine_index": "conformance.checks",
    "examine_loss": "conformance.checks",
    "noise": "signals",
    "read_truth": "truth",
    "silence": "signals",
    "synthesise": "music",
    "tone": "signals",
    "write_collection": "collection",
}

# spelled out, because type checkers do not follow computed names
__all__ = [
    "ARTISTS",
    "Artist",
    "Chord",
    "ConformanceError",
    "Hit",
    "Note",
    "Outcome",
    "Piece",
    "Report",
    "Section",
    "Truth",
    "check_extractor",
    "check_index",
    "check_loss",
    "chirp",
    "click_train",
    "constant",
    "examine_extractor",
    "examine_index",
    "examine_loss",
    "noise",
    "read_truth",
    "silence",
    "synthesise",
    "tone",
    "write_collection",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx.testing' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"featx.testing.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
