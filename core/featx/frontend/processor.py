"""Front ends made ready: from a waveform to its array, its blocks, or their statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import ParameterError
from featx.frontend.bands import Bands, Clip
from featx.frontend.banks import ConstantQ, Waveform
from featx.frontend.cepstra import append_derivatives
from featx.frontend.checks import (
    check_finite,
    check_out,
    check_rate,
    check_threads,
    check_waveform,
    check_waveforms,
)
from featx.frontend.filters import warn_of_empty_rows
from featx.frontend.geometry import n_frames
from featx.frontend.lanes import on_threads
from featx.frontend.level import level_gain
from featx.frontend.memory import new_array, thread_array
from featx.frontend.moments import checked_statistics, describe, statistic_rows
from featx.frontend.passes import reads_twice, survey_pieces, survey_waveform
from featx.frontend.presets import preset
from featx.frontend.rows import Rows
from featx.frontend.streams import (
    Block,
    Excerpt,
    blocks_of_pieces,
    blocks_of_waveform,
    shares,
)
from featx.types import AnyArray, DoubleArray, FloatArray

if TYPE_CHECKING:
    from featx.frontend.front_end import FrontEnd


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
    block_frames : int
        Frames in every block of `blocks` but the last.

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
        self._bands = Bands(fe, sr, filter_bank)
        self._rows = Rows(self._bands)
        self.dim = self._rows.dim
        self.block_frames = self._rows.block

    def __repr__(self) -> str:
        return f"Processor({self.front_end.name!r}, sr={self.sr})"

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames for ``n_samples``, as `featx.frontend.n_frames`."""
        return n_frames(n_samples, self.front_end)

    def __call__(
        self, y: FloatArray, *, out: FloatArray | None = None, threads: int = 1
    ) -> FloatArray:
        """Return the representation of ``y``: see `compute`."""
        check_threads(threads)
        y = check_waveforms(y)
        out = check_out(out, (*y.shape[:-1], self.n_frames(y.shape[-1]), self.dim))
        warn_of_empty_rows(self._bands.empty)
        _each_channel(y, out, threads, self._write)
        return out

    def blocks(self, source: FloatArray | Iterable[FloatArray]) -> Iterator[tuple[int, FloatArray]]:
        """Yield the representation block by block: see `compute_blocks`."""
        warn_of_empty_rows(self._bands.empty)
        if not isinstance(source, np.ndarray):
            return self._yield(*self._open_pieces(source))
        y = self._levelled(check_waveform(source))
        excerpt, clip = self._survey(y, 1, into=None, passing=False)
        return self._yield(clip, blocks_of_waveform(excerpt, self._rows.block, 0, excerpt.total))

    def statistics(
        self,
        source: FloatArray | Iterable[FloatArray],
        *,
        statistics: Sequence[str] = ("mean", "std"),
        threads: int = 1,
    ) -> FloatArray:
        """Return statistics over time: see `featx.frontend.statistics`."""
        check_threads(threads)
        names = checked_statistics(statistics)
        warn_of_empty_rows(self._bands.empty)
        if not isinstance(source, np.ndarray):
            clip, blocks = self._open_pieces(source)
            return statistic_rows(names, describe(self._rows, clip, blocks, names), self.dim)
        y = check_waveforms(source)
        out = np.empty((*y.shape[:-1], len(names), self.dim), dtype=np.float32)
        _each_channel(y, out, threads, lambda one, to, n: self._describe(one, names, to, n))
        return out

    def _write(self, y: FloatArray, out: FloatArray, threads: int) -> None:
        """Write all frames of a waveform into ``out``."""
        y = self._levelled(y)
        if isinstance(self.front_end.bank, Waveform):
            check_finite(y)
            out[:, 0] = y
            return
        into = out if self._rows.plain else None
        excerpt, clip = self._survey(y, threads, into=into, passing=True)
        if clip.bands is not out or clip.floor is not None:
            static = out
            if self.front_end.deltas:
                static = np.empty((len(out), self._rows.static_dim), dtype=np.float32)
            self._write_static(excerpt, clip, threads, static)
            if static is not out:
                width, orders = self.front_end.delta_width, self.front_end.deltas
                append_derivatives(static, width, orders, slice(None), out=out)

    def _write_static(self, excerpt: Excerpt, clip: Clip, threads: int, static: FloatArray) -> None:
        starts = shares(excerpt.total, threads)

        def work(start: int) -> None:
            stop = min(start + starts.step, excerpt.total)
            self._rows.write_static(excerpt, clip, start, stop, static[start:stop])

        on_threads(work, starts)

    def _levelled(self, y: FloatArray) -> FloatArray:
        if self.front_end.level is None:
            return y
        return y * np.float32(level_gain(self.front_end.level, y))

    def _survey(
        self, y: FloatArray, threads: int, *, into: FloatArray | None, passing: bool
    ) -> tuple[Excerpt, Clip]:
        """Make the first passes. What is ``passing`` is over when the caller returns.

        It may use the memory of its thread.
        """
        return survey_waveform(
            self._bands,
            Excerpt(y=y, total=self.n_frames(len(y))),
            rows=self._rows.block,
            threads=threads,
            into=into,
            reserve=thread_array if passing else new_array,
        )

    def _open_pieces(self, pieces: Iterable[FloatArray]) -> tuple[Clip, Iterator[Block]]:
        """Make the first passes over pieces; return what they found, and the blocks of the last."""
        fe = self.front_end
        if isinstance(fe.bank, ConstantQ):
            raise ParameterError(
                f"source must be an array for front end {fe.name!r}, whose constant-Q transform "
                "needs the whole waveform, got pieces. Concatenate them."
            )
        twice = fe.level is not None or reads_twice(self._bands)
        if twice and iter(pieces) is pieces:
            raise ParameterError(
                "source must be an array, or pieces that can be read again, for front end "
                f"{fe.name!r}, which reads all of them first, got an iterator. Pass a list, or "
                f"an object whose __iter__ starts again."
            )
        gain = level_gain(fe.level, map(check_waveform, pieces)) if fe.level is not None else 1.0

        def blocks() -> Iterator[Block]:
            rows = self._rows
            return blocks_of_pieces(pieces, fe, rows=rows.block, margin=rows.margin, gain=gain)

        return survey_pieces(self._bands, blocks), blocks()

    def _yield(self, clip: Clip, blocks: Iterable[Block]) -> Iterator[tuple[int, FloatArray]]:
        for excerpt, first, stop in blocks:
            out = np.empty((stop - first, self.dim), dtype=np.float32)
            self._rows.write(excerpt, clip, first, stop, out)
            yield first, out

    def _describe(self, y: FloatArray, names: Sequence[str], out: FloatArray, threads: int) -> None:
        """Write the statistics of a waveform into ``out``."""
        excerpt, clip = self._survey(self._levelled(y), threads, into=None, passing=True)
        starts = shares(excerpt.total, threads, aligned=self._rows.piece)

        def work(start: int) -> list[DoubleArray]:
            stop = min(start + starts.step, excerpt.total)
            blocks = blocks_of_waveform(excerpt, self._rows.block, start, stop)
            return list(describe(self._rows, clip, blocks, names))

        described = on_threads(work, starts)
        out[:] = statistic_rows(names, (item for share in described for item in share), self.dim)


def _each_channel(
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


@lru_cache(maxsize=64)
def _processor(fe: FrontEnd, sr: int) -> Processor:
    """Return the processor of a front end, made once."""
    return Processor(fe, sr=sr)


def compute(
    y: FloatArray,
    front_end: FrontEnd | str,
    *,
    sr: int,
    out: FloatArray | None = None,
    threads: int = 1,
) -> FloatArray:
    """Compute the representation that a front end describes.

    Parameters
    ----------
    y : float32 array, shape (n_samples,) or (channels, n_samples)
        Waveform in [-1, 1], of any length; left untouched. Channels, and whatever axes lead them,
        are computed each as if alone: what belongs to a clip, such as ``top_db``, is a channel's.
    front_end : FrontEnd or str
        A preset name, or a front end of your own.
    sr : int > 0
        Rate of ``y`` in Hz; must be the front end's, if it has one.
    out : float32 array, shape (n_frames, dim) or (channels, n_frames, dim), optional
        Written and returned instead of a new array; C-contiguous. Its pages are in memory already,
        which new ones are not. After an error its content is undefined.
    threads : int > 0
        Channels, or blocks of frames where there are fewer channels, are shared among so many
        threads; the values do not depend on it.

    Returns
    -------
    float32 array, shape (n_frames, dim) or (channels, n_frames, dim)
        ``n_frames`` and ``dim`` as `n_frames` and `frame_geometry` say; finite, also for silence.
        No samples give no frames.

    Raises
    ------
    ParameterError
        If ``y`` is not a float32 waveform within ±1e9 or has more channels than samples, the rate
        is wrong, or the front end is unknown or breaks a rule.

    Warns
    -----
    EmptyBandWarning
        If a filter touches no FFT bin.
    """
    return _processor(preset(front_end), sr)(y, out=out, threads=threads)


def compute_blocks(
    source: FloatArray | Iterable[FloatArray], front_end: FrontEnd | str, *, sr: int
) -> Iterator[tuple[int, FloatArray]]:
    """Yield what `compute` returns block by block, bit for bit, in bounded memory.

    Parameters
    ----------
    source : float32 array, shape (n_samples,), or iterable of such arrays
        A mono waveform, or its pieces one after the other, of any lengths. Where something about
        the whole must be known first (``level``, ``top_db``, a mean, a tuning), pieces are read
        more than once: hand over a list, or an object whose ``__iter__`` starts again. A constant-Q
        transform needs a whole waveform.
    front_end : FrontEnd or str
        A preset name, or a front end of your own.
    sr : int > 0
        Rate of the samples in Hz; must be the front end's, if it has one.

    Yields
    ------
    first : int
        Index of the first frame of the block.
    values : float32 array, shape (n, dim)
        Yours to keep. ``n`` depends on the front end alone, but for the last block.

    Raises
    ------
    ParameterError
        As `compute`; or if pieces that must be read again come from an iterator, or are to be
        read by `ConstantQ`.

    Examples
    --------
    >>> import numpy as np
    >>> second = np.zeros(22050, np.float32)
    >>> sum(len(S) for _, S in compute_blocks([second] * 60, "fe-artist", sr=22050))
    2584
    """
    return _processor(preset(front_end), sr).blocks(source)


def statistics(
    source: FloatArray | Iterable[FloatArray],
    front_end: FrontEnd | str,
    *,
    sr: int,
    statistics: Sequence[str] = ("mean", "std"),
    threads: int = 1,
) -> FloatArray:
    """Return statistics over time of a representation whose frames are never all there.

    Blocks of frames are described as soon as they are computed, by sums in float64, and the
    descriptions put together in their order.

    Parameters
    ----------
    source : float32 array, shape (n_samples,) or (channels, n_samples), or iterable of pieces
        As in `compute`, or as in `compute_blocks`; both give the same bits.
    front_end : FrontEnd or str
        A preset name, or a front end of your own.
    sr : int > 0
        Rate of the samples in Hz; must be the front end's, if it has one.
    statistics : sequence of {'mean', 'std', 'min', 'max', 'delta_mean', 'delta_std'}
        Which; ``std`` divides by the number of frames, ``delta_`` means the differences between
        neighbouring frames.
    threads : int > 0
        As in `compute`. Pieces are one thread's.

    Returns
    -------
    float32 array, shape (n_statistics, dim) or (channels, n_statistics, dim)
        One row per statistic, in the given order, in the unit of the representation. Zeros
        where there are no frames, and for differences where there is only one.

    Raises
    ------
    ParameterError
        As `compute_blocks`, or if a statistic is unknown or none is asked for.

    References
    ----------
    Chan, Golub, LeVeque. "Algorithms for computing the sample variance". American Statistician
    37(3), 1983.

    Examples
    --------
    >>> import numpy as np
    >>> statistics(np.zeros(22050, np.float32), "fe-artist", sr=22050).shape
    (2, 128)
    """
    ready = _processor(preset(front_end), sr)
    return ready.statistics(source, statistics=statistics, threads=threads)
