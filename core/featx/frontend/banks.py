"""What is made of a frame or its spectrum: one class for every kind of bank.

A new kind is one class here, or in a plugin: its fields, its columns and its matrix. Modules with
numpy are imported by the methods that compute, so that planning stays light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError
from featx.frontend.constantq.filters import C1, check_range, longest
from featx.frontend.description import Part, check_choice, check_integer, check_number

if TYPE_CHECKING:
    from featx.frontend.framing import Framing
    from featx.types import DoubleArray

__all__ = [
    "Bank",
    "Bark",
    "Bins",
    "Chroma",
    "ConstantQ",
    "Erb",
    "FilterBank",
    "LibrosaChroma",
    "LogFrequency",
    "Mel",
    "Samples",
    "Unframed",
    "Waveform",
]

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class Bank(Part):
    """What a front end makes of every frame of a waveform, or of the waveform itself."""

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:
        """Return the number of columns, of such frames at that rate."""
        raise NotImplementedError

    def check_rate(self, sr: int) -> None:
        """Raise unless the bank lies below half of ``sr``."""

    def frequencies(self, *, sr: int, n_fft: int) -> DoubleArray | None:
        """Return the centre of every column in Hz, ascending; None if columns are no frequencies.

        Of a constant-Q transform with several harmonics, None.
        """
        return None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the columns, where they have any."""
        return ()

    @property
    def summary(self) -> str:
        """Name of the columns in words, such as ``mel bands``."""
        return f"{self.id} bands"


@dataclass(frozen=True, kw_only=True)
class Bins(Bank, id="bins"):
    """The spectrum as it is, ``n_fft // 2 + 1`` columns."""

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:
        return 0 if framing is None else framing.n_bins

    def frequencies(self, *, sr: int, n_fft: int) -> DoubleArray:
        from featx.frontend.filters import bin_frequencies

        return bin_frequencies(sr, n_fft)

    @property
    def summary(self) -> str:
        return "bins"


@dataclass(frozen=True, kw_only=True)
class Samples(Bank, id="samples"):
    """The windowed samples of every frame; no spectrum is computed."""

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:
        return 0 if framing is None else framing.frame_samples

    @property
    def summary(self) -> str:
        return "samples"


# ---------------------------------------------------------------- filter banks
class FilterBank(Bank):
    """Columns that are weighted sums of the bins of a spectrum."""

    def matrix(self, *, sr: int, n_fft: int, tuning: float = 0.0) -> DoubleArray:
        """Return the weights, shape ``(n_columns, n_fft // 2 + 1)``.

        ``tuning`` is the deviation of a recording from A4 = 440 Hz, in columns, for banks that are
        `tuned`.
        """
        raise NotImplementedError

    @property
    def tuned(self) -> bool:
        """Whether the tuning of the recording is estimated for the matrix."""
        return False


def _check_span(fmin: float, fmax: float | None) -> None:
    check_number("fmin", fmin, zero=True)
    if fmax is not None and not fmin < fmax < math.inf:
        raise ParameterError(f"fmax must be a finite number > fmin = {fmin}, got {fmax}.")


def _check_within(fmin: float, fmax: float | None, sr: int) -> None:
    top = sr / 2 if fmax is None else fmax
    if not fmin < top <= sr / 2:
        raise ParameterError(
            f"fmin and fmax must lie within 0..sr / 2 = {sr / 2:g} Hz, got {fmin:g}..{top:g}."
        )


@dataclass(frozen=True, kw_only=True)
class _Triangles(FilterBank):
    """Triangles, straight in Hz, between neighbouring edges: a kind is its `edges`.

    Parameters
    ----------
    n_bands : int > 0
        Rows.
    fmin, fmax : float
        Range in Hz; ``fmax`` None is sr / 2.
    norm : {'slaney', 'area', 'none'}
        Row normalisation: by bandwidth in Hz, to a sum of 1, or unit peaks.
    """

    n_bands: int = 128
    fmin: float = 0.0
    fmax: float | None = None
    norm: str = "slaney"

    def __post_init__(self) -> None:
        check_integer("n_bands", self.n_bands)
        _check_span(self.fmin, self.fmax)
        check_choice("norm", self.norm, ("slaney", "area", "none"))

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:
        return self.n_bands

    def check_rate(self, sr: int) -> None:
        _check_within(self.fmin, self.fmax, sr)

    def edges(self, sr: int) -> DoubleArray:
        """Return the ``n_bands + 2`` edges in Hz."""
        raise NotImplementedError

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

    def edges(self, sr: int) -> DoubleArray:
        from featx.frontend.scales import mel_frequencies

        top = sr / 2 if self.fmax is None else self.fmax
        return mel_frequencies(self.n_bands + 2, fmin=self.fmin, fmax=top, htk=self.scale == "htk")

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

    def edges(self, sr: int) -> DoubleArray:
        from featx.frontend.scales import bark_frequencies

        top = sr / 2 if self.fmax is None else self.fmax
        return bark_frequencies(self.n_bands + 2, fmin=self.fmin, fmax=top)


@dataclass(frozen=True, kw_only=True)
class Erb(_Triangles, id="erb"):
    """Triangles whose edges are equally spaced in ERB rate; parameters as of `Mel`."""

    n_bands: int = 64
    fmin: float = 50.0

    def edges(self, sr: int) -> DoubleArray:
        from featx.frontend.scales import erb_frequencies

        top = sr / 2 if self.fmax is None else self.fmax
        return erb_frequencies(self.n_bands + 2, fmin=self.fmin, fmax=top)


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
        _check_span(self.fmin, self.fmax)
        check_choice("norm", self.norm, ("slaney", "area", "none"))
        check_number("fref", self.fref)

    def check_rate(self, sr: int) -> None:
        _check_within(self.fmin, self.fmax, sr)

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
        _check_span(self.fmin, self.fmax)
        check_number("sigma", self.sigma)
        check_number("fref", self.fref)

    def check_rate(self, sr: int) -> None:
        _check_within(self.fmin, self.fmax, sr)

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


# ---------------------------------------------------------------- without frames
class Unframed(Bank):
    """A bank that reads the waveform itself: its front end has no `Framing`."""

    @property
    def hop(self) -> Fraction:
        """Samples between two rows."""
        raise NotImplementedError

    def n_rows(self, n_samples: int) -> int:
        """Return the number of rows of ``n_samples``."""
        raise NotImplementedError

    def row_samples(self, sr: int) -> int:
        """Return how many samples one row looks at."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Waveform(Unframed, id="waveform"):
    """The waveform itself, ``(n_samples, 1)``."""

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:
        return 1

    @property
    def hop(self) -> Fraction:
        return Fraction(1)

    def n_rows(self, n_samples: int) -> int:
        return n_samples

    def row_samples(self, sr: int) -> int:
        return 1


@dataclass(frozen=True, kw_only=True)
class ConstantQ(Unframed, id="cqt"):
    """Magnitudes of a constant-Q transform, see `cqt`.

    Frame t is centred on sample ``t * hop_length``; there are ``1 + N // hop_length``.

    Parameters
    ----------
    hop_length : int > 0
        Samples between two frames.
    pad_mode : {'reflect', 'constant'}
        Constant is zero. Signals too short to reflect are padded with zeros.
    n_bands : int > 0
        Bins of every harmonic.
    bands_per_octave : int > 0
        Bins in an octave.
    fmin : float > 0
        Lowest frequency in Hz.
    harmonics : tuple of float > 0
        Factors of ``fmin``, one transform each. Column ``bin * len(harmonics) + i`` is a bin of
        ``harmonics[i]``, so that ``S.reshape(n_frames, n_bands, -1)`` parts them.
    """

    hop_length: int = 512
    pad_mode: str = "reflect"
    n_bands: int = 84
    bands_per_octave: int = 12
    fmin: float = C1
    harmonics: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for name in ("hop_length", "n_bands", "bands_per_octave"):
            check_integer(name, getattr(self, name))
        check_choice("pad_mode", self.pad_mode, ("reflect", "constant"))
        check_number("fmin", self.fmin)
        harmonics: Any = self.harmonics
        known = isinstance(harmonics, tuple) and len(harmonics) > 0
        if not known or not all(0 < item < math.inf for item in harmonics):
            raise ParameterError(
                f"harmonics must be a tuple of finite numbers > 0, got {self.harmonics!r}."
            )

    @property
    def hop(self) -> Fraction:
        return Fraction(self.hop_length)

    def n_rows(self, n_samples: int) -> int:
        return 1 + n_samples // self.hop_length if n_samples else 0

    def row_samples(self, sr: int) -> int:
        """Return the samples of the longest filter."""
        lowest = self.fmin * min(self.harmonics)
        return longest(sr, fmin=lowest, bins_per_octave=self.bands_per_octave)

    def n_columns(self, framing: Framing | None, *, sr: int | None) -> int:
        return self.n_bands * len(self.harmonics)

    def check_rate(self, sr: int) -> None:
        highest = self.fmin * max(self.harmonics)
        check_range(sr, fmin=highest, n_bins=self.n_bands, bins_per_octave=self.bands_per_octave)

    def frequencies(self, *, sr: int, n_fft: int) -> DoubleArray | None:
        import numpy as np

        if len(self.harmonics) > 1:
            return None
        steps = np.arange(self.n_bands) / self.bands_per_octave
        return np.asarray(self.fmin * self.harmonics[0] * 2.0**steps)

    @property
    def summary(self) -> str:
        return "constant-Q bins"
