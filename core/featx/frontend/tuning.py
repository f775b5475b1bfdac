"""How far a recording is from A4 = 440 Hz."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ParameterError
from featx.frontend.blocks import scalar_blocks
from featx.frontend.checks import check_finite, check_waveform
from featx.frontend.geometry import framing_of
from featx.frontend.lanes import block_frames, fill, has_lanes
from featx.frontend.memory import thread_array
from featx.frontend.presets import preset
from featx.frontend.streams import Excerpt
from featx.types import FloatArray

if TYPE_CHECKING:
    from featx.frontend.front_end import FrontEnd

#: Partials outside this range in Hz do not vote.
_LOW, _HIGH = 150.0, 4000.0
#: Partials this much below the loudest of their frame do not vote.
_THRESHOLD = 0.1
#: Width of a histogram bin, in bands.
_RESOLUTION = 0.01
#: Values of spectra between computing them and looking for peaks: 1 MiB, which stays in the cache.
_CHUNK = 1 << 18

#: Places in bins and heights.
Peaks = tuple[Any, Any]


def estimate_tuning(
    y: FloatArray,
    front_end: FrontEnd | str = "librosa-chroma",
    *,
    sr: int,
    bins_per_octave: int = 12,
) -> float:
    """Return the deviation from A4 = 440 Hz as most partials of a recording have it.

    Spectral peaks at least as loud as the median peak vote in a histogram of their distance to the
    nearest band.

    Parameters
    ----------
    y : float32 array, shape (n_samples,)
        Mono waveform.
    front_end : FrontEnd or str
        Whose framing, window and power the spectra have.
    sr : int > 0
        Rate of ``y`` in Hz.
    bins_per_octave : int > 0
        Bands in an octave.

    Returns
    -------
    float in [-0.5, 0.5)
        In bands (semitones for 12); 0.0 when nothing votes, as in silence.

    Raises
    ------
    ParameterError
        If ``y`` is not a finite float32 waveform, or ``bins_per_octave`` is not positive.
    """
    if bins_per_octave < 1:
        raise ParameterError(f"bins_per_octave must be an integer > 0, got {bins_per_octave}.")
    fe = preset(front_end)
    y = check_waveform(y)
    check_finite(y)
    excerpt = Excerpt(y=y, total=framing_of(fe).n_frames(len(y)), checked=True)
    peaks = [peaks_of_frames(excerpt, fe, sr, 0, excerpt.total)]
    return tuning_of_peaks(peaks, fe=fe, sr=sr, bins_per_octave=bins_per_octave)


def kept_shape(fe: FrontEnd, n_frames: int) -> tuple[int, int]:
    """Return the shape of the blocks of ``n_frames`` spectra as `peaks_of_frames` keeps them."""
    rows = block_frames()
    return -(-n_frames // rows), framing_of(fe).n_bins * rows


def peaks_of_frames(
    excerpt: Excerpt, fe: FrontEnd, sr: int, first: int, stop: int, target: FloatArray | None = None
) -> Peaks:
    """Return place in bins and height of the peaks that vote, of frames ``first … stop - 1``.

    The spectra of a whole waveform go into ``target``, if there is one, which needs `has_lanes`.
    """
    n_fft = framing_of(fe).n_fft
    low = math.ceil(_LOW * n_fft / sr)
    high = max(low, math.ceil(min(_HIGH, sr / 2) * n_fft / sr))
    # of two neighbouring bins, one is a maximum at most
    most = (high - low) // 2 + 1
    pairs = (_lane_peaks if has_lanes(fe) else _scalar_peaks)(
        excerpt, fe, first, stop, low, high, most, target
    )
    empty = np.empty(0, np.float32)
    places, heights = zip((empty, empty), *pairs, strict=True)
    return np.concatenate(places), np.concatenate(heights)


def _lane_peaks(
    excerpt: Excerpt, fe: FrontEnd, first: int, stop: int, low: int, high: int, most: int,
    target: FloatArray | None,
) -> Iterator[Peaks]:  # fmt: skip
    from featx.kernels.peaks import lane_peaks_kernel
    from featx.kernels.vector import lanes, marker

    w, rows = marker(lanes()), block_frames()
    _, width = kept_shape(fe, 0)
    many = max(1, _CHUNK // width)
    for start in range(first, stop, many * rows):
        count = min(many, -(-(stop - start) // rows))
        at = start // rows
        blocks = (
            thread_array("spectra", count, width) if target is None else target[at : at + count]
        )
        fill(
            excerpt.y, fe, blocks, first=start, offset=excerpt.offset, total=excerpt.total,
            checked=excerpt.checked, in_blocks=True,
        )  # fmt: skip
        n = min(stop - start, count * rows)
        places, heights = thread_array("peaks", 2, n * most + 1)
        n_peaks = np.zeros(1, np.int64)
        lane_peaks_kernel(
            w, blocks, n, framing_of(fe).n_bins, low, high, np.float32(_THRESHOLD), places, heights,
            n_peaks,
        )  # fmt: skip
        yield places[: n_peaks[0]].copy(), heights[: n_peaks[0]].copy()


def _scalar_peaks(
    excerpt: Excerpt, fe: FrontEnd, first: int, stop: int, low: int, high: int, most: int,
    target: FloatArray | None,  # noqa: ARG001
) -> Iterator[Peaks]:  # fmt: skip
    from featx.kernels.spectrum import peaks_kernel

    where = {"first": first, "stop": stop, "offset": excerpt.offset, "checked": excerpt.checked}
    for _, S in scalar_blocks(excerpt.y, fe, **where):
        places, heights = (np.empty(len(S) * most + 1, np.float32) for _ in range(2))
        n_peaks = np.zeros(1, np.int64)
        floors = np.float32(_THRESHOLD) * S.max(axis=1)
        peaks_kernel(S, low, high, floors, places, heights, n_peaks)
        yield places[: n_peaks[0]].copy(), heights[: n_peaks[0]].copy()


def tuning_of_peaks(
    peaks: Sequence[Peaks], *, fe: FrontEnd, sr: int, bins_per_octave: int
) -> float:
    """Return the tuning of a recording for which these peaks vote, in any order."""
    places, heights = (np.concatenate(parts) for parts in zip(*peaks, strict=True))
    if len(places) == 0:
        return 0.0
    loud = places[heights >= _median(heights)]
    deviation = bins_per_octave * np.log2(
        loud.astype(np.float64) * (sr / framing_of(fe).n_fft * 16.0 / 440.0)
    )
    deviation -= np.floor(deviation)
    deviation[deviation >= 0.5] -= 1.0
    bins = round(1.0 / _RESOLUTION)
    # a sum that rounds up to the next bin's edge belongs there, but the last bin has no next
    votes = np.minimum(((deviation + 0.5) * bins).astype(np.int16), bins - 1)
    return float(np.linspace(-0.5, 0.5, bins + 1)[int(np.argmax(np.bincount(votes)))])


def _median(heights: FloatArray) -> np.float32:
    """Return the median of positive numbers, as numpy does, in two looks at all of them."""
    middle = len(heights) // 2
    # the bits of positive numbers are in their order: the leading ones show where the middle is
    leading = heights.view(np.int32) >> 18
    below = np.cumsum(np.bincount(leading))
    first = middle if len(heights) % 2 else middle - 1
    low, high = np.searchsorted(below, [first, middle], side="right")
    near = np.sort(heights[(leading >= low) & (leading <= high)])
    before = below[low - 1] if low else 0
    a, b = near[first - before], near[middle - before]
    return np.float32(a + b) / np.float32(2.0) if first < middle else b
