"""What the decision of `singonset` looks at: 100 times a second, numbers without a level.

Correntropy with three kernels, level, pitch, and the first partials at the pitch that
comes and at the one that was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from featx import FrontEnd
from featx.frontend import Bins, Framing, spectrum_blocks
from featx_onset.config import SR
from featx_onset.correntropy import correntropy_change
from featx_onset.pitch import HOP as PITCH_HOP
from featx_onset.pitch import VOICED, held_pitch

Array = npt.NDArray[Any]

#: Kernel widths, and the lag in frames of the bands.
_SIGMAS, _LAG = (0.1, 0.2, 0.4), 8
#: Groups of neighbouring bands whose levels are looked at.
_GROUPS = 8
#: Frames ahead and back at which the pitch of partials is read, and how many partials.
_AHEAD, _PARTIALS = 6, 3
#: Levels below this, in dB under the louder parts, are all the same.
_FLOOR = -60.0
_SPECTRUM = FrontEnd(
    name="singing",
    sr=SR,
    framing=Framing(n_fft=1024, hop_length=PITCH_HOP, pad_mode="constant"),
    power=1.0,
    bank=Bins(),
)


def frame_features(
    y: Array, X: Array, weights: Array, levels: Array, f0: Array, aperiodicity: Array
) -> Array:
    """Return the features of a recording, shape (1 + n_samples // 160, n_features).

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        At 16000 Hz.
    X, weights : arrays
        As `compressed_bands` returns them.
    levels : float64 array
        As `hop_levels` returns it.
    f0, aperiodicity : float64 arrays
        As `pitch_track` returns them.
    """
    n_frames = len(f0)
    voiced = aperiodicity < VOICED
    columns = [column for sigma in _SIGMAS for column in _changes(X, weights, sigma, n_frames)]
    loudness = _decibels(levels[::2][:n_frames], float(np.percentile(levels, 95)))
    columns += [loudness, _rise(loudness, 1), _rise(loudness, 3)]
    cents = held_pitch(f0, voiced)
    for reach in (2, 5):
        move = np.clip(_rise(cents, reach) / 200, -2, 2)
        columns += [move, np.abs(move)]
    columns += [voiced.astype(np.float64), np.minimum(aperiodicity, 1.0)]
    columns += list(_partials(y, 440 * 2 ** (cents / 1200)))
    groups = X[::2][:n_frames].reshape(n_frames, _GROUPS, -1).mean(axis=2)
    columns += list(groups.T)
    return np.stack(columns, axis=1).astype(np.float32)


def _changes(X: Array, weights: Array, sigma: float, n_frames: int) -> Iterator[Array]:
    """Yield rise and fall, the higher of two frames."""
    d = correntropy_change(X, weights, lag=_LAG, sigma=sigma)
    for k in (1, 2):
        padded = np.zeros(2 * n_frames, np.float32)
        padded[: len(d)] = d[: 2 * n_frames, k]
        yield padded.reshape(-1, 2).max(axis=1)


def _decibels(x: Array, reference: float) -> Array:
    """Return 0 dB as 1 and the floor and all below as 0."""
    ratio = np.maximum(x, 1e-9) / max(reference, 1e-6)
    return np.asarray(1 - np.maximum(20 * np.log10(ratio), _FLOOR) / _FLOOR)


def _rise(x: Array, reach: int) -> Array:
    """Return the difference between the frames ``reach`` behind and before."""
    padded = np.pad(x, reach, mode="edge")
    return np.asarray(padded[2 * reach :] - padded[: -2 * reach])


def _partials(y: Array, f0: Array) -> Iterator[Array]:
    """Yield the levels of the first partials at the pitch ahead and back, with rises of one."""
    n = len(f0)
    ahead = np.concatenate([f0[_AHEAD:], np.full(min(_AHEAD, n), f0[-1])])[:n]
    back = np.concatenate([np.full(min(_AHEAD, n), f0[0]), f0[:-_AHEAD]])[:n]
    places = [order * pitch for pitch in (ahead, back) for order in range(1, _PARTIALS + 1)]
    bins = np.minimum(np.rint(np.array(places) * (1024 / SR)).astype(np.int64), 511)
    power = np.zeros((len(bins), n))
    for first, S in spectrum_blocks(y, _SPECTRUM, sr=SR):
        rows = np.arange(len(S[: n - first]))
        for k, own in enumerate(bins[:, first : first + len(rows)]):
            for shift in (-1, 0, 1):
                power[k, first : first + len(rows)] += S[rows, own + shift].astype(np.float64) ** 2
    magnitude = np.sqrt(power)
    for k, row in enumerate(magnitude):
        level = _decibels(row, float(np.percentile(row, 90)))
        yield level
        if k % _PARTIALS < 2:
            yield _rise(level, 2)
            yield _rise(level, 4)
