"""Weights of filter banks, dense for people and banded for the kernel."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from featx.errors import ParameterError
from featx.frontend.banks import FilterBank
from featx.frontend.triangles import Mel
from featx.types import AnyArray, DoubleArray, FloatArray


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


def warn_of_empty_rows(rows: list[int]) -> None:
    """Say which rows touch no bin; they are kept, because networks expect their columns.

    The warning names the line outside featx from which the bank was asked for.
    """
    if not rows:
        return
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("featx."):
        level, frame = level + 1, frame.f_back
    warnings.warn(
        f"{len(rows)} of the filter bank's rows touch no FFT bin and stay constant: {rows}. "
        "Use fewer bands or a larger n_fft unless a network expects them.",
        EmptyBandWarning,
        stacklevel=level,
    )


@lru_cache(maxsize=128)
def banded_bank(bank: FilterBank, *, sr: int, n_fft: int, tuning: float = 0.0) -> BandedBank:
    """Return a bank for a recording of that tuning, as the kernels read it."""
    return BandedBank.from_dense(bank.matrix(sr=sr, n_fft=n_fft, tuning=tuning))


def triangles(edges: DoubleArray, bins: DoubleArray) -> DoubleArray:
    """Return unit-peak triangles between neighbouring edges, evaluated at ``bins``."""
    left, centre, right = edges[:-2, np.newaxis], edges[1:-1, np.newaxis], edges[2:, np.newaxis]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))


def normalised(bank: DoubleArray, edges: DoubleArray, norm: str) -> DoubleArray:
    """Return ``bank``, whose rows lie between ``edges`` in Hz, with that norm."""
    if norm == "slaney":
        return np.asarray(bank * (2.0 / (edges[2:] - edges[:-2]))[:, np.newaxis])
    if norm == "area":
        total = bank.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(bank, total, out=np.zeros_like(bank), where=total > 0))
    return bank


def bin_frequencies(sr: float, n_fft: int) -> DoubleArray:
    """Return the frequencies in Hz of the bins of a one-sided spectrum."""
    return np.arange(n_fft // 2 + 1, dtype=np.float64) * (sr / n_fft)


def mel_filter_bank(
    *,
    sr: int,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | None = "slaney",
) -> DoubleArray:
    """Return triangular filters equally spaced in mel, with librosa's keywords.

    Other banks: ``Bark(n_bands=24).matrix(sr=sr, n_fft=n_fft)``, and so for every `FilterBank`.

    Parameters
    ----------
    sr : int > 0
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

    Returns
    -------
    float64 array, shape (n_mels, n_fft // 2 + 1)

    Raises
    ------
    ParameterError
        If the range is empty or not below sr / 2, or ``n_mels`` is not positive.

    Warns
    -----
    EmptyBandWarning
        If a row touches no bin. The row is kept.
    """
    if sr <= 0 or n_fft < 1:
        raise ParameterError(f"sr and n_fft must be > 0, got {sr} and {n_fft}.")
    bank = Mel(
        n_bands=n_mels, fmin=fmin, fmax=fmax, scale="htk" if htk else "slaney", norm=norm or "none"
    )
    bank.check_rate(sr)
    weights = bank.matrix(sr=sr, n_fft=n_fft)
    warn_of_empty_rows([int(i) for i in np.flatnonzero(~weights.any(axis=1))])
    return weights
