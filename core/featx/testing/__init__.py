"""For people who write plugins: music with known truth, test signals, and the conformance kit.

Names are resolved on first use, like those of `featx` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx.testing.artists import ARTISTS, Artist
    from featx.testing.collection import write_collection
    from featx.testing.music import Piece, synthesise
    from featx.testing.signals import chirp, click_train, constant, noise, silence, tone
    from featx.testing.truth import Chord, Hit, Note, Section, Truth, read_truth

#: public name -> module that defines it
_HOMES = {
    "ARTISTS": "artists",
    "Artist": "artists",
    "Chord": "truth",
    "Hit": "truth",
    "Note": "truth",
    "Piece": "music",
    "Section": "truth",
    "Truth": "truth",
    "chirp": "signals",
    "click_train": "signals",
    "constant": "signals",
    "noise": "signals",
    "read_truth": "truth",
    "silence": "signals",
    "synthesise": "music",
    "tone": "signals",
    "write_collection": "collection",
}

__all__ = [*_HOMES]  # noqa: PLE0604  (names are resolved lazily)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx.testing' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"featx.testing.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
