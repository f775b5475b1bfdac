"""A front end's output as a panel: what its bands are, and which unit the values have."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError
from featx.frontend import bark_frequencies, erb_frequencies, frames_spec, mel_frequencies, preset
from featx.frontend.geometry import log_bins
from featx_plot.panels import Frames

if TYPE_CHECKING:
    from featx.types import DoubleArray, FloatArray, FrontEnd

#: Decibels below the maximum that a spectrogram without compression shows.
DISPLAY_RANGE = 80.0

PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


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
    if fe.raw:
        raise ParameterError(
            f"front_end must be a time-frequency representation, got {fe.name!r}, the waveform."
        )
    n_harmonics = len(fe.harmonics)
    fe = dataclasses.replace(fe, harmonics=fe.harmonics[:1])  # two would lie between each other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyBandWarning)  # seen in the picture as dark rows
        values = compute(y, fe, sr=sr)
    spec = frames_spec("spectrogram", fe, sr=sr)
    unit = compression_text(fe)
    if not unit and not fe.n_mfcc and not fe.bank.startswith("chroma"):
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
    if fe.raw or fe.n_mfcc or fe.deltas:
        return None
    fmax = sr / 2 if fe.fmax is None else fe.fmax
    if fe.bank == "mel":
        edges = mel_frequencies(fe.n_bands + 2, fmin=fe.fmin, fmax=fmax, htk=fe.scale == "htk")
        return edges[1:-1]
    if fe.bank == "bark":
        return bark_frequencies(fe.n_bands + 2, fmin=fe.fmin, fmax=fmax)[1:-1]
    if fe.bank == "erb":
        return erb_frequencies(fe.n_bands + 2, fmin=fe.fmin, fmax=fmax)[1:-1]
    if fe.bank == "logfreq":
        return np.asarray(log_bins(fe, sr)[1:-1], dtype=np.float64) * (sr / fe.n_fft)
    if fe.bank == "cqt" and len(fe.harmonics) == 1:
        steps = np.arange(fe.n_bands) / fe.bands_per_octave
        return np.asarray(fe.fmin * fe.harmonics[0] * 2.0**steps)
    if fe.bank == "none":
        return np.arange(fe.n_fft // 2 + 1, dtype=np.float64) * (sr / fe.n_fft)
    return None


def band_labels(fe: FrontEnd) -> tuple[str, ...]:
    """Return names of pitch classes or cepstral coefficients, otherwise nothing."""
    if fe.n_mfcc:
        marks = ("", "Δ", "ΔΔ")[: fe.deltas + 1]
        return tuple(f"{mark}c{index}" for mark in marks for index in range(fe.n_mfcc))
    if fe.bank.startswith("chroma") and fe.n_bands == len(PITCH_CLASSES):
        return PITCH_CLASSES
    return ()


def compression_text(fe: FrontEnd) -> str:
    """Return how values relate to the spectrum S, such as ``log10(1 + 10 S)``."""
    if fe.n_mfcc:
        return ""
    if fe.compression in ("log10", "ln"):
        gain = "" if fe.gain == 1 else f"{fe.gain:g} "
        offset = "" if fe.offset == 0 else f"{fe.offset:g} + "
        return f"{fe.compression}({offset}{gain}S)"
    return "dB" if fe.compression == "db" else ""


def _size_text(fe: FrontEnd, dim: int, n_harmonics: int) -> str:
    if fe.n_mfcc:
        return f"{dim} cepstral coefficients"
    if fe.bank == "cqt":
        several = f", the first of {n_harmonics} harmonics" if n_harmonics > 1 else ""
        return f"{dim} constant-Q bins{several}"
    words = {"none": "bins", "frames": "samples", "logfreq": "bands, logarithmic in frequency"}
    return f"{dim} {words.get(fe.bank, fe.bank.partition('-')[0] + ' bands')}"


def _decibels(values: FloatArray, power: float) -> FloatArray:
    """Return levels relative to the maximum, at least -`DISPLAY_RANGE`."""
    peak = float(values.max(initial=0.0))
    if peak <= 0:
        return np.full_like(values, -DISPLAY_RANGE)
    factor = 10.0 if power == 2 else 20.0
    levels = factor * np.log10(np.maximum(values / peak, np.finfo(np.float32).tiny))
    return np.asarray(np.maximum(levels, -DISPLAY_RANGE), dtype=np.float32)
