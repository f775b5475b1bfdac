"""The real Fourier transform of rows: the one place to change for a faster one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray


def rfft_rows(frames: FloatArray, out: AnyArray) -> None:
    """Write the one-sided spectra of the rows of ``frames`` (float32) into ``out`` (complex64).

    Every row is transformed on its own, so a spectrum does not depend on its neighbours.
    """
    np.fft.rfft(frames, axis=1, out=out)
