"""Plain numpy twins of the kernels: slow, obvious, free of numba. Tests compare the two."""

from __future__ import annotations

import numpy as np


def frame_reference(y, first, hop_num, hop_den, left, reflect, window, n_rows):
    """Return what `framing.frame_kernel` writes into ``n_rows`` rows."""
    length = len(window)
    mode = "reflect" if reflect else "constant"
    padded = np.pad(y, (left, left + length), mode="constant")
    if reflect:
        padded = np.concatenate([np.pad(y, (left, left), mode=mode), np.zeros(length, y.dtype)])
    rows = [padded[(first + row) * hop_num // hop_den :][:length] * window for row in range(n_rows)]
    return np.array(rows, dtype=np.float32).reshape(n_rows, length)


def condition_reference(frames, remove_dc, preemphasis, window):
    """Return what `framing.condition_kernel` leaves in ``frames``."""
    x = frames[:, : len(window)].astype(np.float64)
    if remove_dc:
        x = x - x.mean(axis=1, keepdims=True)
    if preemphasis:
        x = x - preemphasis * np.concatenate([x[:, :1], x[:, :-1]], axis=1)
    out = frames.copy()
    out[:, : len(window)] = x * window
    return out


def magnitude_reference(X, gain):
    """Return ``gain * |X|``."""
    return (gain * np.abs(X)).astype(np.float32)


def power_reference(X, gain):
    """Return ``(gain * |X|) ** 2``."""
    return (gain**2 * np.abs(X) ** 2).astype(np.float32)


def banded_reference(S, starts, lengths, offsets, weights):
    """Return ``S`` times the bank written out in full."""
    bank = np.zeros((len(starts), S.shape[1]))
    for row, start, length, offset in zip(bank, starts, lengths, offsets, strict=True):
        row[start : start + length] = weights[offset : offset + length]
    return (S.astype(np.float64) @ bank.T).astype(np.float32)


def peaks_reference(S, low, high, floors):
    """Return places and heights as `spectrum.peaks_kernel` appends them."""
    places, heights = [], []
    loud = np.where(floors[:, np.newaxis] < S, S, 0.0)
    peak = np.zeros(S.shape, dtype=bool)
    peak[:, 1:-1] = (loud[:, 1:-1] > loud[:, :-2]) & (loud[:, 1:-1] >= loud[:, 2:])
    peak[:, : max(low, 1)] = False
    peak[:, high:] = False
    for t, k in zip(*np.nonzero(peak), strict=True):
        before, here, after = S[t, k - 1 : k + 2].astype(np.float64)
        slope, bend = 0.5 * (after - before), after + before - 2.0 * here
        shift = -slope / bend if abs(slope) < abs(bend) else 0.0
        places.append(k + shift)
        heights.append(here + 0.5 * slope * shift)
    return np.array(places, dtype=np.float32), np.array(heights, dtype=np.float32)


def log_reference(S, gain, offset, amin, factor):
    """Return ``factor * log10(max(offset + gain * S, amin))``."""
    return (factor * np.log10(np.maximum(offset + gain * S.astype(np.float64), amin))).astype(
        np.float32
    )


def normalise_reference(S, use_max, tiny):
    """Return the rows divided by their norm where that is at least ``tiny``."""
    x = S.astype(np.float64)
    size = np.abs(x).max(axis=1) if use_max else np.sqrt((x**2).sum(axis=1))
    size = np.where(size >= tiny, size, 1.0)
    return (x / size[:, np.newaxis]).astype(np.float32)


def derivative_reference(x, weights):
    """Return the correlation with ``weights`` over time, its ends repeated."""
    half = len(weights) // 2
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), len(weights), axis=0)
    inner = windows @ np.asarray(weights, dtype=np.float64)
    return np.pad(inner, ((half, half), (0, 0)), mode="edge").astype(np.float32)
