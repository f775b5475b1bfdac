"""Filter banks over the one-sided spectrum, dense for people and banded for the kernel."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError
from featx.frontend.geometry import log_bins
from featx.frontend.scales import bark_frequencies, erb_frequencies, hz_to_mel, mel_frequencies

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray, FloatArray, FrontEnd

__all__ = [
    "BandedBank",
    "EmptyBandWarning",
    "bark_filter_bank",
    "chroma_filter_bank",
    "erb_filter_bank",
    "log_filter_bank",
    "mel_filter_bank",
]


class EmptyBandWarning(UserWarning):
    """A row of a filter bank touches no FFT bin: the column is constant."""


@dataclass(frozen=True, kw_only=True)
class BandedBank:
    """A filter bank as the kernel reads it: one run of weights per row.

    Row i covers the bins ``starts[i] .. starts[i] + lengths[i]`` with the weights that begin at
    ``offsets[i]``. Empty rows have length 0.
    """

    starts: AnyArray
    lengths: AnyArray
    offsets: AnyArray
    weights: FloatArray
    n_bins: int

    @property
    def arrays(self) -> tuple[AnyArray, AnyArray, AnyArray, FloatArray]:
        """The arrays in the order in which kernels take them."""
        return self.starts, self.lengths, self.offsets, self.weights

    @classmethod
    def from_dense(cls, bank: AnyArray) -> BandedBank:
        """Take the span from the first to the last non-zero weight of every row."""
        used = bank != 0
        filled = used.any(axis=1)
        starts = np.where(filled, used.argmax(axis=1), 0)
        stops = np.where(filled, bank.shape[1] - used[:, ::-1].argmax(axis=1), 0)
        lengths = stops - starts
        runs = [row[a:b] for row, a, b in zip(bank, starts, stops, strict=True)]
        return cls(
            starts=starts.astype(np.int64),
            lengths=lengths.astype(np.int64),
            offsets=(np.cumsum(lengths) - lengths).astype(np.int64),
            weights=np.ascontiguousarray(np.concatenate(runs), dtype=np.float32),
            n_bins=bank.shape[1],
        )

    @cached_property
    def empty(self) -> list[int]:
        """Rows without a bin."""
        return [int(row) for row in np.flatnonzero(self.lengths == 0)]


def warn_of_empty_rows(rows: list[int], *, stacklevel: int) -> None:
    """Say which rows touch no bin; they are kept, because networks expect their columns."""
    if rows:
        warnings.warn(
            f"{len(rows)} of the filter bank's rows touch no FFT bin and stay constant: {rows}. "
            "Use fewer bands or a larger n_fft unless a network expects them.",
            EmptyBandWarning,
            stacklevel=stacklevel + 1,
        )


def _triangles(edges: DoubleArray, bins: DoubleArray) -> DoubleArray:
    """Return unit-peak triangles between neighbouring edges, evaluated at ``bins``."""
    left, centre, right = edges[:-2, np.newaxis], edges[1:-1, np.newaxis], edges[2:, np.newaxis]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))


def _normalise(bank: DoubleArray, edges: DoubleArray, norm: str) -> DoubleArray:
    if norm == "slaney":
        return np.asarray(bank * (2.0 / (edges[2:] - edges[:-2]))[:, np.newaxis])
    if norm == "area":
        total = bank.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(bank, total, out=np.zeros_like(bank), where=total > 0))
    return bank


def _bin_frequencies(sr: float, n_fft: int) -> DoubleArray:
    return np.arange(n_fft // 2 + 1, dtype=np.float64) * (sr / n_fft)


def _check_range(sr: float, n_fft: int, fmin: float, fmax: float | None) -> float:
    if sr <= 0 or n_fft < 1:
        raise ParameterError(f"sr and n_fft must be > 0, got {sr} and {n_fft}.")
    top = sr / 2 if fmax is None else fmax
    if not 0 <= fmin < top:
        raise ParameterError(f"fmin must lie within 0..fmax = {top}, got {fmin}.")
    return top


def mel_filter_bank(
    *,
    sr: float,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | None = "slaney",
    linear_in: str = "hz",
) -> DoubleArray:
    """Return triangular filters equally spaced in mel.

    Parameters
    ----------
    sr : float > 0
        Rate in Hz.
    n_fft : int > 0
        Size of the spectrum, odd or even.
    n_mels : int > 0
        Rows.
    fmin, fmax : float
        Range in Hz; ``fmax`` None is sr / 2.
    htk : bool
        HTK's mel scale instead of Slaney's.
    norm : {'slaney', 'area', None}
        Divide a row by half its width in Hz, make it sum to 1, or leave unit peaks.
    linear_in : {'hz', 'mel'}
        The sides are straight lines in Hz (librosa, torchaudio) or in mel (HTK, Kaldi).

    Returns
    -------
    float64 array, shape (n_mels, n_fft // 2 + 1)

    Raises
    ------
    ParameterError
        If the range is empty, or ``n_mels`` is not positive.

    Warns
    -----
    EmptyBandWarning
        If a row touches no bin. The row is kept.
    """
    bank = _mel_bank(
        sr, n_fft, n_mels, fmin, fmax, htk=htk, norm=norm or "none", linear_in=linear_in
    )
    warn_of_empty_rows([int(i) for i in np.flatnonzero(~bank.any(axis=1))], stacklevel=2)
    return bank


def _mel_bank(
    sr: float,
    n_fft: int,
    n_mels: int,
    fmin: float,
    fmax: float | None,
    *,
    htk: bool,
    norm: str,
    linear_in: str,
) -> DoubleArray:
    top = _check_range(sr, n_fft, fmin, fmax)
    if n_mels < 1:
        raise ParameterError(f"n_mels must be an integer > 0, got {n_mels}.")
    edges = mel_frequencies(n_mels + 2, fmin=fmin, fmax=top, htk=htk)
    bins = _bin_frequencies(sr, n_fft)
    if linear_in == "mel":
        bank = _triangles(hz_to_mel(edges, htk=htk), hz_to_mel(bins, htk=htk))
    else:
        bank = _triangles(edges, bins)
    return _normalise(bank, edges, norm)


def bark_filter_bank(
    *,
    sr: float,
    n_fft: int,
    n_bands: int = 24,
    fmin: float = 20.0,
    fmax: float | None = None,
    norm: str | None = "slaney",
) -> DoubleArray:
    """Return triangular filters, straight in Hz, whose edges are equally spaced in Bark.

    Parameters and errors as `mel_filter_bank`.

    Returns
    -------
    float64 array, shape (n_bands, n_fft // 2 + 1)
    """
    return _spaced_bank(bark_frequencies, sr, n_fft, n_bands, fmin, fmax, norm)


def _spaced_bank(
    frequencies: Callable[..., DoubleArray],
    sr: float,
    n_fft: int,
    n_bands: int,
    fmin: float,
    fmax: float | None,
    norm: str | None,
) -> DoubleArray:
    top = _check_range(sr, n_fft, fmin, fmax)
    if n_bands < 1:
        raise ParameterError(f"n_bands must be an integer > 0, got {n_bands}.")
    edges = frequencies(n_bands + 2, fmin=fmin, fmax=top)
    return _normalise(_triangles(edges, _bin_frequencies(sr, n_fft)), edges, norm or "none")


def erb_filter_bank(
    *,
    sr: float,
    n_fft: int,
    n_bands: int = 64,
    fmin: float = 50.0,
    fmax: float | None = None,
    norm: str | None = "slaney",
) -> DoubleArray:
    """Return triangular filters, straight in Hz, whose edges are equally spaced in ERB rate.

    Parameters and errors as `mel_filter_bank`.

    Returns
    -------
    float64 array, shape (n_bands, n_fft // 2 + 1)
    """
    return _spaced_bank(erb_frequencies, sr, n_fft, n_bands, fmin, fmax, norm)


def log_filter_bank(fe: FrontEnd, *, sr: int) -> DoubleArray:
    """Return triangular filters between the unique bins nearest to the notes of a scale.

    Parameters
    ----------
    fe : FrontEnd
        ``bands_per_octave``, ``fmin``, ``fmax``, ``fref``, ``n_fft`` and ``norm`` are read.
    sr : int > 0
        Rate in Hz.

    Returns
    -------
    float64 array, shape (n_bands, n_fft // 2 + 1)
        The Nyquist bin is never used.

    References
    ----------
    Böck, Korzeniowski, Schlüter, Krebs, Widmer. "madmom". ACM Multimedia, 2016.
    """
    edges = np.asarray(log_bins(fe, sr), dtype=np.float64)
    bank = _triangles(edges, np.arange(fe.n_fft // 2 + 1, dtype=np.float64))
    return _normalise(bank, edges * (sr / fe.n_fft), fe.norm)


def chroma_filter_bank(
    *,
    sr: float,
    n_fft: int,
    n_chroma: int = 12,
    fmin: float = 55.0,
    fmax: float | None = 1760.0,
    sigma: float = 1.0,
    tuning: float = 0.0,
    fref: float = 440.0,
) -> DoubleArray:
    """Return Gaussians around the pitch classes, C first.

    A bin within fmin..fmax counts for every class with ``exp(-d ** 2 / (2 sigma ** 2))``, d its
    circular distance in semitones.

    Parameters
    ----------
    sr : float > 0
        Rate in Hz.
    n_fft : int > 0
        Size of the spectrum.
    n_chroma : int > 0
        Classes per octave; class 0 is centred on C.
    fmin, fmax : float
        Range in Hz; ``fmax`` None is sr / 2.
    sigma : float > 0
        Semitones.
    tuning : float
        Deviation of the recording from ``fref``, in classes (semitones for 12).
    fref : float > 0
        A4 in Hz.

    Returns
    -------
    float64 array, shape (n_chroma, n_fft // 2 + 1)
    """
    top = _check_range(sr, n_fft, fmin, fmax)
    bins = _bin_frequencies(sr, n_fft)
    inside = (bins >= max(fmin, np.finfo(np.float64).tiny)) & (bins <= top)
    octaves = np.log2(np.where(inside, bins, fref) / fref)
    semitones = 12.0 * octaves + 9.0 - tuning * 12.0 / n_chroma
    classes = np.arange(n_chroma)[:, np.newaxis] * (12.0 / n_chroma)
    distance = (semitones - classes + 6.0) % 12.0 - 6.0
    return np.asarray(np.exp(-0.5 * (distance / sigma) ** 2) * inside)


def librosa_chroma_bank(*, sr: float, n_fft: int, n_chroma: int, tuning: float) -> DoubleArray:
    """Return librosa's chroma filters: narrow bumps under a Gaussian over octaves, C first."""
    frequencies = np.arange(1, n_fft) * (sr / n_fft)
    a0 = 440.0 * 2.0 ** (tuning / n_chroma) / 16.0
    places = n_chroma * np.log2(frequencies / a0)
    places = np.concatenate(([places[0] - 1.5 * n_chroma], places))
    widths = np.concatenate((np.maximum(np.diff(places), 1.0), [1.0]))
    distance = places - np.arange(n_chroma)[:, np.newaxis]
    half = np.round(n_chroma / 2)
    distance = np.remainder(distance + half + 10 * n_chroma, n_chroma) - half
    bumps = np.exp(-0.5 * (2.0 * distance / widths) ** 2)
    bumps /= np.sqrt((bumps**2).sum(axis=0))
    bumps *= np.exp(-0.5 * ((places / n_chroma - 5.0) / 2.0) ** 2)
    return np.asarray(np.roll(bumps, -3 * (n_chroma // 12), axis=0)[:, : n_fft // 2 + 1])


def dense_bank(fe: FrontEnd, sr: int, *, tuning: float = 0.0) -> DoubleArray:
    """Return the bank that ``fe`` describes at ``sr``, shape ``(n_bands, n_fft // 2 + 1)``."""
    if fe.bank == "mel":
        return _mel_bank(
            sr, fe.n_fft, fe.n_bands, fe.fmin, fe.fmax,
            htk=fe.scale == "htk", norm=fe.norm, linear_in=fe.linear_in,
        )  # fmt: skip
    if fe.bank in ("bark", "erb"):
        frequencies = bark_frequencies if fe.bank == "bark" else erb_frequencies
        return _spaced_bank(frequencies, sr, fe.n_fft, fe.n_bands, fe.fmin, fe.fmax, fe.norm)
    if fe.bank == "logfreq":
        return log_filter_bank(fe, sr=sr)
    if fe.bank == "chroma-librosa":
        return librosa_chroma_bank(sr=sr, n_fft=fe.n_fft, n_chroma=fe.n_bands, tuning=tuning)
    return chroma_filter_bank(
        sr=sr, n_fft=fe.n_fft, n_chroma=fe.n_bands, fmin=fe.fmin, fmax=fe.fmax,
        sigma=fe.sigma, tuning=tuning, fref=fe.fref,
    )  # fmt: skip
