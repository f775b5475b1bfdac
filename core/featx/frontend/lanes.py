"""From front ends to the lane-parallel kernels: what they can do, their arguments, threads."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from featx.frontend.checks import LARGEST, check_finite, frozen
from featx.frontend.compression import Compression, Logarithm
from featx.frontend.framing import Framing
from featx.frontend.geometry import framing_of
from featx.frontend.windows import window
from featx.types import AnyArray, FloatArray

if TYPE_CHECKING:
    from featx.frontend.filters import BandedBank
    from featx.frontend.front_end import FrontEnd

T = TypeVar("T")

#: Smallest positive number that the logarithm of vectors takes.
_TINY = float(np.finfo(np.float32).tiny)
#: Frames as far apart as this many of their own lengths are cut one by one.
_FAR = 2


@dataclass(frozen=True, eq=False)
class Engine:
    """A front end's arguments to the kernels that do not depend on the signal, and the kernel.

    A call looks nothing up that can be looked up once: what it touches is often no longer in the
    caches, and then costs several times as much as it seems to.
    """

    kernel: Callable[..., None]
    workspaces: Any
    w: tuple[int, ...]
    plan: Any
    layout: Any
    framing: Framing
    #: what cuts frames one by one, where the kernel cannot read hops as they lie
    cutting: tuple[Any, ...] | None
    left: int
    n_bins: int
    curve: tuple[np.float32, ...]
    #: what real and complex results are to hold
    real: tuple[int, ...]
    complex: tuple[int, ...]


@lru_cache(maxsize=64)
def frame_window(framing: Framing) -> FloatArray:
    """Return the window as long as a frame, padded with zeros on both sides where it is shorter."""
    taper = window(framing.window, framing.window_length, periodic=framing.periodic)
    length = framing.frame_samples
    out = np.zeros(length, dtype=np.float32)
    start = (length - len(taper)) // 2
    out[start : start + len(taper)] = taper
    out.flags.writeable = False
    return out


@lru_cache(maxsize=64)
def _engine(fe: FrontEnd, lanes: int) -> Engine | None:
    from featx.kernels.lane_spectrum import spectra_kernel
    from featx.kernels.plan import layout, plan, workspaces
    from featx.kernels.stages import COMPLEX, MAGNITUDE, POWER
    from featx.kernels.vector import marker

    framing = framing_of(fe)
    ours = plan(framing.n_fft, lanes)
    if ours is None:
        return None
    taper, hop = frame_window(framing), Fraction(framing.hop_length)
    gain = np.float32(fe.spectrum_gain)
    cutting: tuple[Any, ...] | None = None
    if framing.conditioned or hop.denominator > 1 or hop >= _FAR * framing.n_fft:
        shape = np.ones_like(taper) if framing.conditioned else taper.copy()
        cutting = (
            hop.numerator,
            hop.denominator,
            taper.copy(),
            framing.remove_dc,
            np.float32(framing.preemphasis),
            framing.conditioned,
            shape,
        )
        lay = layout(np.full(framing.n_fft, gain), framing.n_fft, ours)
    else:
        weights = np.zeros(framing.n_fft, dtype=np.float32)
        weights[: len(taper)] = taper * gain
        lay = layout(weights, hop.numerator, ours)
    return Engine(
        kernel=spectra_kernel,
        workspaces=workspaces,
        w=marker(lanes),
        plan=ours,
        layout=lay,
        framing=framing,
        cutting=cutting,
        left=framing.left_samples,
        n_bins=framing.n_bins,
        curve=compression_curve(fe.compression),
        real=marker(MAGNITUDE if fe.power == 1.0 else POWER),
        complex=marker(COMPLEX),
    )


def compression_curve(compression: Compression | None) -> tuple[np.float32, ...]:
    """Return scale of log2, gain, offset and floor of a logarithm; of others, what is not read."""
    if not isinstance(compression, Logarithm):
        return (np.float32(1.0),) * 4
    per_decade, gain, offset, amin = compression.curve
    values = (per_decade * math.log10(2.0), gain, offset, max(amin, _TINY))
    return tuple(np.float32(value) for value in values)


@cache
def _vector() -> Any:
    """Return the module of vectors, which brings in numba."""
    from featx.kernels import vector

    return vector


def _lanes() -> int:
    return int(_vector().lanes())


def engine_of(fe: FrontEnd) -> Engine | None:
    """Return what computes the spectra of ``fe`` on vectors, None where nothing does."""
    lanes = _lanes()
    return _engine(fe, lanes) if lanes > 0 else None


def has_lanes(fe: FrontEnd) -> bool:
    """Tell whether the vector kernels compute the spectra of ``fe`` on this machine."""
    return engine_of(fe) is not None


def block_frames() -> int:
    """Return how many frames are computed together; results do not depend on cuts between."""
    return 2 * _lanes()


def fill(
    y: FloatArray,
    fe: FrontEnd,
    out: AnyArray,
    *,
    bank: BandedBank | None = None,
    compressed: bool = False,
    first: int = 0,
    threads: int = 1,
    offset: int = 0,
    total: int | None = None,
    checked: bool = False,
    in_blocks: bool = False,
    engine: Engine | None = None,
) -> None:
    """Write the spectra or bands of frames ``first, first + 1, …`` into the rows of ``out``.

    Complex64 ``out`` gets spectra, float32 magnitudes or power by ``fe.power``, through ``bank`` if
    there is one, through the logarithm of ``fe`` if ``compressed``. ``first`` is a multiple of
    `block_frames`, and so are the cuts between threads, so that every value depends on the same 2 x
    lanes frames however they are asked for. Needs `has_lanes`.

    ``y`` may be the samples from ``offset`` on of a waveform that has ``total`` frames. Unless they
    are ``checked``, samples that are not finite and sane raise `ParameterError`. With
    ``in_blocks``, rows of ``out`` are blocks of frames as the kernels have them, `block_frames`
    times the bins long.
    """
    engine = engine or engine_of(fe)
    if engine is None or len(out) == 0:
        check_finite(y)
        return
    hop = engine.layout.shape[0]
    total = engine.framing.n_frames(len(y)) if total is None else total
    if not checked and (engine.cutting is not None or hop > engine.framing.n_fft):
        check_finite(y)  # or what lies between frames would not be looked at
    block = 2 * len(engine.w)
    stop = first + len(out) * (block if in_blocks else 1)
    blocks = -(-(stop - first) // block)
    share = -(-blocks // max(1, min(threads, blocks))) * block
    steps = (bank is not None, compressed, in_blocks)
    starts = range(first, stop, share)
    peaks = np.zeros((len(starts), 8), dtype=np.float32)

    def work(start: int) -> None:
        end = min(start + share, stop)
        peak = peaks[(start - first) // share]
        _run(engine, y, out, bank, steps, first, start, end, offset, peak)

    on_threads(work, starts)
    if engine.cutting is None and not checked:
        if not peaks.max() <= LARGEST:
            check_finite(y)
        if stop >= total:  # the last samples may belong to no frame
            check_finite(y[max(0, (first + blocks * block) * hop - engine.left - offset) :])


def _run(
    engine: Engine,
    y: FloatArray,
    out: AnyArray,
    bank: BandedBank | None,
    steps: tuple[bool, ...],
    first: int,
    start: int,
    stop: int,
    offset: int,
    peak: FloatArray,
) -> None:
    complex_out = out.dtype == np.complex64
    block = 2 * len(engine.w)
    n_bands = 1 if bank is None else len(bank.starts)
    work = engine.workspaces.take(
        (
            engine.layout.columns_size,
            engine.plan.z_size,
            engine.n_bins * block * (2 if complex_out else 1),
            n_bands * block,
            engine.layout.samples_size,
        )
    )
    y, cut = frozen(y), frozen(work[-1])
    reflect = engine.framing.pad_mode == "reflect" and len(y) > engine.left
    engine.kernel(
        engine.w,
        engine.plan.family,
        engine.complex if complex_out else engine.real,
        y,
        engine.left + offset,
        reflect,
        engine.cutting,
        engine.layout.arrays,
        engine.plan.arrays,
        steps,
        _NO_BANK if bank is None else bank.arrays,
        engine.curve,
        (*work, cut),
        out.view(np.float32),
        first,
        start,
        stop,
        peak,
    )


_NO_BANK = (*(np.zeros(0, dtype=np.int64) for _ in range(3)), np.zeros(0, dtype=np.float32))


def apply_bank(S: FloatArray, bank: BandedBank, *, out: FloatArray) -> None:
    """Write ``S`` (n, n_bins) times the bank into ``out`` (n, n_bands)."""
    if not _project(S, bank, out):
        from featx.kernels.spectrum import banded_kernel

        banded_kernel(S, *bank.arrays, out)


def _project(S: FloatArray, bank: BandedBank, out: FloatArray) -> bool:
    """Write ``S`` (n, n_bins) times the bank into ``out``; False if there are no vectors."""
    lanes = _lanes()
    if lanes == 0:
        return False
    from featx.kernels.lane_spectrum import project_frames_kernel
    from featx.kernels.plan import rows_shape, samples_size, workspaces
    from featx.kernels.vector import marker

    block, shape = 2 * lanes, rows_shape(S.shape[1], lanes)
    sizes = (
        (S.shape[1] + 8) * block,
        max(1, len(bank.starts)) * block,
        samples_size(shape),
    )
    curve = (np.float32(1.0),) * 4
    work = workspaces.take(sizes)
    S, work = frozen(S), (*work, frozen(work[-1]))
    project_frames_kernel(marker(lanes), S, shape, bank.arrays, False, curve, work, out)
    return True


def project_blocks(
    blocks: FloatArray, fe: FrontEnd, bank: BandedBank, *, compressed: bool, out: FloatArray
) -> None:
    """Write the bands of spectra that `fill` has ``kept`` into ``out``."""
    from featx.kernels.lane_spectrum import project_blocks_kernel
    from featx.kernels.plan import workspaces
    from featx.kernels.vector import marker

    lanes = _lanes()
    work = workspaces.take((max(1, len(bank.starts)) * 2 * lanes,))
    project_blocks_kernel(
        marker(lanes), blocks, bank.arrays, compressed, compression_curve(fe.compression), work, out
    )


def on_threads(work: Callable[[int], T], starts: range) -> list[T]:
    """Return ``work(start)`` for all starts, one of them computed in the calling thread."""
    if len(starts) <= 1:
        return [work(start) for start in starts]
    others = [_pool(os.getpid(), len(starts) - 1).submit(work, start) for start in starts[1:]]
    return [work(starts[0]), *(other.result() for other in others)]


@cache
def _pool(pid: int, workers: int) -> ThreadPoolExecutor:
    """Return the threads of this process; a forked child has none of its parent's."""
    return ThreadPoolExecutor(max_workers=workers, thread_name_prefix=f"featx-{pid}")
