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


def power_law_reference(S, gain, exponent):
    """Return ``(gain * S) ** exponent``."""
    return ((gain * S.astype(np.float64)) ** exponent).astype(np.float32)


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


def median_reference(S, size, rank):
    """Return the value of ``rank`` of the windows along the rows, mirrored with repeated ends."""
    half = size // 2
    padded = np.pad(S, ((0, 0), (half, size - 1 - half)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)
    return np.sort(windows, axis=2)[:, :, rank]


def soft_masks_reference(harmonic, percussive, margins, power, unheard):
    """Return the shares that `median.soft_masks_kernel` writes."""
    masks = []
    for x, other in ((harmonic, margins[0] * percussive), (percussive, margins[1] * harmonic)):
        if np.isinf(power):
            masks.append(x > other)
            continue
        largest = np.maximum(x, other).astype(np.float64)
        heard = largest >= np.finfo(np.float32).tiny
        largest[~heard] = 1.0
        a, b = (x / largest) ** power, (other / largest) ** power
        masks.append(np.where(heard, a / np.where(heard, a + b, 1.0), unheard))
    return np.array(masks, dtype=np.float32)


def maximum_reference(S, size):
    """Return the largest of ``size`` neighbouring bins."""
    half = size // 2
    padded = np.pad(S, ((0, 0), (half, size - 1 - half)), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, size, axis=1).max(axis=2)


def flux_reference(S, ref, lag, aggregate):
    """Return what ``aggregate`` makes of the rises above ``ref``, ``lag`` frames earlier."""
    out = np.zeros(len(S), dtype=np.float32)
    if len(S) > lag:
        rises = np.maximum(S[lag:] - ref[:-lag], 0.0)
        wide = rises if aggregate is np.median else rises.astype(np.float64)
        out[lag:] = aggregate(wide, axis=1)
    return out


def detrend_reference(x, pole):
    """Return the recursion of `onset.detrend_kernel`."""
    out, before, value = [], 0.0, 0.0
    for here in x.astype(np.float64):
        value = here - before + pole * value
        before = here
        out.append(value)
    return np.array(out, dtype=np.float32)


def pick_reference(x, pre_max, post_max, pre_avg, post_avg, delta, wait):
    """Return the peaks that `onset.pick_kernel` finds."""
    peaks = []
    for t, here in enumerate(x):
        largest = here == x[max(0, t - pre_max) : t + post_max].max(initial=here)
        mean = x[max(0, t - pre_avg) : t + post_avg].astype(np.float64).mean()
        if largest and here >= mean + delta and (not peaks or t - peaks[-1] > wait):
            peaks.append(t)
    return np.array(peaks, dtype=np.int64)


def difference_reference(y, hop, frame_length, win_length, n_frames, n_lags):
    """Return the difference functions of frames that begin at 0, hop, 2 hop … in ``y``."""
    out = np.zeros((n_frames, n_lags))
    for t in range(n_frames):
        x = np.pad(y[t * hop : t * hop + frame_length].astype(np.float64), (0, n_lags))
        for k in range(n_lags):
            out[t, k] = ((x[:win_length] - x[k : k + win_length]) ** 2).sum()
    return out.astype(np.float32)


def normalise_difference_reference(d):
    """Return the differences over the mean of those up to their lag."""
    lags = np.arange(1, d.shape[1])
    mean = np.cumsum(d[:, 1:], axis=1, dtype=np.float64) / lags
    silent = mean <= 0.0
    ratio = np.where(silent, 1.0, d[:, 1:] / np.where(silent, 1.0, mean))
    return np.concatenate([np.ones((len(d), 1)), ratio], axis=1).astype(np.float32)


def yin_reference(d, first, threshold, rate):
    """Return the frequencies that `pitch.yin_kernel` finds."""
    out = []
    for row in d.astype(np.float64):
        x = row[first:]
        trough = np.r_[True, x[1:] < x[:-1]] & np.r_[x[:-1] <= x[1:], True]
        trough[0] = x[0] < x[1] if len(x) > 1 else True
        dips = np.flatnonzero(trough & (x < threshold))
        k = int(dips[0]) if len(dips) else int(np.argmin(x))
        shift = 0.0
        if 0 < k < len(x) - 1:
            bend, slope = x[k + 1] + x[k - 1] - 2.0 * x[k], 0.5 * (x[k + 1] - x[k - 1])
            shift = -slope / bend if abs(slope) < abs(bend) else 0.0
        out.append(rate / (first + k + shift))
    return np.array(out, dtype=np.float32)


def viterbi_reference(log_observed, log_transition, log_initial):
    """Return the best path and its log probability, in the arithmetic of `sequence`."""
    row = log_observed[0] + log_initial
    total, back = np.float64(row.max()), []
    row = row - row.max()
    for seen in log_observed[1:]:
        scores = row[:, np.newaxis] + log_transition
        back.append(scores.argmax(axis=0))
        row = scores.max(axis=0) + seen
        total += row.max()
        row = row - row.max()
    path = [int(row.argmax())]
    for sources in reversed(back):
        path.append(int(sources[path[-1]]))
    return np.array(path[::-1]), float(total)


def beat_links_reference(strength, costs, nearest, floor):
    """Return the scores and links of `sequence.beat_links_kernel`."""
    scores, links = np.zeros(len(strength)), np.full(len(strength), -1)
    begun = False
    for t in range(len(strength)):
        begun = begun or strength[t] >= floor
        scores[t] = strength[t]
        earlier = t - nearest - np.arange(len(costs))
        earlier = earlier[earlier >= 0]
        if len(earlier):
            chains = scores[earlier] - costs[: len(earlier)]
            scores[t] += chains.max()
            links[t] = earlier[chains.argmax()] if begun else -1
    return scores, links


def cosine_reference(bands, basis):
    """Return ``bands`` times ``basis``."""
    return (bands.astype(np.float64) @ basis).astype(np.float32)


def statistics_reference(x):
    """Return mean, std, min and max over time, and mean and std of the differences in time."""
    x = x.astype(np.float64)
    rise = np.diff(x, axis=0) if len(x) > 1 else np.zeros_like(x)
    return np.stack(
        [x.mean(0), x.std(0), x.min(0), x.max(0), rise.mean(0), rise.std(0)]
    )  # fmt: skip
