"""First passes over a clip: its tuning, the mean of its bands, and the loudest of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from featx.frontend import memory
from featx.frontend.bands import Bands, Clip
from featx.frontend.banks import ConstantQ, Waveform
from featx.frontend.checks import check_finite
from featx.frontend.constantq.transform import transform
from featx.frontend.filters import BandedBank, banded_bank
from featx.frontend.geometry import framing_of
from featx.frontend.lanes import on_threads
from featx.frontend.streams import Block, Excerpt, blocks_of_waveform, shares
from featx.frontend.tuning import Peaks, kept_shape, peaks_of_frames, tuning_of_peaks
from featx.types import FloatArray

#: Makes an array for a purpose: `memory.thread_array` or `memory.new_array`.
Reserve = Callable[[str, int, int], "FloatArray"]
#: A mean below this has no reciprocal: the clip is silence.
_SILENCE = 1e-30


def survey_waveform(
    bands: Bands,
    excerpt: Excerpt,
    *,
    rows: int,
    threads: int,
    into: FloatArray | None,
    reserve: Reserve,
) -> tuple[Excerpt, Clip]:
    """Look at a whole waveform as often as its front end needs that.

    ``into``, if given, is where bands may be left, an array of all frames. Returns the excerpt,
    whose samples may be known to be finite by now, and what has been found out.
    """
    clip = bands.clip()
    if excerpt.total == 0 or isinstance(bands.fe.bank, Waveform):
        check_finite(excerpt.y)
        return excerpt, clip
    if (
        clip.engine is None or clip.engine.cutting is not None
    ):  # plain hops are checked as they are read
        check_finite(excerpt.y)
        excerpt = dataclasses.replace(excerpt, checked=True)
    if isinstance(bands.fe.bank, ConstantQ):
        clip = _constant_q(bands, bands.fe.bank, excerpt, clip, threads, into, reserve)
        into = clip.bands
    if bands.tuned is not None:
        excerpt, clip = _tuned(bands, excerpt, clip, threads, reserve)
    if into is None and excerpt.total * bands.width <= memory.FITS:
        into = reserve("bands", excerpt.total, bands.width) if _looks_at_bands(bands) else None
    starts = shares(excerpt.total, threads)

    def blocks(start: int) -> Iterator[Block]:
        return blocks_of_waveform(excerpt, rows, start, min(start + starts.step, excerpt.total))

    if bands.relative and clip.bands is None:
        sums = on_threads(lambda start: _sums(bands, blocks(start), clip, into), starts)
        clip = dataclasses.replace(clip, scale=_scale(bands, sums))
        if into is not None:
            target = into
            on_threads(
                lambda start: bands.finish(
                    target[start : start + starts.step], clip, logarithm=True
                ),
                starts,
            )
            clip = dataclasses.replace(clip, bands=into)
    if bands.top_db is not None:
        tops = on_threads(lambda start: _largest(bands, blocks(start), clip, into), starts)
        clip = dataclasses.replace(clip, floor=_floor(tops, bands.top_db))
        if into is not None:
            clip = dataclasses.replace(clip, bands=into)
    return excerpt, clip


def survey_pieces(bands: Bands, blocks: Callable[[], Iterable[Block]]) -> Clip:
    """Read pieces as often as their front end needs that; ``blocks`` begins anew."""
    clip = bands.clip()
    if bands.tuned is not None:
        peaks = [peaks_of_frames(excerpt, bands.fe, bands.sr, a, b) for excerpt, a, b in blocks()]
        empty = np.empty(0, np.float32)
        clip = dataclasses.replace(clip, bank=_tuned_bank(bands, [(empty, empty), *peaks]))
    if bands.relative:
        sums = _sums(bands, blocks(), clip, None)
        clip = dataclasses.replace(clip, scale=_scale(bands, [sums]))
    if bands.top_db is not None:
        tops = [_largest(bands, blocks(), clip, None)]
        clip = dataclasses.replace(clip, floor=_floor(tops, bands.top_db))
    return clip


def reads_twice(bands: Bands) -> bool:
    """Tell whether a clip must be known as a whole before its first frame."""
    return bands.tuned is not None or _looks_at_bands(bands)


def _looks_at_bands(bands: Bands) -> bool:
    return bands.relative or bands.top_db is not None


def _constant_q(
    bands: Bands,
    bank: ConstantQ,
    excerpt: Excerpt,
    clip: Clip,
    threads: int,
    into: FloatArray | None,
    reserve: Reserve,
) -> Clip:
    """Compute all frames, which share what is filtered."""
    values = reserve("bands", excerpt.total, bands.width) if into is None else into
    taken = transform(excerpt.y, bands.fe, bank, bands.sr, values, threads, logarithm=bands.fused)
    if bands.relative:
        clip = dataclasses.replace(clip, scale=_scale(bands, [_row_sums(values)]))
    bands.finish(values, clip, logarithm=not taken)
    return dataclasses.replace(clip, bands=values)


def _tuned(
    bands: Bands, excerpt: Excerpt, clip: Clip, threads: int, reserve: Reserve
) -> tuple[Excerpt, Clip]:
    """Find the bank for the tuning of the clip; keep the spectra if they fit."""
    spectra = None
    if clip.engine is not None:
        rows, columns = kept_shape(bands.fe, excerpt.total)
        spectra = reserve("kept", rows, columns) if rows * columns <= memory.FITS else None
    starts = shares(excerpt.total, threads)

    def work(start: int) -> Peaks:
        stop = min(start + starts.step, excerpt.total)
        return peaks_of_frames(excerpt, bands.fe, bands.sr, start, stop, spectra)

    bank = _tuned_bank(bands, on_threads(work, starts))
    checked = dataclasses.replace(excerpt, checked=True)
    return checked, dataclasses.replace(clip, bank=bank, spectra=spectra)


def _tuned_bank(bands: Bands, peaks: list[Peaks]) -> BandedBank | None:
    if bands.tuned is None:
        return bands.bank
    tuning = tuning_of_peaks(peaks, fe=bands.fe, sr=bands.sr, bins_per_octave=bands.width)
    n_fft = framing_of(bands.fe).n_fft
    return banded_bank(bands.tuned, sr=bands.sr, n_fft=n_fft, tuning=tuning)


def _sums(
    bands: Bands, blocks: Iterable[Block], clip: Clip, target: FloatArray | None
) -> list[float]:
    """Return the sum of every frame's linear bands, which are left in their rows of ``target``."""
    sums: list[float] = []
    for excerpt, first, stop in blocks:
        into = None if target is None else target[first:stop]
        sums += _row_sums(bands.uncompressed(excerpt, clip, first, stop, into))
    return sums


def _row_sums(values: FloatArray) -> list[float]:
    # in float64 before the sum: how a cast is buffered would depend on where frames are cut
    sums: list[float] = values.astype(np.float64).sum(axis=1).tolist()
    return sums


def _scale(bands: Bands, sums: Iterable[list[float]]) -> float:
    """Return the reciprocal of the mean of all bands, of silence 0; the sum is exact."""
    rows = [value for part in sums for value in part]
    mean = math.fsum(rows) / max(1, len(rows) * bands.width)
    return 1.0 / mean if mean > _SILENCE else 0.0


def _largest(bands: Bands, blocks: Iterable[Block], clip: Clip, target: FloatArray | None) -> float:
    """Return the largest value of the bands, which are left in their rows of ``target``."""
    largest = -math.inf
    for excerpt, first, stop in blocks:
        into = None if target is None else target[first:stop]
        largest = max(largest, float(bands.rows(excerpt, clip, first, stop, into).max()))
    return largest


def _floor(tops: Iterable[float], top_db: float) -> np.float32:
    return np.float32(max(tops)) - np.float32(top_db)
