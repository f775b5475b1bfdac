"""The constant-Q transform with librosa's keywords and defaults; arrays are time first."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.banks import Bins
from featx.frontend.checks import check_finite, check_out, check_waveform
from featx.frontend.constantq.filters import C1, check_range
from featx.frontend.constantq.tables import TransformSpec
from featx.frontend.constantq.transform import fill_constant_q
from featx.frontend.description import check_choice, check_integer, check_number
from featx.frontend.framing import Framing
from featx.frontend.front_end import FrontEnd
from featx.frontend.tuning import estimate_tuning
from featx.types import AnyArray, FloatArray

#: Spectra by which a recording's tuning is estimated, at any rate.
_TUNING = FrontEnd(
    name="tuning",
    sr=None,
    framing=Framing(n_fft=2048, hop_length=512, pad_mode="constant"),
    bank=Bins(),
)


def cqt(
    y: FloatArray,
    *,
    sr: int = 22050,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: float | None = 0.0,
    filter_scale: float = 1.0,
    norm: float | None = 1.0,
    window: str = "hann",
    scale: bool = True,
    pad_mode: str = "constant",
    out: AnyArray | None = None,
    threads: int = 1,
) -> AnyArray:
    """Return the constant-Q transform.

    Bin k looks for ``fmin * 2 ** (k / bins_per_octave)`` Hz through a window that is Q periods
    long. Filters are librosa's, but whole (its ``sparsity`` is 0), and of the same transform
    computed at the full rate the result is within 2e-4 of the peak. A tone of amplitude a at a
    bin's frequency has the magnitude ``a / 2 * sqrt(length)`` there, ``length`` being Q periods in
    samples.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform. Filters that are longer than it see padding around it.
    sr : int > 0
        Its rate in Hz.
    hop_length : int > 0
        Samples between two frames. Fastest where it can be halved once per octave.
    fmin : float > 0, optional
        Lowest frequency in Hz; C1 (32.7 Hz) by default.
    n_bins, bins_per_octave : int > 0
        Number of bins, and of those in an octave.
    tuning : float, optional
        Shift of all frequencies, in bins; None estimates it over the clip.
    filter_scale : float > 0
        Factor on the length of all filters.
    norm : {1, 2, inf, None}
        Norm of the windows: 1 makes their sum 1.
    window : {'hann'}
        Shape of the filters.
    scale : bool
        True multiplies every bin by the root of its filter's length in samples, False by the
        length.
    pad_mode : {'constant', 'reflect'}
        Zeros around the signal, or its mirror image if it is longer than half of the longest
        filter.
    out : complex64 array, shape (n_frames, n_bins), optional
        Written and returned instead of a new array.
    threads : int > 0
        As in `compute`.

    Returns
    -------
    complex64 array, shape (n_frames, n_bins)
        Frame t is centred on sample ``t * hop_length``; ``n_frames`` is ``1 + n_samples //
        hop_length``, without samples 0. Phases count from the frame's centre.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or the highest filter reaches beyond ``sr / 2``.

    References
    ----------
    Schörkhuber, Klapuri. "Constant-Q transform toolbox for music processing". SMC, 2010.
    """
    return _transformed(
        y, np.complex64, sr=sr, hop_length=hop_length, fmin=fmin, n_bins=n_bins,
        bins_per_octave=bins_per_octave, tuning=tuning, filter_scale=filter_scale, norm=norm,
        window=window, scale=scale, pad_mode=pad_mode, out=out, threads=threads,
    )  # fmt: skip


def cqt_magnitude(
    y: FloatArray,
    *,
    sr: int = 22050,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: float | None = 0.0,
    filter_scale: float = 1.0,
    norm: float | None = 1.0,
    window: str = "hann",
    scale: bool = True,
    pad_mode: str = "constant",
    power: float = 1.0,
    out: FloatArray | None = None,
    threads: int = 1,
) -> FloatArray:
    """Return the magnitude (``power`` 1) or power (2) of the constant-Q transform.

    Parameters and errors as `cqt`; ``out`` is float32.

    Returns
    -------
    float32 array, shape (n_frames, n_bins), >= 0
    """
    return _transformed(
        y, np.float32, sr=sr, hop_length=hop_length, fmin=fmin, n_bins=n_bins,
        bins_per_octave=bins_per_octave, tuning=tuning, filter_scale=filter_scale, norm=norm,
        window=window, scale=scale, pad_mode=pad_mode, power=power, out=out, threads=threads,
    )  # fmt: skip


def hcqt(
    y: FloatArray,
    *,
    sr: int = 22050,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    harmonics: Sequence[float] = (1.0, 2.0),
    tuning: float | None = 0.0,
    filter_scale: float = 1.0,
    norm: float | None = 1.0,
    window: str = "hann",
    scale: bool = True,
    pad_mode: str = "constant",
    power: float = 1.0,
    out: FloatArray | None = None,
    threads: int = 1,
) -> FloatArray:
    """Return magnitudes of constant-Q transforms that begin at multiples of ``fmin``.

    Bin k of harmonic h looks for h times the frequency of bin k, so that a tone's overtones lie
    beside each other. What harmonics have in common is computed once.

    Parameters
    ----------
    harmonics : sequence of float > 0
        Factors of ``fmin``, fractions for subharmonics.
    out : float32 array, shape (n_frames, n_bins, n_harmonics), optional
        Written and returned instead of a new array.
    y, sr, hop_length, fmin, n_bins, bins_per_octave, tuning, filter_scale, norm, window, scale,\
 pad_mode, power, threads
        As in `cqt_magnitude`.

    Returns
    -------
    float32 array, shape (n_frames, n_bins, n_harmonics), >= 0

    Raises
    ------
    ParameterError
        As `cqt`.

    References
    ----------
    Bittner, McFee, Salamon, Li, Bello. "Deep salience representations for f0 estimation in
    polyphonic music". ISMIR, 2017, section 2.
    """
    chosen = tuple(float(item) for item in harmonics)
    if not chosen or not all(0 < item < math.inf for item in chosen):
        raise ParameterError(f"harmonics must be finite numbers > 0, got {harmonics!r}.")
    return _transformed(
        y, np.float32, sr=sr, hop_length=hop_length, fmin=fmin, n_bins=n_bins,
        bins_per_octave=bins_per_octave, tuning=tuning, filter_scale=filter_scale, norm=norm,
        window=window, scale=scale, pad_mode=pad_mode, power=power, out=out, threads=threads,
        harmonics=chosen,
    )  # fmt: skip


def _transformed(
    y: FloatArray,
    dtype: Any,
    *,
    fmin: float | None,
    tuning: float | None,
    window: str,
    pad_mode: str,
    out: AnyArray | None,
    threads: int,
    power: float = 1.0,
    **columns: Any,
) -> AnyArray:
    """Check all arguments and compute; ``columns`` are fields of `TransformSpec`.

    With ``harmonics`` among them the result has an axis for these.
    """
    y = check_waveform(y)
    for name in ("sr", "hop_length", "n_bins", "bins_per_octave"):
        check_integer(name, columns[name])
    check_integer("threads", threads)
    check_choice("window", window, ("hann",))
    check_choice("pad_mode", pad_mode, ("constant", "reflect"))
    check_choice("power", power, (1.0, 2.0))
    check_choice("norm", columns["norm"], (1.0, 2.0, math.inf, None))
    lowest = C1 if fmin is None else fmin
    check_number("fmin", lowest)
    check_number("filter_scale", columns["filter_scale"])
    what = TransformSpec(fmin=lowest, **columns)
    if tuning is None:
        check_finite(y)
        fe, per_octave = _TUNING.but(sr=what.sr), what.bins_per_octave
        tuning = estimate_tuning(y, fe, sr=what.sr, bins_per_octave=per_octave)
    if not math.isfinite(tuning):
        raise ParameterError(f"tuning must be None or a finite number, got {tuning!r}.")
    what = dataclasses.replace(what, fmin=lowest * 2.0 ** (tuning / what.bins_per_octave))
    check_range(
        what.sr, fmin=what.fmin * max(what.harmonics), n_bins=what.n_bins,
        bins_per_octave=what.bins_per_octave, filter_scale=what.filter_scale,
    )  # fmt: skip
    total = 1 + len(y) // what.hop_length if len(y) else 0
    size = (what.n_bins, len(what.harmonics)) if "harmonics" in columns else (what.n_bins,)
    out = check_out(out, (total, *size), dtype)
    rows = out.reshape(total, math.prod(size))
    fill_constant_q(y, what, rows, pad_mode=pad_mode, power=power, threads=threads)
    return out
