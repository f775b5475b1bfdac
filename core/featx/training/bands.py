"""Front ends taken apart at their compression, where bands can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx.frontend import Bins, Decibel, FilterBank, FrontEnd, Logarithm, PowerLaw

if TYPE_CHECKING:
    from featx.types import FloatArray


def without_compression(fe: FrontEnd) -> FrontEnd | None:
    """Return the bands of ``fe`` before compression; None where more follows than compression.

    Cepstra, derivatives, norms of frames, a range below the loudest value of the recording and a
    reference to its mean are more; so is a bank that is no sum of bins.
    """
    law = fe.compression
    if (
        fe.framing is None
        or not isinstance(fe.bank, Bins | FilterBank)
        or (isinstance(fe.bank, FilterBank) and fe.bank.tuned)
        or not (law is None or isinstance(law, Logarithm | PowerLaw))
        or (isinstance(law, Decibel) and (law.top_db is not None or law.reference != "one"))
        or fe.level is not None
        or fe.cepstrum is not None
        or fe.deltas > 0
        or fe.frame_norm != "none"
    ):
        return None
    return fe.but(compression=None)


def compress(S: FloatArray, fe: FrontEnd) -> FloatArray:
    """Return bands after the compression of ``fe``; may write to ``S``."""
    S = np.ascontiguousarray(S, np.float32)
    if fe.compression is not None:
        fe.compression.apply(S)
    return S


def expand(S: FloatArray, fe: FrontEnd) -> FloatArray:
    """Return bands before the compression of ``fe``, the inverse of `compress`, none below 0."""
    law = fe.compression
    x = S.astype(np.float64)
    if isinstance(law, Logarithm):
        per_decade, gain, offset, _ = law.curve
        x = (10.0 ** (x / per_decade) - offset) / gain
    elif isinstance(law, PowerLaw):
        x = x ** (1.0 / law.exponent) / law.gain
    expanded: FloatArray = np.maximum(x, 0.0).astype(np.float32)
    return expanded
