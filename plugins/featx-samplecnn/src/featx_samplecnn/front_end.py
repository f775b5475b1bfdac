"""The mel frames that take the place of a first layer."""

from __future__ import annotations

import dataclasses

from featx import FrontEnd
from featx.frontend import preset


def mel_front_end(*, sr: int, window: int, hop_length: int, n_bands: int) -> FrontEnd:
    """Return ``fe-sample-mel`` with this window and hop; a preset where one has them."""
    named = preset(f"fe-sample-mel-{window}")
    if named.hop_length == hop_length and named.n_bands == n_bands and named.sr == sr:
        return named
    return dataclasses.replace(
        named,
        name=f"fe-sample-mel-{window}-{hop_length}",
        sr=sr,
        hop_length=hop_length,
        n_bands=n_bands,
    )
