"""Local maxima of spectra that lie as blocks of lanes."""

from __future__ import annotations

import numpy as np

from featx.kernels.compiling import kernel
from featx.kernels.vector import lowest_bit, vatleast, vgreater, vload, vmax, vset


@kernel
def lane_peaks_kernel(w, blocks, n_frames, n_bins, low, high, share, places, heights, count):
    """As `spectrum.peaks_kernel`, from ``blocks`` (`lane_spectrum.to_blocks`) of ``n_frames``.

    A lane is a frame. The floor of a frame is ``share`` of its loudest bin.
    """
    lanes = len(w)
    width = blocks.shape[1]
    flat = blocks.reshape(blocks.size)
    step = 2 * lanes
    s = vset(w, share)
    first, stop = max(low, 1), min(high, n_bins - 1)
    n_peaks = count[0]
    for b in range(len(blocks)):
        for parity in range(2):
            base = b * width + parity * lanes
            loudest = vload(w, flat, base)
            for k in range(1, n_bins):
                loudest = vmax(loudest, vload(w, flat, base + k * step))
            floor = s * loudest
            # frames beyond the end have no peaks
            here = n_frames - b * step - parity
            seen = np.int64((1 << min(max((here + 1) // 2, 0), lanes)) - 1)
            for k in range(first, stop):
                at = base + k * step
                x = vload(w, flat, at)
                peaks = vgreater(x, floor) & vgreater(x, vload(w, flat, at - step))
                peaks &= vatleast(x, vload(w, flat, at + step)) & seen
                while peaks != 0:
                    i = at + lowest_bit(peaks)
                    peaks &= peaks - 1
                    before, mid, after = flat[i - step], flat[i], flat[i + step]
                    slope = np.float32(0.5) * (after - before)
                    bend = after + before - np.float32(2.0) * mid
                    shift = np.float32(0.0)
                    if abs(slope) < abs(bend):
                        shift = -slope / bend
                    places[n_peaks] = np.float32(k) + shift
                    heights[n_peaks] = mid + np.float32(0.5) * slope * shift
                    n_peaks += 1
    count[0] = n_peaks
