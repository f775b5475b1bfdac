"""Chroma banks: every bin counts for the pitch classes that it is near."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.frontend.banks import FilterBank, check_span, check_within
from featx.frontend.description import check_integer, check_number
from featx.types import DoubleArray

if TYPE_CHECKING:
    from featx.frontend.framing import Framing

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True, kw_only=True)
class _PitchClasses(FilterBank):
    n_bands: int = 12
    estimate_tuning: bool = False

    def __post_init__(self) -> None:
        check_integer("n_bands", self.n_bands)

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:
        return self.n_bands

    @property
    def tuned(self) -> bool:
        return self.estimate_tuning

    @property
    def labels(self) -> tuple[str, ...]:
        return PITCH_CLASSES if self.n_bands == len(PITCH_CLASSES) else ()

    @property
    def summary(self) -> str:
        return "chroma bands"


@dataclass(frozen=True, kw_only=True)
class Chroma(_PitchClasses, id="chroma"):
    """Gaussians around the pitch classes, C first.

    A bin within fmin..fmax counts for every class with ``exp(-d ** 2 / (2 sigma ** 2))``, d its
    circular distance in semitones.

    Parameters
    ----------
    n_bands : int > 0
        Classes per octave; class 0 is centred on C.
    estimate_tuning : bool
        Shift the bank by the deviation from A4 = 440 Hz that is estimated over the clip.
    fmin, fmax : float
        Range in Hz; ``fmax`` None is sr / 2.
    sigma : float > 0
        Standard deviation in semitones.
    fref : float > 0
        A4 in Hz.
    """

    fmin: float = 55.0
    fmax: float | None = 1760.0
    sigma: float = 1.0
    fref: float = 440.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_span(self.fmin, self.fmax)
        check_number("sigma", self.sigma)
        check_number("fref", self.fref)

    def check_rate(self, sr: int) -> None:
        check_within(self.fmin, self.fmax, sr)

    def matrix(self, *, sr: int, n_fft: int, tuning: float = 0.0) -> DoubleArray:
        import numpy as np

        from featx.frontend.filters import bin_frequencies

        top = sr / 2 if self.fmax is None else self.fmax
        bins = bin_frequencies(sr, n_fft)
        inside = (bins >= max(self.fmin, np.finfo(np.float64).tiny)) & (bins <= top)
        octaves = np.log2(np.where(inside, bins, self.fref) / self.fref)
        semitones = 12.0 * octaves + 9.0 - tuning * 12.0 / self.n_bands
        classes = np.arange(self.n_bands)[:, np.newaxis] * (12.0 / self.n_bands)
        distance = (semitones - classes + 6.0) % 12.0 - 6.0
        return np.asarray(np.exp(-0.5 * (distance / self.sigma) ** 2) * inside)


@dataclass(frozen=True, kw_only=True)
class LibrosaChroma(_PitchClasses, id="chroma-librosa"):
    """librosa's chroma filters: narrow bumps under a Gaussian over octaves, C first.

    Parameters
    ----------
    n_bands : int > 0
        Classes per octave.
    estimate_tuning : bool
        Shift the bank by the deviation from A4 = 440 Hz that is estimated over the clip.
    """

    def matrix(self, *, sr: int, n_fft: int, tuning: float = 0.0) -> DoubleArray:
        import numpy as np

        n = self.n_bands
        frequencies = np.arange(1, n_fft) * (sr / n_fft)
        a0 = 440.0 * 2.0 ** (tuning / n) / 16.0
        places = n * np.log2(frequencies / a0)
        places = np.concatenate(([places[0] - 1.5 * n], places))
        widths = np.concatenate((np.maximum(np.diff(places), 1.0), [1.0]))
        distance = places - np.arange(n)[:, np.newaxis]
        half = np.round(n / 2)
        distance = np.remainder(distance + half + 10 * n, n) - half
        bumps = np.exp(-0.5 * (2.0 * distance / widths) ** 2)
        bumps /= np.sqrt((bumps**2).sum(axis=0))
        bumps *= np.exp(-0.5 * ((places / n - 5.0) / 2.0) ** 2)
        return np.asarray(np.roll(bumps, -3 * (n // 12), axis=0)[:, : n_fft // 2 + 1])
