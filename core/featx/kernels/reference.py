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


def extend_reference(y, start, reflect, count):
    """Return what `constant_q.extend_kernel` writes into ``count`` samples."""
    left, right = max(0, -start), max(0, start + count - len(y))
    mirror = min(left, right, len(y) - 1) if reflect else 0
    padded = np.zeros(left + len(y) + right, y.dtype)
    padded[left : left + len(y)] = y
    if reflect:
        before, after = min(left, len(y) - 1), min(right, len(y) - 1)
        mirror = np.pad(y, (before, after), mode="reflect")
        padded[left - before : left + len(y) + after] = mirror
    return padded[start + left :][:count]


def decimate_reference(x, taps, n):
    """Return what `constant_q.decimate_kernel` writes into ``n`` samples."""
    fir = np.zeros(4 * len(taps) - 1)
    fir[2 * len(taps) - 1] = 0.5
    fir[2 * len(taps) :: 2] = taps
    fir[2 * len(taps) - 2 :: -2] = taps
    return np.convolve(x.astype(np.float64), fir, mode="valid")[::2][:n].astype(np.float32)


def filters_reference(x, hop, half, gap, groups, weights, n_frames):
    """Return what `constant_q.filters_kernel` writes for a section, (n_frames, n_filters, 2)."""
    frames = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), 2 * half - 1 + gap)
    frames = frames[::hop][:n_frames]
    after, before = frames[:, half - 1 + gap :], frames[:, half - 1 :: -1]
    sums = []
    for rows, at in groups:
        table = weights[at:].astype(np.float64)[: 8 * rows].reshape(rows, 4, 2)
        cosine = (after + before)[:, :rows] @ table[:, :, 0]
        sine = (after - before)[:, :rows] @ table[:, :, 1]
        sums.append(np.stack([cosine, sine], axis=-1))
    return np.concatenate(sums, axis=1).astype(np.float32)


def constant_q_reference(y, hop, sr, frequencies, lengths, windows, delays, n_frames):
    """Return the constant-Q transform as it is defined, at the rate of ``y``, zeros around it.

    Filter k is a Hann window ``windows[k]`` samples long whose middle lies ``delays[k]`` samples
    after the frame's centre, times a complex exponential that is 1 at the frame's centre, times
    ``sqrt(lengths[k])`` over the sum of the window.
    """
    pad = int(max(windows)) + int(max(delays)) + 1
    padded = np.pad(y.astype(np.float64), (pad, pad + hop))
    out = np.empty((n_frames, len(frequencies)), np.complex128)
    for k, (frequency, width, delay) in enumerate(zip(frequencies, windows, delays, strict=True)):
        n = np.arange(np.ceil(delay - width / 2), np.floor(delay + width / 2) + 1).astype(int)
        shape = 0.5 + 0.5 * np.cos(2 * np.pi * (n - delay) / width)
        shape *= np.sqrt(lengths[k]) / (width / 2)
        kernel = shape * np.exp(-2j * np.pi * frequency / sr * n)
        for t in range(n_frames):
            out[t, k] = kernel @ padded[pad + t * hop + n[0] :][: len(n)]
    return out
