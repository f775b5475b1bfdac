"""Small networks that decide where notes begin, sound and end, in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from featx_onset.pairing import local_maxima

Array = npt.NDArray[Any]

#: Steps between the inputs of a layer's kernel, layer by layer.
DILATIONS = (1, 2, 4)
#: A note ends where its sounding activation falls below.
_SOUNDING = 0.6
#: Frames that are computed together.
_BLOCK = 4096


def activations(features: Array, weights: Mapping[str, Array]) -> Array:
    """Return the probabilities of onset, sounding note and offset of every frame.

    Parameters
    ----------
    features : float32 array, shape (n_frames, n_features)
    weights : mapping of str to array
        ``mean`` and ``scale`` of features; of every network ``m``, whose outputs are averaged,
        ``{m}.kernel{k}`` (size, n_in, n_out) and ``{m}.bias{k}`` of its convolutions,
        ``{m}.head`` (n_hidden, 3) and ``{m}.head_bias``.

    Returns
    -------
    float32 array, shape (n_frames, 3), within 0..1
    """
    members = sorted({name.split(".")[0] for name in weights if "." in name})
    reach = sum(d * (weights[f"0.kernel{k}"].shape[0] // 2) for k, d in enumerate(DILATIONS))
    out = np.zeros((len(features), 3), np.float32)
    for first in range(0, len(features), _BLOCK):
        start, stop = max(0, first - reach), min(len(features), first + _BLOCK + reach)
        rows = slice(first, min(first + _BLOCK, len(features)))
        x = (features[start:stop] - weights["mean"]) * weights["scale"]
        for member in members:
            logits = _network(x, weights, member)[first - start :][: rows.stop - rows.start]
            out[rows] += 1 / (1 + np.exp(-logits)) / len(members)
    return out


def _network(x: Array, weights: Mapping[str, Array], member: str) -> Array:
    """Return the logits of one network, shape (n_frames, 3)."""
    for k, dilation in enumerate(DILATIONS):
        y = _convolve(x, weights[f"{member}.kernel{k}"], dilation)
        x = np.maximum(y + weights[f"{member}.bias{k}"], 0)
    return np.asarray(x @ weights[f"{member}.head"] + weights[f"{member}.head_bias"])


def _convolve(x: Array, kernel: Array, dilation: int) -> Array:
    """Return the convolution over time, zeros beyond the ends."""
    reach = dilation * (len(kernel) // 2)
    padded = np.pad(x, ((reach, reach), (0, 0)))
    out = np.zeros((len(x), kernel.shape[2]), np.float32)
    for k, matrix in enumerate(kernel):
        out += padded[k * dilation :][: len(x)] @ matrix
    return out


def decide(p: Array, *, threshold: float, reach: int = 5, sounding: float = _SOUNDING) -> Array:
    """Return the notes that activations amount to.

    An onset is a peak of the smoothed activation. A note ends where the next begins, or before that
    where the sounding activation falls below 0.6.

    Parameters
    ----------
    p : float32 array, shape (n_frames, 3)
        As `activations` returns it.
    threshold : float
        Activation that an onset exceeds.
    reach : int
        Frames to either side that have no higher activation.
    sounding : float
        Activation of a sounding note below which it ends.

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
        ends[k] = min(_fall(p[:, 1], peak, int(np.ceil(limits[k])), sounding), limits[k])
    return np.stack([starts, np.maximum(ends, starts), here], axis=1)


def _fall(sounding: Array, first: int, stop: int, threshold: float) -> float:
    """Return where the activation falls too low for the first time since it was high enough."""
    inside = sounding[first:stop] >= threshold
    if not inside.any():
        return float(stop)
    rise = int(np.argmax(inside))
    low = np.flatnonzero(~inside[rise:])
    if len(low) == 0:
        return float(stop)
    t = first + rise + int(low[0])
    high, below = float(sounding[t - 1]), float(sounding[t])
    return t - 1 + (high - threshold) / (high - below)
