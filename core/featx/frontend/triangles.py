"""Banks of triangles: mel, Bark, ERB rate, and the notes of a scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.errors import ParameterError
from featx.frontend.banks import FilterBank, check_span, check_within
from featx.frontend.description import check_choice, check_integer, check_number
from featx.types import DoubleArray

if TYPE_CHECKING:
    from featx.frontend.framing import Framing


@dataclass(frozen=True, kw_only=True)
class _Triangles(FilterBank):
    """Triangles, straight in Hz, between neighbouring edges: a kind is its scale (`spaced`)."""

    n_bands: int = 128
    fmin: float = 0.0
    fmax: float | None = None
    norm: str = "slaney"

    def __post_init__(self) -> None:
        check_integer("n_bands", self.n_bands)
        check_span(self.fmin, self.fmax)
        check_choice("norm", self.norm, ("slaney", "area", "none"))

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:
        return self.n_bands

    def check_rate(self, sr: int) -> None:
        check_within(self.fmin, self.fmax, sr)

    def spaced(self, n: int, *, fmin: float, fmax: float) -> DoubleArray:
        """Return ``n`` frequencies in Hz, equally spaced on the scale from fmin to fmax."""
        raise NotImplementedError

    def edges(self, sr: int) -> DoubleArray:
        """Return the ``n_bands + 2`` edges in Hz."""
        top = sr / 2 if self.fmax is None else self.fmax
        return self.spaced(self.n_bands + 2, fmin=self.fmin, fmax=top)

    def matrix(self, *, sr: int, n_fft: int, tuning: float = 0.0) -> DoubleArray:
        from featx.frontend.filters import bin_frequencies, normalised, triangles

        edges = self.edges(sr)
        return normalised(triangles(edges, bin_frequencies(sr, n_fft)), edges, self.norm)

    def frequencies(self, *, sr: int, n_fft: int) -> DoubleArray:
        return self.edges(sr)[1:-1]


@dataclass(frozen=True, kw_only=True)
class Mel(_Triangles, id="mel"):
    """Triangles whose edges are equally spaced in mel.

    Parameters
    ----------
    n_bands, fmin, fmax, norm
        As of every bank of triangles: rows, range in Hz (``fmax`` None is sr / 2), and
        normalisation of the rows, 'slaney' (by bandwidth in Hz), 'area' (to a sum of 1) or 'none'.
    scale : {'slaney', 'htk'}
        Mel scale.
    linear_in : {'hz', 'mel'}
        Whether the sides of a triangle are straight in Hz or in mel.
    """

    scale: str = "slaney"
    linear_in: str = "hz"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("scale", self.scale, ("slaney", "htk"))
        check_choice("linear_in", self.linear_in, ("hz", "mel"))

    def spaced(self, n: int, *, fmin: float, fmax: float) -> DoubleArray:
        from featx.frontend.scales import mel_frequencies

        return mel_frequencies(n, fmin=fmin, fmax=fmax, htk=self.scale == "htk")

    def matrix(self, *, sr: int, n_fft: int, tuning: float = 0.0) -> DoubleArray:
        from featx.frontend.filters import bin_frequencies, normalised, triangles
        from featx.frontend.scales import hz_to_mel

        if self.linear_in == "hz":
            return super().matrix(sr=sr, n_fft=n_fft, tuning=tuning)
        htk, edges, bins = self.scale == "htk", self.edges(sr), bin_frequencies(sr, n_fft)
        sides = triangles(hz_to_mel(edges, htk=htk), hz_to_mel(bins, htk=htk))
        return normalised(sides, edges, self.norm)


@dataclass(frozen=True, kw_only=True)
class Bark(_Triangles, id="bark"):
    """Triangles whose edges are equally spaced in Bark; parameters as of `Mel`."""

    n_bands: int = 24
    fmin: float = 20.0

    def spaced(self, n: int, *, fmin: float, fmax: float) -> DoubleArray:
        from featx.frontend.scales import bark_frequencies

        return bark_frequencies(n, fmin=fmin, fmax=fmax)


@dataclass(frozen=True, kw_only=True)
class Erb(_Triangles, id="erb"):
    """Triangles whose edges are equally spaced in ERB rate; parameters as of `Mel`."""

    n_bands: int = 64
    fmin: float = 50.0

    def spaced(self, n: int, *, fmin: float, fmax: float) -> DoubleArray:
        from featx.frontend.scales import erb_frequencies

        return erb_frequencies(n, fmin=fmin, fmax=fmax)


@dataclass(frozen=True, kw_only=True)
class LogFrequency(FilterBank, id="logfreq"):
    """Triangles between the unique bins nearest to the notes of a scale, as in madmom.

    Notes are ``fref * 2 ** (i / bands_per_octave)`` within fmin..fmax. The Nyquist bin is not used.

    Parameters
    ----------
    bands_per_octave : int > 0
        Notes in an octave. Low notes share bins, so there are fewer rows.
    fmin, fmax : float > 0
        Range in Hz; ``fmax`` None is sr / 2.
    norm : {'slaney', 'area', 'none'}
        Row normalisation: by bandwidth in Hz, to a sum of 1, or unit peaks.
    fref : float > 0
        A4 in Hz.

    References
    ----------
    Böck, Korzeniowski, Schlüter, Krebs, Widmer. "madmom". ACM Multimedia, 2016.
    """

    bands_per_octave: int = 12
    fmin: float = 30.0
    fmax: float | None = None
    norm: str = "area"
    fref: float = 440.0

    def __post_init__(self) -> None:
        check_integer("bands_per_octave", self.bands_per_octave)
        check_number("fmin", self.fmin)
        check_span(self.fmin, self.fmax)
        check_choice("norm", self.norm, ("slaney", "area", "none"))
        check_number("fref", self.fref)

    def check_rate(self, sr: int) -> None:
        check_within(self.fmin, self.fmax, sr)

    def bins(self, *, n_fft: int, sr: int) -> tuple[int, ...]:
        """Return the unique bins nearest to the notes, edges included.

        A note half-way between two bins takes the upper one.
        """
        fmax = sr / 2 if self.fmax is None else self.fmax
        first = math.floor(math.log2(self.fmin / self.fref) * self.bands_per_octave)
        last = math.ceil(math.log2(fmax / self.fref) * self.bands_per_octave)
        notes = (self.fref * 2.0 ** (i / self.bands_per_octave) for i in range(first, last + 1))
        top = n_fft // 2 - 1
        bins = (math.floor(note * n_fft / sr + 0.5) for note in notes if self.fmin <= note <= fmax)
        return tuple(sorted({min(max(k, 0), top) for k in bins}))

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:
        if sr is None or framing is None:
            raise ParameterError("sr must be given to count the bands of LogFrequency, got None.")
        n_fft = framing.n_fft
        bands = len(self.bins(n_fft=n_fft, sr=sr)) - 2
        if bands < 1:
            raise ParameterError(
                f"fmax must leave at least 3 distinct bins between fmin = {self.fmin} and fmax, "
                f"got {self.fmax} with n_fft {n_fft}."
            )
        return bands

    def matrix(self, *, sr: int, n_fft: int, tuning: float = 0.0) -> DoubleArray:
        import numpy as np

        from featx.frontend.filters import normalised, triangles

        edges = np.asarray(self.bins(n_fft=n_fft, sr=sr), dtype=np.float64)
        sides = triangles(edges, np.arange(n_fft // 2 + 1, dtype=np.float64))
        return normalised(sides, edges * (sr / n_fft), self.norm)

    def frequencies(self, *, sr: int, n_fft: int) -> DoubleArray:
        from featx.frontend.filters import bin_frequencies

        return bin_frequencies(sr, n_fft)[list(self.bins(n_fft=n_fft, sr=sr)[1:-1])]

    @property
    def summary(self) -> str:
        return "bands, logarithmic in frequency"
