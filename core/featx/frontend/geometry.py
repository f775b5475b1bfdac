"""What a front end will look like before it is computed: its rules, frames and dimensions.

Plain arithmetic on integers and fractions, so that planning needs neither numpy nor numba.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from featx.errors import ParameterError, listed
from featx.frontend.constantq.filters import check_range, longest
from featx.frontend.presets import preset
from featx.types import Column, FeatureSpec, FrontEnd

__all__ = ["frame_geometry", "frames_spec", "identity", "n_frames", "validate"]

_CHOICES: dict[str, tuple[Any, ...]] = {
    "window": ("hann", "hamming", "povey", "rectangular"),
    "pad_mode": ("reflect", "constant"),
    "fft_padding": ("window", "end"),
    "bank": ("none", "frames", "mel", "bark", "erb", "logfreq", "chroma", "chroma-librosa", "cqt"),
    "scale": ("slaney", "htk"),
    "linear_in": ("hz", "mel"),
    "norm": ("slaney", "area", "none"),
    "power": (1.0, 2.0),
    "compression": ("none", "log10", "ln", "db", "power-law"),
    "frame_norm": ("none", "l2", "max"),
    "deltas": (0, 1, 2),
}

_UNITS = {"log10": "log10", "ln": "ln", "db": "dB"}


def validate(front_end: FrontEnd | str) -> FrontEnd:
    """Return the front end, after checking every rule that its fields must keep.

    Raises
    ------
    ParameterError
        For an unknown preset, or the first field that breaks its rule.
    """
    fe = preset(front_end)
    if not vars(fe).get("_valid"):
        _check(fe)
        # noted on the very object: an equal one may hold 512.0 where this one holds 512
        object.__setattr__(fe, "_valid", True)
    return fe


def _check(fe: FrontEnd) -> None:
    for name, choices in _CHOICES.items():
        if getattr(fe, name) not in choices:
            raise ParameterError(
                f"{name} must be one of {listed(choices)}, got {getattr(fe, name)!r}."
            )
    for name in ("n_fft", "n_bands", "bands_per_octave", "delta_width"):
        _positive_integer(name, getattr(fe, name))
    for name in ("sr", "win_length"):
        if getattr(fe, name) is not None:
            _positive_integer(name, getattr(fe, name))
    hop: Any = fe.hop_length
    if not isinstance(hop, int | Fraction) or hop <= 0:
        raise ParameterError(f"hop_length must be an integer or Fraction > 0, got {hop!r}.")
    if _window_length(fe) > fe.n_fft:
        raise ParameterError(
            f"win_length must be an integer <= n_fft = {fe.n_fft}, got {fe.win_length}."
        )
    _validate_numbers(fe)


def _validate_numbers(fe: FrontEnd) -> None:
    for name in ("gain", "spectrum_gain", "amin", "fref", "sigma"):
        if not 0 < getattr(fe, name) < math.inf:
            raise ParameterError(f"{name} must be a finite number > 0, got {getattr(fe, name)!r}.")
    for name in ("offset", "preemphasis", "lifter", "fmin"):
        if not 0 <= getattr(fe, name) < math.inf:
            raise ParameterError(f"{name} must be a finite number >= 0, got {getattr(fe, name)!r}.")
    if fe.fmax is not None and not fe.fmin < fe.fmax < math.inf:
        raise ParameterError(f"fmax must be a finite number > fmin = {fe.fmin}, got {fe.fmax}.")
    if fe.bank == "cqt":
        _check_constant_q(fe)
    elif fe.harmonics != (1.0,):
        raise ParameterError(f"harmonics must be (1.0,) for bank {fe.bank!r}, got {fe.harmonics}.")
    if fe.sr is not None:
        validate_range(fe, fe.sr)
    if not 0 < fe.exponent <= 1:
        raise ParameterError(f"exponent must be a number > 0 and <= 1, got {fe.exponent!r}.")
    if fe.bank == "logfreq" and fe.fmin <= 0:
        raise ParameterError(f"fmin must be > 0 for bank 'logfreq', got {fe.fmin}.")
    if fe.top_db is not None and not fe.top_db >= 0:
        raise ParameterError(f"top_db must be None or a number >= 0, got {fe.top_db!r}.")
    if fe.raw and (fe.n_mfcc or fe.deltas):
        raise ParameterError(
            f"n_mfcc and deltas must be 0 for a raw front end, got {fe.n_mfcc} and {fe.deltas}."
        )
    if fe.estimate_tuning and fe.bank not in ("chroma", "chroma-librosa"):
        raise ParameterError(f"estimate_tuning must be False for bank {fe.bank!r}, got True.")
    if fe.deltas and not (fe.delta_width % 2 and fe.delta_width >= 3):
        raise ParameterError(f"delta_width must be an odd integer >= 3, got {fe.delta_width}.")
    if fe.n_mfcc:
        _positive_integer("n_mfcc", fe.n_mfcc)
    if fe.n_mfcc and fe.sr is not None and fe.n_mfcc > n_bands(fe):
        raise ParameterError(f"n_mfcc must be <= the {n_bands(fe)} bands, got {fe.n_mfcc}.")


#: What a constant-Q transform has no use for, and the value that says so.
_UNUSED_BY_CQT: dict[str, Any] = {
    "window": "hann",
    "periodic": True,
    "center": True,
    "win_length": None,
    "remove_dc": False,
    "preemphasis": 0.0,
    "fmax": None,
}


def _check_constant_q(fe: FrontEnd) -> None:
    for name, value in _UNUSED_BY_CQT.items():
        if getattr(fe, name) != value:
            raise ParameterError(
                f"{name} must be {value!r} for bank 'cqt', got {getattr(fe, name)!r}."
            )
    if fe.fmin <= 0:
        raise ParameterError(f"fmin must be > 0 for bank 'cqt', got {fe.fmin}.")
    if not isinstance(fe.hop_length, int):
        raise ParameterError(f"hop_length must be an integer for bank 'cqt', got {fe.hop_length}.")
    harmonics: Any = fe.harmonics
    known = isinstance(harmonics, tuple) and len(harmonics) > 0
    if not known or not all(0 < item < math.inf for item in harmonics):
        raise ParameterError(
            f"harmonics must be a tuple of finite numbers > 0, got {fe.harmonics!r}."
        )


def validate_range(fe: FrontEnd, sr: int) -> None:
    """Raise unless the bank of ``fe`` lies below half of ``sr``."""
    if fe.bank == "cqt":
        fmin = fe.fmin * max(fe.harmonics)
        check_range(sr, fmin=fmin, n_bins=fe.n_bands, bins_per_octave=fe.bands_per_octave)
        return
    top = sr / 2 if fe.fmax is None else fe.fmax
    if fe.bank not in ("none", "frames", "chroma-librosa") and not fe.fmin < top <= sr / 2:
        raise ParameterError(
            f"fmin and fmax must lie within 0..sr / 2 = {sr / 2:g} Hz, got {fe.fmin:g}..{top:g}."
        )


def _positive_integer(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ParameterError(f"{name} must be an integer > 0, got {value!r}.")


def identity(fe: FrontEnd) -> FrontEnd:
    """Return ``fe`` without its name: equal identities give equal arrays."""
    return dataclasses.replace(fe, name="")


def _window_length(fe: FrontEnd) -> int:
    return fe.n_fft if fe.win_length is None else fe.win_length


def frame_samples(fe: FrontEnd) -> int:
    """Return how many samples one frame holds before the spectrum is taken."""
    return _window_length(fe) if fe.fft_padding == "end" else fe.n_fft


def left_samples(fe: FrontEnd) -> int:
    """Return how many samples of frame 0 lie before the first sample of the signal."""
    return frame_samples(fe) // 2 if fe.center else 0


def resolve_rate(fe: FrontEnd, sr: int | None) -> int:
    """Return the rate at which ``fe`` is computed, ``sr`` standing in where it has none."""
    rate = fe.sr if fe.sr is not None else sr
    if rate is None:
        raise ParameterError(
            f"sr must be given for front end {fe.name!r}, which follows the rate of its input."
        )
    return rate


def log_bins(fe: FrontEnd, sr: int) -> tuple[int, ...]:
    """Return the unique FFT bins nearest to the notes of a ``logfreq`` bank, edges included.

    Notes are ``fref * 2 ** (i / bands_per_octave)`` within fmin..fmax. Bins end below Nyquist, and
    a note half-way between two bins takes the upper one, as in madmom.
    """
    fmax = sr / 2 if fe.fmax is None else fe.fmax
    first = math.floor(math.log2(fe.fmin / fe.fref) * fe.bands_per_octave)
    last = math.ceil(math.log2(fmax / fe.fref) * fe.bands_per_octave)
    notes = (fe.fref * 2.0 ** (i / fe.bands_per_octave) for i in range(first, last + 1))
    top = fe.n_fft // 2 - 1
    bins = (math.floor(note * fe.n_fft / sr + 0.5) for note in notes if fe.fmin <= note <= fmax)
    return tuple(sorted({min(max(k, 0), top) for k in bins}))


def n_bands(fe: FrontEnd, sr: int | None = None) -> int:
    """Return the number of columns before cepstrum and deltas."""
    if fe.raw:
        return 1
    if fe.bank == "frames":
        return frame_samples(fe)
    if fe.bank == "none":
        return fe.n_fft // 2 + 1
    if fe.bank == "cqt":
        return fe.n_bands * len(fe.harmonics)
    if fe.bank == "logfreq":
        bands = len(log_bins(fe, resolve_rate(fe, sr))) - 2
        if bands < 1:
            raise ParameterError(
                f"fmax must leave at least 3 distinct bins between fmin = {fe.fmin} and fmax, "
                f"got {fe.fmax} with n_fft {fe.n_fft}."
            )
        return bands
    return fe.n_bands


def dimension(fe: FrontEnd, sr: int | None = None) -> int:
    """Return the number of columns."""
    return (fe.n_mfcc or n_bands(fe, sr)) * (1 + fe.deltas)


def frame_geometry(
    front_end: FrontEnd | str, *, sr: int | None = None
) -> tuple[Fraction, int, Fraction, int]:
    """Return hop, frame length, first centre and dimension of a front end.

    Parameters
    ----------
    front_end : FrontEnd or str
        A preset name, or a front end of your own.
    sr : int > 0, optional
        Rate in Hz whose samples the lengths are counted in: the extractor's resolved rate. By
        default the front end's own; required where that is None and the bank depends on it.

    Returns
    -------
    hop : Fraction > 0
        Samples between two frames.
    frame_length : int > 0
        Samples that one frame looks at, of a constant-Q transform the longest filter.
    first : Fraction >= 0
        Sample position of the centre of frame 0; 0 for centred frames.
    dim : int > 0
        Columns of the array.

    Raises
    ------
    ParameterError
        If the front end is unknown or breaks a rule, or a rate is missing.
    """
    fe = validate(front_end)
    dim = dimension(fe, sr)
    if fe.raw:
        hop, length, first = Fraction(1), 1, Fraction(0)
    elif fe.bank == "cqt":
        rate, fmin = resolve_rate(fe, sr), fe.fmin * min(fe.harmonics)
        length = longest(rate, fmin=fmin, bins_per_octave=fe.bands_per_octave)
        hop, first = Fraction(fe.hop_length), Fraction(0)
    else:
        hop, length = Fraction(fe.hop_length), frame_samples(fe)
        first = Fraction(0) if fe.center else Fraction(length, 2)
    ratio = Fraction(sr, fe.sr) if sr is not None and fe.sr is not None else Fraction(1)
    return hop * ratio, max(1, round(length * ratio)), first * ratio, dim


def n_frames(n_samples: int, front_end: FrontEnd | str) -> int:
    """Return the number of frames for ``n_samples`` at the front end's rate.

    Centred frames: ``1 + floor(n_samples / hop)`` for even ``n_fft`` and ``cqt``,
    ``ceil(n_samples / hop)`` for odd ``n_fft`` or without ``end_frame``. Others:
    ``1 + floor((n_samples - frame) / hop)``, or 0. No samples give no frames.

    Raises
    ------
    ParameterError
        If ``n_samples`` is negative, or the front end breaks a rule.
    """
    fe = validate(front_end)
    if n_samples < 0:
        raise ParameterError(f"n_samples must be an integer >= 0, got {n_samples}.")
    if n_samples == 0 or fe.raw:
        return n_samples
    hop, length = fe.hop_length, frame_samples(fe)  # hop is an integer or a fraction
    if not fe.center:
        return 0 if n_samples < length else 1 + (n_samples - length) // hop
    if (length % 2 and fe.bank != "cqt") or not fe.end_frame:
        return -(-n_samples // hop)
    return 1 + n_samples // hop


def _unit(fe: FrontEnd) -> str:
    scaled = fe.n_mfcc > 0 or fe.frame_norm != "none"
    return "1" if scaled else _UNITS.get(fe.compression, "1")


def frames_spec(
    name: str,
    front_end: FrontEnd | str,
    *,
    sr: int | None = None,
    columns: Sequence[str] = (),
    unit: str | None = None,
    description: str = "",
) -> FeatureSpec:
    """Return the `FeatureSpec` of a front end's array, for an extractor's ``resolve``.

    Parameters
    ----------
    name : str
        Name of the feature.
    front_end : FrontEnd or str
        What it is computed from.
    sr : int > 0, optional
        The extractor's resolved rate, as in `frame_geometry`.
    columns : sequence of str, optional
        One name per dimension.
    unit : str, optional
        By default dB, log10 or ln of bands; 1 without compression, for cepstra and norms.
    description : str
        One sentence.

    Raises
    ------
    ParameterError
        As `frame_geometry`, or if ``columns`` has the wrong length.
    """
    fe = validate(front_end)
    hop, frame_length, first, dim = frame_geometry(fe, sr=sr)
    return FeatureSpec(
        name=name,
        kind="frames",
        dim=dim,
        unit=_unit(fe) if unit is None else unit,
        columns=tuple(map(Column, columns)),
        hop=hop,
        frame_length=frame_length,
        first=first,
        description=description,
    )
