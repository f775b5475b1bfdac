"""Extraction: the histogram of the nearest codewords of a song's frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from featx import Context, Extractor, Features, ParameterError, Track
from featx_vqmfcc.codebook import Codebook
from featx_vqmfcc.config import FRONT_END, HOP_LENGTH, VQParams

if TYPE_CHECKING:
    from featx.types import AnyArray, FloatArray

#: Power below the loudest frame at which a frame is silent: 80 dB.
SILENCE = 1e-8


class VQExtractor(Extractor):
    """Bag of frames: shares of codewords."""

    def open(self, context: Context) -> None:
        """Lay out the codewords."""
        super().open(context)
        self._params: VQParams = context.params
        weights = context.weights or {}
        codewords, self._scale = weights["codewords"], weights["scale"]
        if self._params.codewords != len(codewords):
            raise ParameterError(
                f"codewords must be {len(codewords)}, as in the weights, "
                f"got {self._params.codewords}."
            )
        if self._params.soft > len(codewords):
            raise ParameterError(f"soft must be <= {len(codewords)}, got {self._params.soft}.")
        self._codebook = Codebook(codewords)

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        """Return ``hist`` (codewords,) of every track."""
        return [Features(hist=self._histogram(track)) for track in tracks]

    def _histogram(self, track: Track) -> FloatArray:
        frames = track.spectra(FRONT_END)
        if self._params.drop_silence:
            frames = frames[audible(track.y, len(frames))]
        frames = frames * self._scale
        if self._params.soft == 1:
            labels = self._codebook.nearest(frames)
        else:
            labels = self._codebook.several(frames, self._params.soft).reshape(-1)
        shares = np.bincount(labels, minlength=self._params.codewords) / len(labels)
        return (np.sqrt(shares) if self._params.hellinger else shares).astype(np.float32)


def audible(y: FloatArray, n_frames: int) -> AnyArray:
    """Return which centred frames reach a power of 80 dB below the loudest one.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
    n_frames : int > 0

    Returns
    -------
    bool array, shape (n_frames,)
        At least one is true.
    """
    hops = np.zeros(n_frames + 1)  # the energy of hop t - 1; frame t covers hops t - 1 and t
    whole = len(y) // HOP_LENGTH
    rows = y[: whole * HOP_LENGTH].reshape(whole, HOP_LENGTH)
    hops[1 : whole + 1] = np.einsum("th,th->t", rows, rows, dtype=np.float64)
    if whole + 1 <= n_frames:
        hops[whole + 1] = float((y[whole * HOP_LENGTH :].astype(np.float64) ** 2).sum())
    energy = hops[:-1] + hops[1:]
    loud: AnyArray = energy >= SILENCE * energy.max()
    return loud
