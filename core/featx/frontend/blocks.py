"""Frames and spectra in blocks, so that an hour of sound needs no more memory than its result."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.banks import Samples
from featx.frontend.checks import check_finite, check_rate, check_waveform
from featx.frontend.geometry import framing_of
from featx.frontend.lanes import block_frames, fill, frame_window, has_lanes
from featx.frontend.presets import preset
from featx.types import AnyArray, FloatArray

if TYPE_CHECKING:
    from featx.frontend.framing import Framing
    from featx.frontend.front_end import FrontEnd

#: Samples in one block of frames: 1 MiB of float32, which stays in the cache.
BLOCK_SAMPLES = 1 << 18


def frame_blocks(
    y: FloatArray,
    framing: Framing,
    *,
    first: int = 0,
    stop: int | None = None,
    offset: int = 0,
    checked: bool = False,
) -> Iterator[tuple[int, FloatArray]]:
    """Yield the first index and the windowed frames of every block, zero-padded to ``n_fft``.

    Frames from ``first`` until ``stop``; ``y`` are the samples from ``offset`` on of the waveform
    that they are counted in. The array is used again for the next block.
    """
    from featx.kernels.framing import condition_kernel, frame_kernel

    if not checked:
        check_finite(y)
    begin, length, left = first, framing.frame_samples, framing.left_samples
    total = framing.n_frames(len(y)) if stop is None else stop
    hop = Fraction(framing.hop_length)
    reflect = framing.pad_mode == "reflect" and len(y) > left
    taper = frame_window(framing)
    shape = np.ones_like(taper) if framing.conditioned else taper
    rows = max(1, BLOCK_SAMPLES // framing.n_fft)
    buffer = np.zeros((min(rows, total - begin), framing.n_fft), dtype=np.float32)
    for t in range(begin, total, rows):
        block = buffer[: min(rows, total - t)]
        frames = block[:, :length]
        frame_kernel(y, t, hop.numerator, hop.denominator, left + offset, reflect, shape, frames)
        if framing.conditioned:
            condition_kernel(frames, framing.remove_dc, np.float32(framing.preemphasis), taper)
        yield t, block


def stft_blocks(y: FloatArray, framing: Framing, **where: Any) -> Iterator[tuple[int, AnyArray]]:
    """Yield the first index and the complex64 spectra of every block; the array is used again.

    ``where`` as in `frame_blocks`.
    """
    from featx.kernels.fft import rfft_rows

    buffer: AnyArray | None = None
    for first, frames in frame_blocks(y, framing, **where):
        if buffer is None:
            buffer = np.empty((len(frames), framing.n_bins), dtype=np.complex64)
        X = buffer[: len(frames)]
        rfft_rows(frames, X)
        yield first, X


def _lane_blocks(y: FloatArray, fe: FrontEnd) -> Iterator[tuple[int, FloatArray]]:
    framing, block = framing_of(fe), block_frames()
    total = framing.n_frames(len(y))
    rows = max(1, BLOCK_SAMPLES // framing.n_fft // block) * block
    buffer = np.empty((min(rows, total), framing.n_bins), dtype=np.float32)
    for first in range(0, total, rows):
        S = buffer[: min(rows, total - first)]
        fill(y, fe, S, first=first)
        yield first, S


def scalar_blocks(y: FloatArray, fe: FrontEnd, **where: Any) -> Iterator[tuple[int, FloatArray]]:
    """Yield the first index and the magnitude or power spectra of every block, gain included.

    The array is used again for the next block; ``where`` as in `frame_blocks`.
    """
    from featx.kernels.spectrum import magnitude_kernel, power_kernel

    kernel = power_kernel if fe.power == 2.0 else magnitude_kernel
    gain = np.float32(fe.spectrum_gain)
    buffer: FloatArray | None = None
    for first, X in stft_blocks(y, framing_of(fe), **where):
        if buffer is None:
            buffer = np.empty(X.shape, dtype=np.float32)
        S = buffer[: len(X)]
        kernel(X, gain, S)
        yield first, S


def spectrum_blocks(
    y: FloatArray, front_end: FrontEnd | str, *, sr: int
) -> Iterator[tuple[int, FloatArray]]:
    """Yield spectra block by block, for descriptors that need every bin of a long recording.

    The spectra are those that the front end's bank would see: magnitude or power, its gain
    included. Bank, compression and the rest are not applied.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform.
    front_end : FrontEnd or str
        Its bank must need a spectrum: none of `Samples`, `Waveform` and `ConstantQ`.
    sr : int > 0
        Rate of ``y`` in Hz.

    Yields
    ------
    first : int
        Index of the first frame of the block.
    S : float32 array, shape (n, n_fft // 2 + 1)
        Overwritten by the next block: copy what you keep.

    Raises
    ------
    ParameterError
        As `compute`.
    """
    fe = preset(front_end)
    if fe.framing is None or isinstance(fe.bank, Samples):
        raise ParameterError(f"front_end must have a spectrum, got {fe.name!r}, which has none.")
    check_rate(fe, sr)
    y = check_waveform(y)
    check_finite(y)
    return _lane_blocks(y, fe) if has_lanes(fe) else scalar_blocks(y, fe)
