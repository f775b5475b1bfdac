"""What an extractor takes and leaves behind: memory, files, threads, processes."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.errors import listed
from featx.testing.conformance.host import Session
from featx.testing.conformance.recording import CheckFailed

if TYPE_CHECKING:
    import psutil

    from featx.engine.work.opening import OpenExtractor
    from featx.types import FloatArray

#: Cycles of open, extract and close; growth is measured after the first few, when caches are warm.
_CYCLES = 6
_WARM = 2

#: Bytes of memory that the cycles after them may add together: 8 MiB each.
_MEMORY_GROWTH = 24 << 20

#: Tracks in a row while memory is watched, those before it counts, and what they may add together:
#: a quarter of a megabyte each.
_TRACKS = 72
_WARM_TRACKS = 8
_TRACK_GROWTH = 16 << 20

#: After so many tracks, memory that has grown by less than a quarter of what is allowed stands
#: still, and the rest need not run.
_FEW_TRACKS = _WARM_TRACKS + 16
_STANDS_STILL = _TRACK_GROWTH // 16

#: For an hour, whole (0.6 GiB of float32 at 44.1 kHz) and in blocks; the rest is room for frames.
_HOUR_MEMORY, _HOUR_IN_BLOCKS = 4 << 30, 512 << 20


def check_resources(session: Session, y: FloatArray, *, known: Collection[psutil.Process]) -> None:
    """Open, extract from the short ``y`` and close repeatedly, and look at what grows.

    Raises
    ------
    CheckFailed
        If files, threads, memory or temporary files grow, or there are processes not ``known``.
    """
    import psutil

    process = psutil.Process()
    with _quick_collections():
        _check_cycles(session, y, process)
        left = [child.name() for child in process.children() if child not in known]
        if left:
            raise CheckFailed(
                f"no process must be left after close(), got {listed(left)}. End it there."
            )
        _check_tracks(session, y, process)


def _check_cycles(session: Session, y: FloatArray, process: psutil.Process) -> None:
    marks: list[tuple[int, int, int]] = []
    for _ in range(_CYCLES):
        with session.opened() as extractor:
            session.one(extractor, y)
        del extractor
        memory = _settled_memory(process)
        marks.append((process.num_fds(), threading.active_count(), memory))
    (fds, threads, memory), (fds_last, threads_last, memory_last) = marks[_WARM], marks[-1]
    _refuse_growth("open files", fds, fds_last, 0)
    _refuse_growth("threads", threads, threads_last, 0)
    _refuse_growth("bytes of memory", memory, memory_last, _MEMORY_GROWTH)


def _refuse_growth(what: str, before: int, after: int, allowed: int) -> None:
    if after - before > allowed:
        cycles = _CYCLES - 1 - _WARM
        raise CheckFailed(
            f"{what} must not grow by more than {allowed} over {cycles} cycles of open and close, "
            f"got {before} and then {after}. Release in close() what open() allocated."
        )


def _check_tracks(session: Session, y: FloatArray, process: psutil.Process) -> None:
    """Watch memory and temporary files over many tracks of one instance."""
    temporary = Path(tempfile.gettempdir())
    with session.opened() as extractor:
        for _ in range(_WARM_TRACKS):
            session.one(extractor, y)
        memory, files = _settled_memory(process), len(list(temporary.iterdir()))
        for number in range(_WARM_TRACKS, _TRACKS):
            if number == _FEW_TRACKS and _settled_memory(process) - memory < _STANDS_STILL:
                break
            session.one(extractor, y)
            tracks = number + 1 - _WARM_TRACKS
        grown = _settled_memory(process) - memory
        left = len(list(temporary.iterdir())) - files
    if grown > _TRACK_GROWTH:
        raise CheckFailed(
            f"memory must not grow with every track, got {grown >> 20} MiB over {tracks} short "
            "tracks. What is kept between calls?"
        )
    if left > tracks // 2:
        raise CheckFailed(
            f"temporary files must be removed, got {left} more after {tracks} tracks."
        )


@contextlib.contextmanager
def _quick_collections() -> Iterator[None]:
    """Keep what exists already out of garbage collections: with torch, each takes 0.1 s."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _settled_memory(process: psutil.Process) -> int:
    """Return resident memory without garbage, and without what malloc keeps for later (glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    rss: int = process.memory_info().rss
    return rss


def check_hour(session: Session, extractor: OpenExtractor) -> None:
    """Extract from an hour of noise, in blocks where the extractor streams, and watch memory."""
    import psutil

    process = psutil.Process()
    before = process.memory_info().rss
    with _peak_memory(process) as peak:
        if extractor.streaming:
            session.noise_in_blocks(extractor, 3600)
        else:
            rng = np.random.default_rng(8)
            y = rng.standard_normal(3600 * session.sr, dtype=np.float32)
            y *= np.float32(0.1)
            session.one(extractor, y)
    grown = peak[0] - before
    allowed = _HOUR_IN_BLOCKS if extractor.streaming else _HOUR_MEMORY
    if grown > allowed:
        raise CheckFailed(
            f"an hour must stay below {allowed >> 20} MiB, got {grown >> 20} MiB. "
            "Work through the track in segments."
        )


@contextlib.contextmanager
def _peak_memory(process: psutil.Process) -> Iterator[Sequence[int]]:
    peak = [process.memory_info().rss]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
