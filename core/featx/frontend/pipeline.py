"""From waveform to the array that a `FrontEnd` describes, its blocks, or its statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from featx.errors import ParameterError
from featx.frontend.banks import Samples
from featx.frontend.blocks import check_waveform, power_blocks
from featx.frontend.lanes import check_finite
from featx.frontend.presets import preset
from featx.frontend.processing import processor
from featx.frontend.steps import check_rate

if TYPE_CHECKING:
    from featx.frontend.front_end import FrontEnd
    from featx.types import FloatArray

__all__ = ["compute", "compute_blocks", "spectrum_blocks", "statistics"]


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
    return processor(preset(front_end), sr)._compute(y, out, threads, stacklevel=3)


def compute_blocks(
    source: FloatArray | Iterable[FloatArray], front_end: FrontEnd | str, *, sr: int
) -> Iterator[tuple[int, FloatArray]]:
    """Yield what `compute` returns block by block, bit for bit, in bounded memory.

    Parameters
    ----------
    source : float32 array, shape (n_samples,), or iterable of such arrays
        A mono waveform, or its pieces one after the other, of any lengths. Where something about
        the whole must be known first (``top_db``, ``estimate_tuning``), pieces are read twice or
        three times: hand over a list, or an object whose ``__iter__`` begins anew. A constant-Q
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
    return processor(preset(front_end), sr)._blocks(source, stacklevel=3)


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
        One row per statistic, in the order asked for, in the unit of the representation. Zeros
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
    prepared = processor(preset(front_end), sr)
    return prepared._statistics(source, statistics, threads, stacklevel=3)


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
    return power_blocks(y, fe)
