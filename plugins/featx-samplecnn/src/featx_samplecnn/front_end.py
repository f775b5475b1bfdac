"""The mel frames that take the place of a first layer."""

from __future__ import annotations

from featx import FrontEnd
from featx.frontend import preset


def mel_front_end(*, sr: int, window: int, hop_length: int, n_bands: int) -> FrontEnd:
    """Return ``fe-sample-mel`` with this window and hop; a preset where one has them."""
    named = preset(f"fe-sample-mel-{window}")
    derived = named.but(sr=sr, hop_length=hop_length, n_bands=n_bands)
    return named if derived == named else derived.but(name=f"fe-sample-mel-{window}-{hop_length}")
