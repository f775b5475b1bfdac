"""Everyday functions with librosa's keywords and defaults; their arrays are time first."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.banks import Bins
from featx.frontend.blocks import stft_blocks
from featx.frontend.cepstra import derivative
from featx.frontend.checks import check_out, check_threads, check_waveforms
from featx.frontend.compression import Decibel
from featx.frontend.filters import BandedBank
from featx.frontend.framing import Framing
from featx.frontend.front_end import Cepstrum, FrontEnd
from featx.frontend.geometry import framing_of
from featx.frontend.lanes import apply_bank, fill, has_lanes
from featx.frontend.pitch_classes import LibrosaChroma
from featx.frontend.processor import Processor, compute
from featx.frontend.triangles import Mel
from featx.types import AnyArray, FloatArray

# what the functions derive from: librosa's frames, and the parts of every representation
_SPECTRUM = FrontEnd(name="spectrogram", sr=None, framing=Framing(pad_mode="constant"), bank=Bins())
_MEL = dataclasses.replace(_SPECTRUM, name="melspectrogram", bank=Mel())
_MFCC = dataclasses.replace(_MEL, name="mfcc", compression=Decibel(), cepstrum=Cepstrum())
_CHROMA = dataclasses.replace(_SPECTRUM, name="chroma", bank=LibrosaChroma())


def stft(
    y: FloatArray,
    *,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    out: AnyArray | None = None,
    threads: int = 1,
) -> AnyArray:
    """Return the short-time Fourier transform.

    Parameters
    ----------
    y : float32 array, shape (n_samples,) or (channels, n_samples)
        Waveform; channels are computed each as if alone, and lead in the result.
    n_fft, win_length, hop_length : int > 0
        Samples. ``win_length`` is ``n_fft`` and ``hop_length`` a quarter of it by default.
    window, center, pad_mode
        As in `Framing`.
    out : complex64 array, shape (n_frames, n_fft // 2 + 1), optional
        Written and returned instead of a new array.
    threads : int > 0
        As in `compute`.

    Returns
    -------
    complex64 array, shape (n_frames, n_fft // 2 + 1)
    """
    if hop_length is None:
        hop_length = (win_length or n_fft) // 4
    fe = _derived(
        _SPECTRUM, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window,
        center=center, pad_mode=pad_mode,
    )  # fmt: skip
    framing = framing_of(fe)
    y = check_waveforms(y)
    check_threads(threads)
    total = framing.n_frames(y.shape[-1])
    out = check_out(out, (*y.shape[:-1], total, framing.n_bins), np.complex64)
    for channel in np.ndindex(y.shape[:-1]):
        one, spectra = np.ascontiguousarray(y[channel]), out[channel]
        if has_lanes(fe):
            fill(one, fe, spectra, threads=threads)
        else:
            for first, X in stft_blocks(one, framing):
                spectra[first : first + len(X)] = X
    return out


def spectrogram(
    y: FloatArray,
    *,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    power: float = 1.0,
    filter_bank: AnyArray | None = None,
    out: FloatArray | None = None,
    threads: int = 1,
) -> FloatArray:
    """Return the magnitude (``power`` 1) or power (2) spectrogram.

    Parameters and errors as `stft`; ``out`` is float32. A ``filter_bank`` of shape
    ``(n_bands, n_fft // 2 + 1)`` is applied to every spectrum as it is computed; `Processor` saves
    preparing it in every call.

    Returns
    -------
    float32 array, shape (n_frames, n_fft // 2 + 1 or n_bands), >= 0 unless weights are negative
    """
    fe = _derived(
        _SPECTRUM, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window,
        center=center, pad_mode=pad_mode, power=power,
    )  # fmt: skip
    if filter_bank is not None:
        return Processor(fe, sr=1, filter_bank=filter_bank)(y, out=out, threads=threads)
    return compute(y, fe, sr=1, out=out, threads=threads)


def melspectrogram(
    y: FloatArray,
    *,
    sr: int = 22050,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    power: float = 2.0,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | None = "slaney",
    out: FloatArray | None = None,
    threads: int = 1,
) -> FloatArray:
    """Return the mel spectrogram, not compressed.

    Parameters
    ----------
    y : float32 array, shape (n_samples,) or (channels, n_samples)
        Waveform; channels are computed each as if alone, and lead in the result.
    sr : int > 0
        Its rate in Hz.
    n_fft, hop_length, win_length, window, center, pad_mode, power, out, threads
        As in `spectrogram`.
    n_mels, fmin, fmax, htk, norm
        As in `mel_filter_bank`.

    Returns
    -------
    float32 array, shape (n_frames, n_mels), >= 0
    """
    fe = _derived(
        _MEL, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window,
        center=center, pad_mode=pad_mode, sr=sr, power=power, n_bands=n_mels, fmin=fmin,
        fmax=fmax, scale="htk" if htk else "slaney", norm=norm or "none",
    )  # fmt: skip
    return compute(y, fe, sr=sr, out=out, threads=threads)


def mfcc(
    y: FloatArray,
    *,
    sr: int = 22050,
    n_mfcc: int = 20,
    lifter: float = 0.0,
    deltas: int = 0,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    mel_norm: str | None = "slaney",
    top_db: float | None = 80.0,
    out: FloatArray | None = None,
    threads: int = 1,
) -> FloatArray:
    """Return mel-frequency cepstral coefficients of the power mel spectrogram in dB.

    Parameters
    ----------
    n_mfcc : int > 0
        Coefficients, the zeroth included.
    lifter : float >= 0
        Cepstral lifter; 0 for none.
    deltas : {0, 1, 2}
        First and second derivatives over 9 frames (`deltas`) that follow the coefficients.
    mel_norm : {'slaney', 'area', None}
        Normalisation of the mel filters; the DCT is orthonormal.
    top_db : float >= 0 or None
        Dynamic range below the loudest value of the clip.
    y, sr, n_fft, hop_length, win_length, window, center, pad_mode, n_mels, fmin, fmax, htk, out,\
 threads
        As in `melspectrogram`.

    Returns
    -------
    float32 array, shape (n_frames, n_mfcc * (1 + deltas))
    """
    fe = _derived(
        _MFCC, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window,
        center=center, pad_mode=pad_mode, sr=sr, n_bands=n_mels, fmin=fmin, fmax=fmax,
        scale="htk" if htk else "slaney", norm=mel_norm or "none", top_db=top_db, n_mfcc=n_mfcc,
        lifter=lifter, deltas=deltas,
    )  # fmt: skip
    return compute(y, fe, sr=sr, out=out, threads=threads)


def chroma(
    y: FloatArray,
    *,
    sr: int = 22050,
    norm: str | None = "max",
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    estimate_tuning: bool = True,
    n_chroma: int = 12,
    out: FloatArray | None = None,
    threads: int = 1,
) -> FloatArray:
    """Return a chromagram of the power spectrogram, as librosa's ``chroma_stft`` does.

    Parameters
    ----------
    norm : {'max', 'l2', None}
        Norm of every frame; silent frames stay zero.
    estimate_tuning : bool
        Shift the filters by the estimated deviation from A4 = 440 Hz.
    n_chroma : int > 0
        Classes per octave, C first.
    y, sr, n_fft, hop_length, win_length, window, center, pad_mode, out, threads
        As in `melspectrogram`.

    Returns
    -------
    float32 array, shape (n_frames, n_chroma), >= 0
    """
    fe = _derived(
        _CHROMA, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window,
        center=center, pad_mode=pad_mode, sr=sr, n_bands=n_chroma,
        estimate_tuning=estimate_tuning, frame_norm=norm or "none",
    )  # fmt: skip
    return compute(y, fe, sr=sr, out=out, threads=threads)


def deltas(x: FloatArray, *, width: int = 9, order: int = 1) -> FloatArray:
    """Return derivatives over time by a Savitzky-Golay filter, edges interpolated.

    Parameters
    ----------
    x : float32 array, shape (n_frames, dim) or (channels, n_frames, dim)
        Any frame-wise feature.
    width : int, odd, >= 3
        Frames that a polynomial is fitted to. Fewer frames than that take the largest odd number
        there is.
    order : {1, 2}
        Derivative, and degree of the polynomial.

    Returns
    -------
    float32 array of the same shape
        Per frame; zeros where there are too few frames for the polynomial.
    """
    if width < 3 or width % 2 == 0:
        raise ParameterError(f"width must be an odd integer >= 3, got {width}.")
    if order not in (1, 2):
        raise ParameterError(f"order must be 1 or 2, got {order}.")
    x = _check_frames("x", x)
    out = np.empty_like(x)
    for channel in np.ndindex(x.shape[:-2]):
        out[channel] = derivative(x[channel], width=width, order=order)
    return out


def filter_spectrogram(
    S: FloatArray, filter_bank: AnyArray, *, out: FloatArray | None = None
) -> FloatArray:
    """Apply a filter bank to a spectrogram through the banded kernel.

    Parameters
    ----------
    S : float32 array, shape (n_frames, n_bins) or (channels, n_frames, n_bins)
        Left untouched. ``spectrogram(y, filter_bank=...)`` needs no spectrogram in memory.
    filter_bank : array, shape (n_bands, n_bins)
        Such as `mel_filter_bank` returns.
    out : float32 array, shape (n_frames, n_bands) or (channels, n_frames, n_bands), optional
        Written and returned instead of a new array.

    Returns
    -------
    float32 array, shape (n_frames, n_bands) or (channels, n_frames, n_bands)

    Raises
    ------
    ParameterError
        If the shapes do not fit or ``S`` is not float32.
    """
    S = _check_frames("S", S)
    bank = np.asarray(filter_bank)
    if bank.ndim != 2 or bank.shape[1] != S.shape[-1]:
        raise ParameterError(
            f"filter_bank must have shape (n_bands, {S.shape[-1]}), got {bank.shape}."
        )
    out = check_out(out, (*S.shape[:-1], len(bank)))
    if out.size:
        rows = S.reshape(-1, S.shape[-1])
        apply_bank(rows, BandedBank.from_dense(bank), out=out.reshape(-1, len(bank)))
    return out


def librosa_layout(S: FloatArray) -> FloatArray:
    """Return frames as librosa has them, time last.

    Parameters
    ----------
    S : array, shape (n_frames, dim) or (channels, n_frames, dim)
        What any function here returns.

    Returns
    -------
    array of the same dtype, shape (dim, n_frames) or (channels, dim, n_frames)
        C-contiguous. The view ``S.T`` costs nothing and does where strides do not matter.

    Raises
    ------
    ParameterError
        If ``S`` has fewer than two axes.
    """
    if S.ndim < 2:
        raise ParameterError(f"S must have shape (n_frames, dim), got shape {S.shape}.")
    return np.ascontiguousarray(np.swapaxes(S, -1, -2))


#: `FrontEnd.but`, made once for equal keywords: its checks cost as much as a short signal.
_remembered = functools.lru_cache(maxsize=128, typed=True)(FrontEnd.but)


def _derived(front_end: FrontEnd, **changes: Any) -> FrontEnd:
    """Return ``front_end`` but for ``changes``, made once for equal ones."""
    try:
        return _remembered(front_end, **changes)
    except TypeError:  # a value without a hash, such as a list: its own part refuses it
        return front_end.but(**changes)


def _check_frames(name: str, x: AnyArray) -> FloatArray:
    if x.ndim < 2 or x.dtype != np.float32:
        raise ParameterError(
            f"{name} must be float32 of shape (n_frames, dim) or (channels, n_frames, dim), "
            f"got shape {x.shape}, dtype {x.dtype}."
        )
    return np.ascontiguousarray(x)
