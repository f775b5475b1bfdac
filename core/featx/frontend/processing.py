"""The one way from samples to the array of a `FrontEnd`, whole, in blocks, or as statistics."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from featx.errors import ParameterError, listed
from featx.frontend.banks import Bins, ConstantQ, FilterBank, Samples, Waveform
from featx.frontend.blocks import check_waveform, check_waveforms, frame_blocks, scalar_blocks
from featx.frontend.cepstra import append_derivatives, cepstrum
from featx.frontend.compression import Decibel, Logarithm, PowerLaw
from featx.frontend.constantq.transform import transform
from featx.frontend.filters import BandedBank, banded_bank, warn_of_empty_rows
from featx.frontend.geometry import framing_of, n_frames
from featx.frontend.lanes import Engine, check_finite, engine_of, fill, on_threads, project_blocks
from featx.frontend.parts import (
    ALIGNED,
    Block,
    Part,
    blocks_of_pieces,
    blocks_of_waveform,
)
from featx.frontend.presets import preset
from featx.frontend.scratch import FITS, scratch
from featx.frontend.steps import (
    apply_bank,
    check_out,
    check_rate,
    check_threads,
    normalise,
    raise_to_power,
    take_logarithm,
)
from featx.frontend.tuning import kept_shape, peaks_of_frames, tuning_of_peaks

if TYPE_CHECKING:
    from featx.frontend.front_end import FrontEnd
    from featx.types import AnyArray, DoubleArray, FloatArray

__all__ = ["STATISTICS", "Processor", "processor"]

T = TypeVar("T")

#: Values in one block of bands: 1 MiB of float32, which stays in the cache.
BLOCK_VALUES = 1 << 18
#: Parts of a block that are described one by one, so that statistics have the same cuts everywhere.
PIECES = 4

#: What `statistics` can tell, in the order of its documentation.
STATISTICS = ("mean", "std", "min", "max", "delta_mean", "delta_std")


@dataclass(frozen=True, kw_only=True)
class _Clip:
    """What holds for all frames of one waveform, and what a first pass has left for the second."""

    engine: Engine | None
    bank: BandedBank | None
    #: Largest value of the bands in dB, where the dynamic range is limited.
    loudest: float | None = None
    #: Spectra of all frames, as blocks of the kernels.
    spectra: FloatArray | None = None
    #: Bands of all frames.
    bands: FloatArray | None = None


class Processor:
    """A front end made ready: checked, with its filter bank, and with nothing to look up again.

    It holds no state of a waveform, so threads may share one.

    Parameters
    ----------
    front_end : FrontEnd or str
        A preset name, or a front end of your own.
    sr : int > 0
        Rate of the waveforms in Hz; must be the front end's, if it has one.
    filter_bank : array, shape (n_bands, n_fft // 2 + 1), optional
        A bank of your own, for front ends whose bank is `Bins`.

    Attributes
    ----------
    front_end : FrontEnd
    sr, dim : int
        Rate in Hz; columns of the arrays.

    Raises
    ------
    ParameterError
        If the rate is wrong, the front end is unknown or breaks a rule, or the shape of the bank
        does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> mel = Processor("fe-artist", sr=22050)
    >>> mel(np.zeros(22050, np.float32)).shape
    (44, 128)
    """

    def __init__(
        self, front_end: FrontEnd | str, *, sr: int, filter_bank: AnyArray | None = None
    ) -> None:
        fe = preset(front_end)
        check_rate(fe, sr)
        self.front_end, self.sr = fe, sr
        self._raw = isinstance(fe.bank, Waveform)
        self._n_mfcc = 0 if fe.cepstrum is None else fe.cepstrum.n_mfcc
        self._bank: BandedBank | None = None
        if filter_bank is not None:
            self._bank = _checked_bank(fe, filter_bank)
        elif isinstance(fe.bank, FilterBank) and not fe.bank.tuned:
            self._bank = banded_bank(fe.bank, sr=sr, n_fft=framing_of(fe).n_fft)
        self._width = fe.n_bands(sr) if filter_bank is None else len(filter_bank)
        if self._n_mfcc > self._width:
            raise ParameterError(f"n_mfcc must be <= the {self._width} bands, got {self._n_mfcc}.")
        #: rows that touch no bin, to warn of; tuning changes nothing about them
        self._empty = [] if self._bank is None else self._bank.empty
        if isinstance(fe.bank, FilterBank) and fe.bank.tuned:
            self._empty = banded_bank(fe.bank, sr=sr, n_fft=framing_of(fe).n_fft).empty
        self._static = self._n_mfcc or self._width
        self.dim = self._static * (1 + fe.deltas)

    def __repr__(self) -> str:
        return f"Processor({self.front_end.name!r}, sr={self.sr})"

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames for ``n_samples``, as `featx.frontend.n_frames`."""
        return n_frames(n_samples, self.front_end)

    def __call__(
        self, y: FloatArray, *, out: FloatArray | None = None, threads: int = 1
    ) -> FloatArray:
        """Return the representation of ``y``: see `compute`."""
        return self._compute(y, out, threads, stacklevel=3)

    def blocks(self, source: FloatArray | Iterable[FloatArray]) -> Iterator[tuple[int, FloatArray]]:
        """Yield the representation block by block: see `compute_blocks`."""
        return self._blocks(source, stacklevel=3)

    def statistics(
        self,
        source: FloatArray | Iterable[FloatArray],
        *,
        statistics: Sequence[str] = ("mean", "std"),
        threads: int = 1,
    ) -> FloatArray:
        """Return statistics over time: see `featx.frontend.statistics`."""
        return self._statistics(source, statistics, threads, stacklevel=3)

    def _statistics(
        self,
        source: FloatArray | Iterable[FloatArray],
        statistics: Sequence[str],
        threads: int,
        *,
        stacklevel: int,
    ) -> FloatArray:
        check_threads(threads)
        wanted = _check_statistics(statistics)
        warn_of_empty_rows(self._empty, stacklevel=stacklevel)
        if not isinstance(source, np.ndarray):
            clip, blocks = self._open_pieces(source)
            return self._chosen(wanted, self._fold(self._pieces(clip, blocks, wanted)))
        y = check_waveforms(source)
        out = np.empty((*y.shape[:-1], len(wanted), self.dim), dtype=np.float32)
        self._each_channel(y, out, threads, lambda one, to, n: self._describe(one, wanted, to, n))
        return out

    # ------------------------------------------------------------ one array
    def _compute(
        self, y: FloatArray, out: FloatArray | None, threads: int, *, stacklevel: int
    ) -> FloatArray:
        check_threads(threads)
        y = check_waveforms(y)
        shape = (*y.shape[:-1], n_frames(y.shape[-1], self.front_end), self.dim)
        out = check_out(out, shape)
        warn_of_empty_rows(self._empty, stacklevel=stacklevel)
        self._each_channel(y, out, threads, self._write)
        return out

    def _each_channel(
        self,
        y: FloatArray,
        out: FloatArray,
        threads: int,
        work: Callable[[FloatArray, FloatArray, int], None],
    ) -> None:
        """Call ``work(samples, out, threads)`` for every channel."""
        if y.ndim == 1:
            work(y, out, threads)
            return
        channels = list(np.ndindex(y.shape[:-1]))
        # threads are best off with channels of their own, if there are enough of them
        groups = threads if threads <= len(channels) else 1

        def several(group: int) -> None:
            for channel in channels[group::groups]:
                one = np.ascontiguousarray(y[channel])
                work(one, out[channel], 1 if groups > 1 else threads)

        on_threads(several, range(groups))

    def _write(self, y: FloatArray, out: FloatArray, threads: int) -> None:
        fe = self.front_end
        if self._raw or len(out) == 0:
            check_finite(y)
            out[:, 0] = y[: len(out)]
            return
        plain = not self._n_mfcc and not fe.deltas
        part, clip = self._survey(y, threads, bands=out if plain else None)
        if clip.bands is out and clip.loudest is None:
            return
        shares = _shares(part.total, threads)
        static = out
        if fe.deltas:
            static = np.empty((part.total, self._static), dtype=np.float32)

        def work(start: int) -> None:
            stop = min(start + shares.step, part.total)
            self._static_rows(part, clip, start, stop, static[start:stop])

        on_threads(work, shares)
        if fe.deltas:
            append_derivatives(static, fe.delta_width, fe.deltas, slice(None), out=out)

    # ------------------------------------------------------------ first passes
    def _engine(self) -> Engine | None:
        fe = self.front_end
        return None if fe.framing is None or isinstance(fe.bank, Samples) else engine_of(fe)

    def _survey(
        self, y: FloatArray, threads: int, *, bands: FloatArray | None, passing: bool = True
    ) -> tuple[Part, _Clip]:
        """Look at a whole waveform, as far as its front end needs that.

        ``bands``, if given, is where bands may be left. What is ``passing`` is over when the
        caller returns, and may use the memory of its thread.
        """
        fe = self.front_end
        clip = _Clip(engine=self._engine(), bank=self._bank)
        # plain hops are looked at by the kernel that reads them
        own = clip.engine is not None and clip.engine.cutting is None
        if not own:
            check_finite(y)
        part = Part(y=y, total=n_frames(len(y), fe), checked=not own)
        if part.total == 0 or self._raw:
            check_finite(y)
            return part, clip
        reserve = scratch if passing else _new
        if isinstance(fe.bank, ConstantQ):
            if bands is None:
                bands = reserve("bands", part.total, self._width)
            if not transform(y, fe, fe.bank, self.sr, bands, threads):
                take_logarithm(bands, fe)
            raise_to_power(bands, fe)
            normalise(bands, fe)
            clip = dataclasses.replace(clip, bands=bands)

        if self._tuned_bank:
            spectra = None
            if clip.engine is not None:
                rows, columns = kept_shape(fe, part.total)
                spectra = reserve("kept", rows, columns) if rows * columns <= FITS else None
            shares = _shares(part.total, threads)
            peaks = on_threads(
                lambda a: peaks_of_frames(
                    part, fe, self.sr, a, min(a + shares.step, part.total), spectra
                ),
                shares,
            )
            part = dataclasses.replace(part, checked=True)
            clip = dataclasses.replace(clip, bank=self._tuned(peaks), spectra=spectra)
        if self._limited:
            if bands is None and part.total * self._width <= FITS:
                bands = reserve("bands", part.total, self._width)
            shares, kept = _shares(part.total, threads), bands
            found = on_threads(
                lambda a: self._largest(
                    blocks_of_waveform(part, self._rows, a, min(a + shares.step, part.total)),
                    clip,
                    kept,
                ),
                shares,
            )
            clip = dataclasses.replace(clip, loudest=max(found), bands=bands)
        return part, clip

    @property
    def _tuned_bank(self) -> bool:
        bank = self.front_end.bank
        return isinstance(bank, FilterBank) and bank.tuned

    @property
    def _limited(self) -> bool:
        return self._top_db is not None

    @property
    def _top_db(self) -> float | None:
        compression = self.front_end.compression
        return compression.top_db if isinstance(compression, Decibel) else None

    def _tuned(self, peaks: Sequence[Any]) -> BandedBank:
        fe, n_fft = self.front_end, framing_of(self.front_end).n_fft
        tuning = tuning_of_peaks(peaks, fe=fe, sr=self.sr, bins_per_octave=self._width)
        assert isinstance(fe.bank, FilterBank)
        return banded_bank(fe.bank, sr=self.sr, n_fft=n_fft, tuning=tuning)

    def _largest(self, blocks: Iterable[Block], clip: _Clip, kept: FloatArray | None) -> float:
        """Return the largest value of the bands, which are kept in their rows of ``kept``."""
        largest = -math.inf
        for part, first, stop in blocks:
            into = None if kept is None else kept[first:stop]
            largest = max(largest, float(self._bands(part, clip, first, stop, into).max()))
        return largest

    # ------------------------------------------------------------ blocks
    @property
    def _piece(self) -> int:
        """Frames that statistics take together."""
        return max(ALIGNED, BLOCK_VALUES // PIECES // self._width // ALIGNED * ALIGNED)

    @property
    def _rows(self) -> int:
        """Frames in a block."""
        return PIECES * self._piece

    @property
    def _margin(self) -> int:
        """Frames on either side that a block's own depend on."""
        return self.front_end.delta_width if self.front_end.deltas else 0

    def _blocks(
        self, source: FloatArray | Iterable[FloatArray], *, stacklevel: int
    ) -> Iterator[tuple[int, FloatArray]]:
        warn_of_empty_rows(self._empty, stacklevel=stacklevel)
        if not isinstance(source, np.ndarray):
            return self._yield(*self._open_pieces(source))
        y = check_waveform(source)
        part, clip = self._survey(y, 1, bands=None, passing=False)
        return self._yield(clip, blocks_of_waveform(part, self._rows, 0, part.total))

    def _open_pieces(self, pieces: Iterable[FloatArray]) -> tuple[_Clip, Iterator[Block]]:
        fe = self.front_end

        def blocks() -> Iterator[Block]:
            return blocks_of_pieces(pieces, fe, rows=self._rows, margin=self._margin)

        if isinstance(fe.bank, ConstantQ):
            raise ParameterError(
                f"source must be an array for front end {fe.name!r}, whose constant-Q transform "
                "needs the whole waveform, got pieces. Concatenate them."
            )
        passes = self._tuned_bank or self._limited
        if passes and iter(pieces) is pieces:
            raise ParameterError(
                "source must be an array, or pieces that can be read again, for front end "
                f"{fe.name!r}, which looks at all of them first, got an iterator. Hand over a "
                "list, or an object whose __iter__ begins anew."
            )
        clip = _Clip(engine=self._engine(), bank=self._bank)
        if self._tuned_bank:
            peaks = [peaks_of_frames(part, fe, self.sr, a, b) for part, a, b in blocks()]
            empty = np.empty(0, np.float32)
            bank = self._tuned([(empty, empty), *peaks])
            clip = dataclasses.replace(clip, bank=bank)
        if self._limited:
            clip = dataclasses.replace(clip, loudest=self._largest(blocks(), clip, None))
        return clip, blocks()

    def _yield(self, clip: _Clip, blocks: Iterable[Block]) -> Iterator[tuple[int, FloatArray]]:
        for part, first, stop in blocks:
            out = np.empty((stop - first, self.dim), dtype=np.float32)
            self._final_rows(part, clip, first, stop, out)
            yield first, out

    # ------------------------------------------------------------ statistics
    def _describe(
        self, y: FloatArray, wanted: Sequence[str], out: FloatArray, threads: int
    ) -> None:
        part, clip = self._survey(y, threads, bands=None)
        rows = self._rows
        shares = _shares(part.total, threads, aligned=self._piece)

        def work(start: int) -> list[DoubleArray]:
            stop = min(start + shares.step, part.total)
            return list(self._pieces(clip, blocks_of_waveform(part, rows, start, stop), wanted))

        found = on_threads(work, shares)
        out[:] = self._chosen(wanted, self._fold(piece for share in found for piece in share))

    def _pieces(
        self, clip: _Clip, blocks: Iterable[Block], wanted: Sequence[str]
    ) -> Iterator[DoubleArray]:
        """Yield the descriptions of all blocks, `_piece` frames each."""
        from featx.kernels import moments

        extremes = "min" in wanted or "max" in wanted
        rises = "delta_mean" in wanted or "delta_std" in wanted
        piece = self._piece
        for part, first, stop in blocks:
            values = scratch("values", stop - first, self.dim)
            self._final_rows(part, clip, first, stop, values)
            for at in range(0, stop - first, piece):
                described = np.empty((moments.ROWS, self.dim))
                moments.moments_kernel(values[at : at + piece], extremes, rises, described)
                yield described

    def _fold(self, pieces: Iterable[DoubleArray]) -> DoubleArray:
        from featx.kernels import moments

        total = np.zeros((moments.ROWS, self.dim))
        for piece in pieces:
            moments.fold_kernel(piece, total)
        return total

    def _chosen(self, wanted: Sequence[str], total: DoubleArray) -> FloatArray:
        from featx.kernels import moments as m

        makers: dict[str, Callable[[], DoubleArray]] = {
            "mean": lambda: total[m.MEAN],
            "std": lambda: np.sqrt(total[m.SPREAD] / np.maximum(total[m.COUNT], 1.0)),
            "min": lambda: total[m.LEAST],
            "max": lambda: total[m.MOST],
            "delta_mean": lambda: total[m.RISE_MEAN],
            "delta_std": lambda: np.sqrt(total[m.RISE_SPREAD] / np.maximum(total[m.RISES], 1.0)),
        }
        return np.stack([makers[name]() for name in wanted]).astype(np.float32)

    # ------------------------------------------------------------ rows
    def _final_rows(self, part: Part, clip: _Clip, first: int, stop: int, out: FloatArray) -> None:
        """Write frames ``first … stop - 1``, derivatives included, from a multiple of 32 on."""
        fe = self.front_end
        if not fe.deltas:
            self._static_rows(part, clip, first, stop, out)
            return
        # the frames of the nearest complete window, also for those at the ends
        half = min(fe.delta_width, part.total) // 2
        low = max(0, min(first, part.total - 1 - half) - half) // ALIGNED * ALIGNED
        high = min(part.total, max(stop - 1, half) + half + 1)
        static = scratch("static", high - low, self._static)
        self._static_rows(part, clip, low, high, static)
        rows = slice(first - low, stop - low)
        append_derivatives(static, fe.delta_width, fe.deltas, rows, out=out)

    def _static_rows(self, part: Part, clip: _Clip, first: int, stop: int, out: FloatArray) -> None:
        fe = self.front_end
        if self._raw:
            out[:, 0] = part.y[first - part.offset : stop - part.offset]
            return
        if not self._n_mfcc and isinstance(fe.compression, PowerLaw):
            # a step of its own, best done while the bands are in the cache
            for start in range(first, stop, self._rows):
                end = min(start + self._rows, stop)
                self._bands(part, clip, start, end, out[start - first : end - first])
            return
        if fe.cepstrum is None:
            bands = self._bands(part, clip, first, stop, out)
            if clip.loudest is not None:
                np.maximum(
                    bands, np.float32(clip.loudest) - np.float32(self._top_db or 0.0), out=out
                )
            elif bands is not out:
                out[:] = bands
            return
        rows = self._rows
        for start in range(first, stop, rows):
            end = min(start + rows, stop)
            bands = self._bands(part, clip, start, end, None)
            if clip.loudest is not None:
                np.maximum(
                    bands, np.float32(clip.loudest) - np.float32(self._top_db or 0.0), out=bands
                )
            cepstrum(bands, fe.cepstrum.lifter, out=out[start - first : end - first])

    def _bands(
        self, part: Part, clip: _Clip, first: int, stop: int, out: FloatArray | None
    ) -> FloatArray:
        """Return all that is computed frame by frame: spectrum, bank, compression, norm.

        It lies in ``out``, or where it was kept, or in memory that the next call uses again.
        """
        fe, bank = self.front_end, clip.bank
        if clip.bands is not None:
            return clip.bands[first:stop]
        if out is None:
            out = scratch("block", stop - first, self._width)
        compressed = isinstance(fe.compression, Logarithm)
        if clip.spectra is not None and bank is not None:
            rows = len(clip.spectra[0]) // framing_of(fe).n_bins
            blocks = clip.spectra[first // rows : -(-stop // rows)]
            project_blocks(blocks, fe, bank, compressed=compressed, out=out)
        elif clip.engine is not None:
            fill(
                part.y, fe, out, bank=bank, compressed=compressed, first=first,
                offset=part.offset, total=part.total, checked=part.checked, engine=clip.engine,
            )  # fmt: skip
        else:
            self._scalar_bands(part, bank, first, stop, out)
        raise_to_power(out, fe)
        normalise(out, fe)
        return out

    def _scalar_bands(
        self, part: Part, bank: BandedBank | None, first: int, stop: int, out: FloatArray
    ) -> None:
        fe = self.front_end
        where: dict[str, Any] = {
            "first": first,
            "stop": stop,
            "offset": part.offset,
            "checked": True,
        }
        if isinstance(fe.bank, Samples):
            found = frame_blocks(part.y, framing_of(fe), **where)
        else:
            found = scalar_blocks(part.y, fe, **where)
        for at, S in found:
            block = out[at - first : at - first + len(S)]
            if bank is None:
                block[:] = S[:, : block.shape[1]]
            else:
                apply_bank(S, bank, out=block)
            take_logarithm(block, fe)


@lru_cache(maxsize=64)
def processor(fe: FrontEnd, sr: int) -> Processor:
    """Return the processor of a front end, made once."""
    return Processor(fe, sr=sr)


def _checked_bank(fe: FrontEnd, filter_bank: AnyArray) -> BandedBank:
    if not isinstance(fe.bank, Bins):
        raise ParameterError(
            f"filter_bank must be None for front end {fe.name!r}, whose bank is {fe.bank.id!r}."
        )
    dense, bins = np.asarray(filter_bank), framing_of(fe).n_bins
    if dense.ndim != 2 or dense.shape[1] != bins or len(dense) == 0:
        raise ParameterError(
            f"filter_bank must have shape (n_bands > 0, {bins}), got {dense.shape}."
        )
    return BandedBank.from_dense(dense)


def _check_statistics(statistics: Sequence[str]) -> tuple[str, ...]:
    names = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    if not names or not set(names) <= set(STATISTICS):
        raise ParameterError(
            f"statistics must be some of {listed(STATISTICS)}, got {listed(names)}."
        )
    return names


def _shares(total: int, threads: int, aligned: int = ALIGNED) -> range:
    """Return where each thread begins, at multiples of ``aligned`` frames."""
    blocks = -(-total // aligned)
    step = -(-blocks // max(1, min(threads, blocks))) * aligned
    return range(0, total, max(step, aligned))


def _new(_: str, rows: int, columns: int) -> FloatArray:
    return np.empty((rows, columns), dtype=np.float32)
