"""A front end's output as a panel: what its bands are, and which unit the values have."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError
from featx.frontend import ConstantQ, Decibel, Waveform, frames_spec, preset
from featx_plot.panels import Frames

if TYPE_CHECKING:
    from featx.frontend import FrontEnd
    from featx.types import DoubleArray, FloatArray

#: Decibels below the maximum that a spectrogram without compression shows.
DISPLAY_RANGE = 80.0


def spectrogram_panel(
    y: FloatArray, front_end: FrontEnd | str, *, sr: int, offset: float = 0.0, name: str = ""
) -> Frames:
    """Compute a front end and return it as a panel with time and frequency axes.

    A representation without compression is shown in decibels below its maximum, since powers
    themselves show little but the loudest moment. Of several harmonics the first is shown.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Waveform at the front end's rate.
    front_end : FrontEnd or str
        A preset name, or a front end of your own.
    sr : int > 0
        Rate of ``y`` in Hz.
    offset : float
        Time of the first sample in seconds.
    name : str
        Title; the front end's name and size if empty.

    Raises
    ------
    ParameterError
        If the front end is the waveform itself, or ``sr`` is not its rate.
    """
    from featx.frontend import EmptyBandWarning, compute  # bring in numba

    fe = preset(front_end)
    if isinstance(fe.bank, Waveform):
        raise ParameterError(
            f"front_end must be a time-frequency representation, got {fe.name!r}, the waveform."
        )
    n_harmonics = 1
    if isinstance(fe.bank, ConstantQ):
        n_harmonics = len(fe.bank.harmonics)
        fe = fe.but(harmonics=fe.bank.harmonics[:1])  # two would lie between each other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyBandWarning)  # seen in the picture as dark rows
        values = compute(y, fe, sr=sr)
    spec = frames_spec("spectrogram", fe, sr=sr)
    unit = compression_text(fe)
    if not unit and fe.cepstrum is None and not fe.bank.labels:
        values, unit = _decibels(values, fe.power), "dB relative to maximum"
    return Frames(
        name=name or f"{fe.name}: {_size_text(fe, values.shape[1], n_harmonics)}",
        values=values,
        times=spec.times(len(values), sr=sr) + offset,
        labels=band_labels(fe),
        frequencies=band_frequencies(fe, sr=sr),
        unit=unit,
    )


def band_frequencies(fe: FrontEnd, *, sr: int) -> DoubleArray | None:
    """Return the centre of every band in Hz, ascending; None where bands are no frequencies."""
    if fe.cepstrum is not None or fe.deltas:
        return None
    return fe.bank.frequencies(sr=sr, n_fft=0 if fe.framing is None else fe.framing.n_fft)


def band_labels(fe: FrontEnd) -> tuple[str, ...]:
    """Return names of pitch classes or cepstral coefficients, otherwise nothing."""
    if fe.cepstrum is not None:
        marks = ("", "Δ", "ΔΔ")[: fe.deltas + 1]
        return tuple(f"{mark}c{index}" for mark in marks for index in range(fe.cepstrum.n_mfcc))
    return fe.bank.labels


def compression_text(fe: FrontEnd) -> str:
    """Return how values relate to the spectrum S, such as ``log10(1 + 10 S)``."""
    if fe.cepstrum is not None or fe.compression is None:
        return ""
    return "dB" if isinstance(fe.compression, Decibel) else fe.compression.formula("S")


def _size_text(fe: FrontEnd, dim: int, n_harmonics: int) -> str:
    if fe.cepstrum is not None:
        return f"{dim} cepstral coefficients"
    several = f", the first of {n_harmonics} harmonics" if n_harmonics > 1 else ""
    return f"{dim} {fe.bank.summary}{several}"


def _decibels(values: FloatArray, power: float) -> FloatArray:
    """Return levels relative to the maximum, at least -`DISPLAY_RANGE`."""
    peak = float(values.max(initial=0.0))
    if peak <= 0:
        return np.full_like(values, -DISPLAY_RANGE)
    factor = 10.0 if power == 2 else 20.0
    levels = factor * np.log10(np.maximum(values / peak, np.finfo(np.float32).tiny))
    return np.asarray(np.maximum(levels, -DISPLAY_RANGE), dtype=np.float32)
