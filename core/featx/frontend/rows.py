"""Rows of a front end's array: bands above their floor, cepstrum and derivatives of any frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError
from featx.frontend.banks import Waveform
from featx.frontend.cepstra import append_derivatives, cepstrum
from featx.frontend.compression import PowerLaw
from featx.frontend.memory import thread_array
from featx.frontend.streams import ALIGNED
from featx.types import FloatArray

if TYPE_CHECKING:
    from featx.frontend.bands import Bands, Clip
    from featx.frontend.streams import Excerpt

#: Values in one block of bands: 1 MiB of float32, which stays in the cache.
BLOCK_VALUES = 1 << 18
#: Parts of a block that are described one by one, so that statistics have the same cuts everywhere.
PIECES = 4


class Rows:
    """The rows of a front end, made of its bands."""

    def __init__(self, bands: Bands) -> None:
        fe = bands.fe
        self._bands, self._fe = bands, fe
        self._n_mfcc = 0 if fe.cepstrum is None else fe.cepstrum.n_mfcc
        if self._n_mfcc > bands.width:
            raise ParameterError(f"n_mfcc must be <= the {bands.width} bands, got {self._n_mfcc}.")
        #: columns before the derivatives, and all
        self.static_dim = self._n_mfcc or bands.width
        self.dim = self.static_dim * (1 + fe.deltas)
        #: whether rows are bands, above a floor at most
        self.plain = not self._n_mfcc and not fe.deltas

    @property
    def piece(self) -> int:
        """Frames that statistics take together."""
        return max(ALIGNED, BLOCK_VALUES // PIECES // self._bands.width // ALIGNED * ALIGNED)

    @property
    def block(self) -> int:
        """Frames in a block."""
        return PIECES * self.piece

    @property
    def margin(self) -> int:
        """Frames on either side that a block's own depend on."""
        return self._fe.delta_width if self._fe.deltas else 0

    def write(self, excerpt: Excerpt, clip: Clip, first: int, stop: int, out: FloatArray) -> None:
        """Write frames ``first … stop - 1``, derivatives included, from a multiple of 32 on."""
        fe = self._fe
        if not fe.deltas:
            self.write_static(excerpt, clip, first, stop, out)
            return
        # the frames of the nearest complete window, also for those at the ends
        half = min(fe.delta_width, excerpt.total) // 2
        low = max(0, min(first, excerpt.total - 1 - half) - half) // ALIGNED * ALIGNED
        high = min(excerpt.total, max(stop - 1, half) + half + 1)
        static = thread_array("static", high - low, self.static_dim)
        self.write_static(excerpt, clip, low, high, static)
        rows = slice(first - low, stop - low)
        append_derivatives(static, fe.delta_width, fe.deltas, rows, out=out)

    def write_static(
        self, excerpt: Excerpt, clip: Clip, first: int, stop: int, out: FloatArray
    ) -> None:
        """Write frames ``first … stop - 1`` without derivatives."""
        if isinstance(self._fe.bank, Waveform):
            out[:, 0] = excerpt.y[first - excerpt.offset : stop - excerpt.offset]
            return
        for start in range(first, stop, step := self._step(stop - first)):
            end = min(start + step, stop)
            self._write_block(excerpt, clip, start, end, out[start - first : end - first])

    def _step(self, n: int) -> int:
        """Return how many of ``n`` frames are computed before what follows their bands is done.

        What works in place is best done while the bands are in the cache.
        """
        follows = self._n_mfcc > 0 or isinstance(self._fe.compression, PowerLaw)
        return self.block if follows or self._bands.relative else max(n, 1)

    def _write_block(
        self, excerpt: Excerpt, clip: Clip, first: int, stop: int, out: FloatArray
    ) -> None:
        fe = self._fe
        if fe.cepstrum is None:
            bands = self._bands.rows(excerpt, clip, first, stop, out)
            if clip.floor is not None:
                np.maximum(bands, clip.floor, out=out)
            elif bands is not out:
                out[:] = bands
            return
        bands = self._bands.rows(excerpt, clip, first, stop)
        if clip.floor is not None:
            np.maximum(bands, clip.floor, out=bands)
        cepstrum(bands, fe.cepstrum.lifter, out=out)
