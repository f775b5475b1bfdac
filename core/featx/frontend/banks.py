"""What is made of a frame or its spectrum: the classes of banks, and those without filters.

A new kind is one class: its fields, its columns and its matrix. Modules with numpy are imported by
the methods that compute, so that planning stays light.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from featx.errors import ParameterError
from featx.frontend.constantq.filters import C1, check_range, longest
from featx.frontend.description import Part, check_choice, check_integer, check_number
from featx.types import DoubleArray

if TYPE_CHECKING:
    from featx.frontend.framing import Framing


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


def check_span(fmin: float, fmax: float | None) -> None:
    """Raise unless ``fmin`` lies below ``fmax``; None is half of the rate."""
    check_number("fmin", fmin, zero=True)
    if fmax is not None and not fmin < fmax < math.inf:
        raise ParameterError(f"fmax must be a finite number > fmin = {fmin}, got {fmax}.")


def check_within(fmin: float, fmax: float | None, sr: int) -> None:
    """Raise unless ``fmin`` and ``fmax`` lie below half of ``sr``."""
    top = sr / 2 if fmax is None else fmax
    if not fmin < top <= sr / 2:
        raise ParameterError(
            f"fmin and fmax must lie within 0..sr / 2 = {sr / 2:g} Hz, got {fmin:g}..{top:g}."
        )


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
