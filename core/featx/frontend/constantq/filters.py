"""Constant-Q filters as numbers: frequencies, lengths, and the rate that each octave is seen at.

Plain arithmetic, so that planning needs neither numpy nor numba.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from featx.errors import ParameterError

#: The lowest note by default, in Hz, three octaves and nine semitones below A4 = 440 Hz.
C1 = 440.0 * 2.0 ** (-45 / 12)
#: Equivalent noise bandwidth of a Hann window, in bins.
_BANDWIDTH = 1.5
#: Half the width of its main lobe, in bins.
_LOBE = 2.0
#: Samples of the shortest window that is one.
_SHORTEST = 3
#: A stream holds filters whose main lobe ends below this share of its rate.
_TOP = 0.25


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One constant-Q filter.

    ``length`` is Q periods in samples at the signal's rate. Its window has ``width`` samples at
    ``1 / 2**octave`` of that rate, which is how librosa rounds; it is applied at ``1 / 2**stream``.
    """

    frequency: float
    length: float
    width: int
    octave: int
    stream: int


def quality(bins_per_octave: int, filter_scale: float = 1.0) -> float:
    """Return Q: the periods of its frequency that a filter is long."""
    ratio: float = 2.0 ** (2.0 / bins_per_octave)
    return filter_scale * (ratio + 1.0) / (ratio - 1.0)


def longest(sr: int, *, fmin: float, bins_per_octave: int) -> int:
    """Return the samples of the filter at ``fmin``, rounded up."""
    return math.ceil(quality(bins_per_octave) * sr / fmin)


def check_range(
    sr: int, *, fmin: float, n_bins: int, bins_per_octave: int, filter_scale: float = 1.0
) -> float:
    """Return where the highest filter ends in Hz; raise if that is beyond half of the rate."""
    q = quality(bins_per_octave, filter_scale)
    top: float = fmin * 2.0 ** ((n_bins - 1) / bins_per_octave)
    end = top * (1.0 + 0.5 * _BANDWIDTH / q)
    if end > sr / 2:
        raise ParameterError(
            f"n_bins must keep the highest filter below sr / 2 = {sr / 2:g} Hz, got {n_bins} from "
            f"{fmin:g} Hz on, which end at {end:g} Hz."
        )
    return end


def constant_q_filters(
    sr: int,
    *,
    hop_length: int,
    fmin: float,
    n_bins: int,
    bins_per_octave: int,
    filter_scale: float = 1.0,
) -> tuple[Filter, ...]:
    """Return the filters, lowest first.

    Octaves count from the highest filter down. The rate of the highest is halved as often as leaves
    two octaves and more above it, that of every further octave once more, as long as the hop can be
    halved. Windows are as long as in librosa, whose rates these are. Where a main lobe would come
    near half of that rate, the filter is applied at twice the rate. Raises `ParameterError` as
    `check_range`, and if a window would have less than three samples.
    """
    end = check_range(
        sr, fmin=fmin, n_bins=n_bins, bins_per_octave=bins_per_octave, filter_scale=filter_scale
    )
    q = quality(bins_per_octave, filter_scale)
    halvings = (hop_length & -hop_length).bit_length() - 1
    octaves = -(-n_bins // bins_per_octave)
    room = max(0, math.ceil(math.log2(sr / 2 / end)) - 2)
    early = min(room, max(0, halvings - octaves + 1))
    out = []
    for k in range(n_bins):
        frequency = fmin * 2.0 ** (k / bins_per_octave)
        length = q * sr / frequency
        octave = min(early + (n_bins - 1 - k) // min(bins_per_octave, n_bins), halvings)
        half = length / 2**octave / 2
        width = math.floor(half) + math.ceil(half)
        if width < _SHORTEST:
            raise ParameterError(
                f"filter_scale must leave every filter {_SHORTEST} samples and more, got "
                f"{filter_scale:g}, which leaves {width} at {frequency:g} Hz."
            )
        stream = octave
        while stream and (frequency / sr + _LOBE / (width * 2**octave)) * 2**stream > _TOP:
            stream -= 1
        out.append(
            Filter(frequency=frequency, length=length, width=width, octave=octave, stream=stream)
        )
    return tuple(out)
