"""Kernels: pYIN's probabilities of pitches out of difference functions, and exact frequencies."""

from __future__ import annotations

import math
from typing import Any

from featx.kernels import kernel


@kernel
def observe_kernel(
    d: Any, shortest: int, masses: Any, decay: Any, lowest: float, longest: float,
    per_octave: float, floor: float, troughs: Any, out: Any,
) -> None:  # fmt: skip
    """Write the log probabilities of all bins of pitch and, last, of a state without a period.

    Every threshold 1 / n, 2 / n … 1 of aperiodicity has a mass of ``masses`` (n,). The troughs of
    ``d`` below it share that mass in the ratios of ``decay``, shorter lags first; where there is
    none, the deepest trough gets the share ``lowest`` of it. A trough counts for the two bins
    around its pitch; bin 0 has the period ``longest``. What no trough has is divided among
    as many states without a period as there are bins. ``troughs`` (n_lags, 3) has room for place,
    height and probability of the troughs of a frame.
    """
    n_bins, n_thresholds = out.shape[1] - 1, masses.shape[0]
    for t in range(d.shape[0]):
        count, deepest = 0, 0
        for lag in range(shortest, d.shape[1] - 1):
            here = d[t, lag]
            if here < d[t, lag - 1] and here <= d[t, lag + 1]:
                before, after = float(d[t, lag - 1]), float(d[t, lag + 1])
                bend, slope = after + before - 2.0 * here, 0.5 * (after - before)
                shift = -slope / bend if abs(slope) < abs(bend) else 0.0
                troughs[count, 0] = per_octave * math.log2(longest / (lag + shift))
                troughs[count, 1] = here + 0.5 * slope * shift
                troughs[count, 2] = 0.0
                if troughs[count, 1] < troughs[deepest, 1]:
                    deepest = count
                count += 1
        for k in range(n_thresholds):
            threshold = (k + 1.0) / n_thresholds
            total, place = 0.0, 0
            for j in range(count):
                if troughs[j, 1] < threshold and place < decay.shape[0]:
                    total += decay[place]
                    place += 1
            if place == 0:
                if count > 0:
                    troughs[deepest, 2] += lowest * masses[k]
                continue
            place = 0
            for j in range(count):
                if troughs[j, 1] < threshold and place < decay.shape[0]:
                    troughs[j, 2] += masses[k] * decay[place] / total
                    place += 1
        for b in range(n_bins):
            out[t, b] = floor
        periodic = 0.0
        for j in range(count):
            if troughs[j, 0] < -0.5 or troughs[j, 0] > n_bins - 0.5:
                continue
            near = min(max(troughs[j, 0], 0.0), n_bins - 1.0)
            low = min(math.floor(near), n_bins - 2)
            share = near - low
            out[t, low] += troughs[j, 2] * (1.0 - share)
            out[t, low + 1] += troughs[j, 2] * share
            periodic += troughs[j, 2]
        for b in range(n_bins):
            out[t, b] = math.log(out[t, b])
        out[t, n_bins] = math.log(max(1.0 - periodic, floor) / n_bins)


@kernel
def refine_kernel(d: Any, lags: Any, reach: float, longest: float, out: Any) -> None:
    """Write exact periods: the deepest trough within a factor ``reach`` of each lag, or that lag.

    Where several periods fit into ``longest``, the trough at the last of them is divided by their
    number: parabolas through three samples are too coarse for short periods.
    """
    for t in range(d.shape[0]):
        out[t] = lags[t]
        multiple, low, high = 1.0, lags[t] / reach, lags[t] * reach
        for _ in range(2):
            best = -1
            for lag in range(max(1, math.floor(low)), min(d.shape[1] - 2, math.ceil(high)) + 1):
                trough = d[t, lag] < d[t, lag - 1] and d[t, lag] <= d[t, lag + 1]
                if trough and (best < 0 or d[t, lag] < d[t, best]):
                    best = lag
            if best < 0:
                break
            before, after = float(d[t, best - 1]), float(d[t, best + 1])
            bend, slope = after + before - 2.0 * d[t, best], 0.5 * (after - before)
            exact = best - slope / bend if abs(slope) < abs(bend) else float(best)
            out[t] = exact / multiple
            multiple = math.floor(longest / out[t])
            if multiple < 2.0:
                break
            low, high = multiple * out[t] - 1.0, multiple * out[t] + 1.0


@kernel
def highpass_kernel(y: Any, gain: float, back1: float, back2: float, out: Any) -> None:
    """Write ``y`` behind a second-order high-pass with a double zero at 0 Hz; may be in place."""
    x1 = x2 = z1 = z2 = 0.0
    for i in range(y.shape[0]):
        x = float(y[i])
        z = gain * (x - 2.0 * x1 + x2) - back1 * z1 - back2 * z2
        x2, x1 = x1, x
        z2, z1 = z1, z
        out[i] = z
