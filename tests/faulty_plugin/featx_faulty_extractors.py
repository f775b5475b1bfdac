"""Extractors that crash, hang, eat memory and lie; the length of a track says which."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import resource
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from featx import Context, Extractor, Features, Track

#: number of samples -> what happens
SEGFAULT, HANG, HOG, LEAK, RAISE, SHAPE, DTYPE, NAN, MISSING, EXIT, COUNT, WRITE, SYSTEM_EXIT = (
    range(1001, 1014)
)
GARBAGE, CLOSE, DAEMON, DESCRIPTORS = range(1014, 1018)


class Cheap(Extractor):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        return [self._extract(track) for track in tracks]

    def _extract(self, track: Track) -> Features:
        y = track.y.astype(np.float64) * self.context.params.gain
        stats = np.array([y.mean(), y.std(), np.abs(y).max(), y.size], np.float32)
        frames = np.abs(y[: len(y) // 80 * 80].reshape(-1, 80)).mean(axis=1, keepdims=True)
        return Features(stats=stats, envelope=frames.astype(np.float32))


class Level(Extractor):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        return [Features(level=_level(track)) for track in tracks]


class Wide(Extractor):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        dim = int(os.environ.get("FAULTY_DIM", "5"))
        return [Features(level=np.full(dim, track.y.std(), np.float32)) for track in tracks]


class Beat(Extractor):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        return [Features(beat=np.ones((len(t.y) // (t.sr // 100), 1), np.float32)) for t in tracks]


class Threads(Extractor):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        told = {self.context.threads, int(os.environ["OMP_NUM_THREADS"])}
        assert len(told) == 1
        return [Features(level=np.array([told.pop()], np.float32)) for _ in tracks]


class Collecting(Extractor):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        return [Features(level=np.array([gc.isenabled()], np.float32)) for _ in tracks]


class Seeded(Extractor):
    def open(self, context: Context) -> None:
        super().open(context)
        self.factor = np.random.default_rng(context.seed).random()

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        return [Features(level=_level(t) * np.float32(self.factor)) for t in tracks]


class Slow(Extractor):
    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        time.sleep(self.context.params.seconds * len(tracks))
        return [Features(level=_level(track)) for track in tracks]


class Stubborn(Extractor):
    def open(self, context: Context) -> None:
        super().open(context)
        if context.params.how == "raise":
            raise RuntimeError("no model today")
        if context.params.how == "segfault":
            ctypes.string_at(0)

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        return [Features(level=_level(track)) for track in tracks]


class Faulty(Extractor):
    def extract(self, tracks: Sequence[Track]) -> list[Any]:
        return [self._extract(track) for track in tracks] if len(tracks[0].y) != COUNT else []

    def _extract(self, track: Track) -> Any:
        what = len(track.y)
        if what == SEGFAULT:
            ctypes.string_at(0)
        elif what == HANG:
            ctypes.PyDLL(None).sleep(1000)  # holds the interpreter lock all the time
        elif what == HOG:
            np.ones(2**40, np.uint8)
        elif what == LEAK:
            hoard = []
            while True:  # shared memory is no data to RLIMIT_DATA
                hoard.append(mmap.mmap(-1, 2**24))
                hoard[-1].write(b"x" * 2**24)
        elif what == RAISE:
            raise ValueError("this track is not to my taste")
        elif what == EXIT:
            os._exit(7)
        elif what == GARBAGE:
            for descriptor in range(3, 64):
                with contextlib.suppress(OSError):
                    os.write(descriptor, b"\0\0\0\5hello, here is nothing to read")
        elif what == CLOSE:
            os.closerange(3, 256)
        elif what == DAEMON:  # keeps everything open, and lives on
            if os.fork() == 0:
                time.sleep(1000)
            os._exit(9)
        elif what == SYSTEM_EXIT:
            raise SystemExit(3)
        elif what == WRITE:
            track.y[0] = 1.0
        elif what == DESCRIPTORS:  # takes all that there are, and keeps them
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            with contextlib.suppress(OSError):
                while True:
                    os.open(os.devnull, os.O_RDONLY)
        wrong = {
            SHAPE: np.zeros(2, np.float32),
            DTYPE: np.zeros(1, np.float64),
            NAN: np.full(1, np.nan, np.float32),
        }
        if what == MISSING:
            return Features(other=_level(track))
        return Features(level=wrong.get(what, _level(track)))


def _level(track: Track) -> Any:
    return np.array([np.abs(track.y).mean()], np.float32)
