"""Codewords, and which of them are nearest to frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx.kernels.vector import lanes, marker
from featx_vqmfcc.kernels import VECTORS, WORDS, assign_kernel, nearest_kernel

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray

__all__ = ["BLOCK", "Codebook"]

#: Frames that are scored at once.
BLOCK = 4096


class Codebook:
    """Codewords, laid out for the kernels.

    Parameters
    ----------
    codewords : float32 array, shape (n_codewords, dim)
        Finite; left untouched.
    """

    def __init__(self, codewords: FloatArray) -> None:
        self.codewords: FloatArray = np.ascontiguousarray(codewords, np.float32)
        n, dim = self.codewords.shape
        # codewords that fill the last tile are infinitely far away
        padded = np.zeros((-n % WORDS + n, dim), np.float32)
        padded[:n] = -self.codewords
        squares = (self.codewords.astype(np.float64) ** 2).sum(axis=1)
        self._negated = padded.reshape(-1)
        self._halves = np.full(len(padded), np.inf, np.float32)
        self._halves[:n] = squares / 2
        self._largest = float(squares.max(initial=0.0))

    def nearest(self, frames: FloatArray) -> AnyArray:
        """Return the number of the nearest codeword of every frame, the lowest of equals.

        Parameters
        ----------
        frames : float32 array, shape (n_frames, dim)

        Returns
        -------
        int32 array, shape (n_frames,)
        """
        width = lanes()
        if width == 0:
            return self.several(frames, 1)[:, 0]
        frames = np.ascontiguousarray(frames, np.float32)
        labels = np.full(len(frames), -1, np.int32)
        for start in range(0, len(frames), BLOCK):
            rows = slice(start, start + BLOCK)
            self._assign(width, frames[rows], labels[rows])
        return labels

    def _assign(self, width: int, X: FloatArray, labels: AnyArray) -> None:
        n, dim = X.shape
        pitch = -n % (VECTORS * width) + n
        columns = np.zeros((dim, pitch), np.float32)
        columns[:, :n] = X.T
        limits = np.full(pitch, np.inf, np.float32)
        limits[n:] = -np.inf  # nothing is nearer to the rows that fill the last tile
        lengths = np.sqrt((X.astype(np.float64) ** 2).sum(axis=1) * self._largest)
        # two scores of dim products and a half square each, and the roundings of the limit itself
        margins = 2.0**-23 * (dim + 8) * (self._largest / 2 + lengths)
        assign_kernel(
            marker(width),
            X,
            columns.reshape(-1),
            self.codewords,
            self._negated,
            self._halves,
            margins.astype(np.float32),
            limits,
            np.zeros(WORDS * width, np.float32),
            labels,
        )

    def several(self, frames: FloatArray, count: int) -> AnyArray:
        """Return the numbers of the ``count`` nearest codewords of every frame, nearest first.

        Returns
        -------
        int32 array, shape (n_frames, count)
        """
        frames = np.ascontiguousarray(frames, np.float32)
        labels = np.zeros((len(frames), count), np.int32)
        nearest_kernel(frames, self.codewords, np.zeros(labels.shape), labels)
        return labels

    def distances(self, frames: FloatArray, labels: AnyArray) -> AnyArray:
        """Return the squared distance of every frame to the codeword of that number, float64."""
        difference = frames.astype(np.float64) - self.codewords[labels]
        squares: AnyArray = (difference * difference).sum(axis=1)
        return squares
