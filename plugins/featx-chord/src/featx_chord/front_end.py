"""The spectrum that chords are read from: three bins per semitone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.frontend import FilterBank, Framing, FrontEnd

if TYPE_CHECKING:
    from featx.types import DoubleArray

SR = 22050
#: MIDI pitch of the lowest note, C1.
LOWEST = 24
#: Seven octaves, to B7.
N_NOTES = 84
BINS_PER_SEMITONE = 3
N_BINS = BINS_PER_SEMITONE * N_NOTES


@dataclass(frozen=True, kw_only=True)
class Semitones(FilterBank, id="chord-semitones"):
    """Thirds of semitones from C1 on, a raised cosine around each.

    A cosine reaches to the neighbouring centres, and at low frequencies to the neighbouring bins of
    the spectrum where these are further away. Its weights sum to 1.
    """

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:  # noqa: ARG002
        """Return the number of thirds of semitones."""
        return N_BINS

    def frequencies(self, *, sr: int, n_fft: int) -> DoubleArray:  # noqa: ARG002
        """Return the centres in Hz."""
        import numpy as np

        pitches = LOWEST + (np.arange(N_BINS) - 1.0) / BINS_PER_SEMITONE
        return np.asarray(440.0 * 2.0 ** ((pitches - 69.0) / 12.0))

    def matrix(self, *, sr: int, n_fft: int, tuning: float = 0.0) -> DoubleArray:  # noqa: ARG002
        """Return the weights, shape ``(252, n_fft // 2 + 1)``."""
        import numpy as np

        centres = self.frequencies(sr=sr, n_fft=n_fft)
        width = centres * (2.0 ** (1.0 / (12 * BINS_PER_SEMITONE)) - 1.0)
        width = np.maximum(width, sr / n_fft)[:, np.newaxis]
        bins = np.arange(n_fft // 2 + 1) * (sr / n_fft)
        distance = np.minimum(np.abs(bins - centres[:, np.newaxis]) / width, 1.0)
        weights = 0.5 + 0.5 * np.cos(np.pi * distance)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


#: Windows of 372 ms every 93 ms.
FRONT_END = FrontEnd(
    name="chord-semitones",
    sr=SR,
    framing=Framing(n_fft=8192, hop_length=2048, pad_mode="constant"),
    power=1.0,
    bank=Semitones(),
)
