"""Cut frames from a waveform, with the padding made on the fly."""

from __future__ import annotations

from featx.kernels.compiling import kernel


@kernel
def frame_kernel(y, first, hop_num, hop_den, left, reflect, window, out):
    """Write the windowed frames ``first, first + 1, ...`` into the rows of ``out``.

    Frame t begins at sample ``t * hop_num // hop_den - left``. Beyond its ends the signal is
    mirrored without repeating the last sample if ``reflect``, else zero.
    """
    n = y.shape[0]
    length = out.shape[1]
    for row in range(out.shape[0]):
        start = (first + row) * hop_num // hop_den - left
        if start >= 0 and start + length <= n:
            for j in range(length):
                out[row, j] = y[start + j] * window[j]
        else:
            for j in range(length):
                i = start + j
                if reflect:
                    if i < 0:
                        i = -i
                    elif i >= n:
                        i = 2 * (n - 1) - i
                if 0 <= i < n:
                    out[row, j] = y[i] * window[j]
                else:
                    out[row, j] = 0.0


@kernel
def condition_kernel(frames, remove_dc, preemphasis, window):
    """Subtract the mean, pre-emphasise and window every row of ``frames``, in place."""
    length = window.shape[0]
    for row in range(frames.shape[0]):
        if remove_dc:
            total = 0.0
            for j in range(length):
                total += frames[row, j]
            mean = total / length
            for j in range(length):
                frames[row, j] -= mean
        if preemphasis != 0.0:
            for j in range(length - 1, 0, -1):
                frames[row, j] -= preemphasis * frames[row, j - 1]
            frames[row, 0] -= preemphasis * frames[row, 0]
        for j in range(length):
            frames[row, j] *= window[j]
