"""A small network that decides where notes begin, sound and end, in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from featx_onset.pairing import local_maxima

Array = npt.NDArray[Any]

#: Steps between the inputs of a layer's kernel, layer by layer.
DILATIONS = (1, 2, 4)
#: Frames that are computed together.
_BLOCK = 4096


def activations(features: Array, weights: Mapping[str, Array]) -> Array:
    """Return the probabilities of onset, sounding note and offset of every frame.

    Parameters
    ----------
    features : float32 array, shape (n_frames, n_features)
    weights : mapping of str to array
        ``mean`` and ``scale`` of features, ``kernel{k}`` (size, n_in, n_out) and ``bias{k}`` of
        every convolution, ``head`` (n_hidden, 3) and ``head_bias``.

    Returns
    -------
    float32 array, shape (n_frames, 3), within 0..1
    """
    context = sum(d * (weights[f"kernel{k}"].shape[0] // 2) for k, d in enumerate(DILATIONS))
    normal = (features - weights["mean"]) * weights["scale"]
    out = np.empty((len(features), 3), np.float32)
    for first in range(0, len(features), _BLOCK):
        start, stop = max(0, first - context), min(len(features), first + _BLOCK + context)
        x = normal[start:stop]
        for k, dilation in enumerate(DILATIONS):
            x = np.maximum(_convolve(x, weights[f"kernel{k}"], dilation) + weights[f"bias{k}"], 0)
        logits = x @ weights["head"] + weights["head_bias"]
        rows = slice(first, min(first + _BLOCK, len(features)))
        out[rows] = 1 / (1 + np.exp(-logits[first - start :][: rows.stop - rows.start]))
    return out


def _convolve(x: Array, kernel: Array, dilation: int) -> Array:
    """Return the convolution over time, zeros beyond the ends."""
    reach = dilation * (len(kernel) // 2)
    padded = np.pad(x, ((reach, reach), (0, 0)))
    out = np.zeros((len(x), kernel.shape[2]), np.float32)
    for k, matrix in enumerate(kernel):
        out += padded[k * dilation :][: len(x)] @ matrix
    return out


def decide(p: Array, *, threshold: float, reach: int = 5) -> Array:
    """Return the notes that activations amount to.

    An onset is a peak of the smoothed activation. A note ends where the next begins, or before that
    where the sounding activation falls below a half.

    Parameters
    ----------
    p : float32 array, shape (n_frames, 3)
        As `activations` returns it.
    threshold : float
        Activation that an onset exceeds.
    reach : int
        Frames to either side that have no higher activation.

    Returns
    -------
    float64 array, shape (n_notes, 3)
        Onset and offset in frames, between them if need be, and the activation at the onset.
    """
    padded = np.pad(p[:, 0].astype(np.float64), 1)
    onset = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    peaks = local_maxima(onset, reach=reach, threshold=threshold)
    around = np.pad(onset, 1)
    before, here, after = around[peaks], around[peaks + 1], around[peaks + 2]
    bend = before - 2 * here + after
    shift = np.divide(0.5 * (before - after), bend, out=np.zeros(len(peaks)), where=bend < 0)
    starts = peaks + np.clip(shift, -0.5, 0.5)
    ends = np.empty(len(peaks))
    limits = np.append(starts[1:], len(p))
    for k, peak in enumerate(peaks):
        ends[k] = min(_fall(p[:, 1], peak, int(np.ceil(limits[k]))), limits[k])
    return np.stack([starts, np.maximum(ends, starts), here], axis=1)


def _fall(sounding: Array, first: int, stop: int) -> float:
    """Return where the activation falls below a half for the first time since it was above."""
    inside = sounding[first:stop] >= 0.5
    if not inside.any():
        return float(stop)
    rise = int(np.argmax(inside))
    low = np.flatnonzero(~inside[rise:])
    if len(low) == 0:
        return float(stop)
    t = first + rise + int(low[0])
    high, below = float(sounding[t - 1]), float(sounding[t])
    return t - 1 + (high - 0.5) / (high - below)
