"""Which pieces of a track the network sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx import Track
from featx.neural import split_segments
from featx_samplecnn.config import ModelConfig

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]


def cut(x: FloatArray, *, length: int, segments: int = 0, spacing: str = "inclusive") -> FloatArray:
    """Cut ``x`` along its first axis into segments of ``length``.

    Parameters
    ----------
    x : float32 array, shape (n, ...), n >= 1
        Waveform or frames; one shorter than a segment is repeated to fill it.
    length : int > 0
        Of a segment, in samples or frames.
    segments : int >= 0
        How many; 0 for all complete ones side by side, see `featx.neural.split_segments`.
    spacing : {'inclusive', 'exclusive'}
        The first begins at 0 and the last ends at n (one alone lies in the middle); or segment i
        begins at ``i * ((n - length) // segments)``.

    Returns
    -------
    float32 array, shape (segments, length, ...)
    """
    if segments == 0 or len(x) < length:
        return split_segments(x, length=length)
    room = len(x) - length
    if spacing == "exclusive":
        starts = room // segments * np.arange(segments)
    elif segments == 1:
        starts = np.array([room // 2])
    else:
        starts = np.arange(segments) * room // (segments - 1)
    windows = np.lib.stride_tricks.sliding_window_view(x, length, axis=0)[starts]
    return np.moveaxis(windows, -1, 1)


def segments_of(
    track: Track, config: ModelConfig, *, segments: int = 0, spacing: str = "inclusive"
) -> FloatArray:
    """Return what the network of ``config`` reads of a track, see `cut`."""
    front_end = config.front_end
    x = track.y if front_end is None else track.spectra(front_end)
    return cut(x, length=config.length, segments=segments, spacing=spacing)
