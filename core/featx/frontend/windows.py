"""Analysis windows in float64."""

from __future__ import annotations

import numpy as np

from featx.errors import ParameterError
from featx.types import DoubleArray

#: Exponent that makes Kaldi's window of a symmetric Hann window.
_POVEY = 0.85


def window(name: str, length: int, *, periodic: bool = True) -> DoubleArray:
    """Return an analysis window.

    Parameters
    ----------
    name : {'hann', 'hamming', 'povey', 'rectangular'}
        ``hamming`` is ``0.54 - 0.46 cos``, ``povey`` is ``hann ** 0.85`` (Kaldi).
    length : int > 0
        Samples.
    periodic : bool
        Period ``length``, as spectra want it; False gives the symmetric window, whose period is
        ``length - 1``.

    Returns
    -------
    float64 array, shape (length,)

    Raises
    ------
    ParameterError
        If ``name`` is unknown or ``length`` is not positive.
    """
    if length < 1:
        raise ParameterError(f"length must be an integer > 0, got {length}.")
    if name == "rectangular" or length == 1:
        return np.ones(length)
    period = length if periodic else length - 1
    cosine = np.cos(2.0 * np.pi * np.arange(length) / period)
    if name == "hann":
        return np.asarray(0.5 - 0.5 * cosine)
    if name == "hamming":
        return np.asarray(0.54 - 0.46 * cosine)
    if name == "povey":
        return np.asarray(np.maximum(0.5 - 0.5 * cosine, 0.0) ** _POVEY)
    raise ParameterError(
        f"window must be one of ['hann', 'hamming', 'povey', 'rectangular'], got {name!r}."
    )
