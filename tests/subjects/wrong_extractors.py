"""Extractors that are wrong in one way each, for the test of what the kit finds."""

from __future__ import annotations

import ctypes
import dataclasses
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from conformance_subjects import HOP, LENGTH, Good, frames_of, resolve, spec  # noqa: F401

from featx import Extractor, Features, FeatureSpec, Resolved, Track

SR = 8000
DRUMS = frozenset(("kick", "snare", "hat", "shaker"))


def resolve_uncentred(params: Any, native_sr: int | None) -> Resolved:
    return Resolved(sr=SR, outputs=(frames_output(first=Fraction(LENGTH, 2)),))


def resolve_centred(params: Any, native_sr: int | None) -> Resolved:
    return Resolved(sr=SR, outputs=(frames_output(first=Fraction(0)),))


def resolve_by_home(params: Any, native_sr: int | None) -> Resolved:
    wide = FeatureSpec(name="clip", kind="clip", dim=2, unit=str(Path.home()), description="x")
    fixed = resolve(params, native_sr)
    return dataclasses.replace(fixed, outputs=(wide, *fixed.outputs[1:]))


def frames_output(first: Fraction) -> FeatureSpec:
    return FeatureSpec(
        name="frames",
        kind="frames",
        dim=1,
        hop=Fraction(HOP),
        frame_length=LENGTH,
        first=first,
        description="Energy",
    )


class Wrong(Good):
    """Changes one output of the good extractor."""

    def change(self, name: str, values: np.ndarray, y: np.ndarray) -> np.ndarray:
        return values

    def one(self, y: np.ndarray, n: int) -> Features:
        features = super().one(y, n)
        return Features({name: self.change(name, value, y) for name, value in features.items()})


def framed(y: np.ndarray, hop: int, shift: int = 0, count: int | None = None) -> np.ndarray:
    """Return the energy of frames that begin ``shift`` samples late."""
    count = 1 + len(y) // hop if count is None else count
    padded = np.pad(y.astype(np.float64), (LENGTH, LENGTH + hop * count))
    starts = LENGTH // 2 + shift + hop * np.arange(count)
    energy = [[np.square(padded[s : s + LENGTH]).mean()] for s in starts]
    return np.array(energy, dtype=np.float32)


# ---------------------------------------------------------------- frames
class CountAtRoundLengths(Wrong):
    def change(self, name, values, y):
        return values[:-1] if name == "frames" and len(y) % 1000 == 0 else values


class CountAtEveryFourthHop(Wrong):
    def change(self, name, values, y):
        return values[:-1] if name == "frames" and len(y) % (4 * HOP) == 0 else values


class CountOfPowersOfTwo(Wrong):
    def change(self, name, values, y):
        return values[:-1] if name == "frames" and len(y) & (len(y) - 1) == 0 else values


class CountInLongTracks(Wrong):
    def change(self, name, values, y):
        return values[:1000] if name == "frames" else values


class HopOffByOne(Wrong):
    def change(self, name, values, y):
        return framed(y, HOP + 1) if name == "frames" else values


class HopOffByOneFilledUp(Wrong):
    def change(self, name, values, y):
        return framed(y, HOP + 1, count=len(values)) if name == "frames" else values


class HalfAWindowLate(Wrong):
    def change(self, name, values, y):
        return framed(y, HOP, -LENGTH // 2, len(values)) if name == "frames" else values


class HalfAWindowEarly(Wrong):
    def change(self, name, values, y):
        return framed(y, HOP, LENGTH // 2, len(values)) if name == "frames" else values


class Backwards(Wrong):
    def change(self, name, values, y):
        return values[::-1].copy() if name == "frames" else values


# ---------------------------------------------------------------- events
class EventsInMinutes(Wrong):
    def change(self, name, values, y):
        return values / 60.0 if name == "events" else values


class EventsInMilliseconds(Wrong):
    def change(self, name, values, y):
        return values * 1000.0 if name == "events" else values


class EventsInFrames(Wrong):
    def change(self, name, values, y):
        return np.round(values * SR / HOP) if name == "events" else values


class EventsAsShares(Wrong):
    def change(self, name, values, y):
        return values * SR / len(y) if name == "events" else values


class EventsAtTwiceTheRate(Wrong):
    def change(self, name, values, y):
        return values / 2.0 if name == "events" else values


class EventsBeforeTheStart(Wrong):
    def change(self, name, values, y):
        return values - 1.0 if name == "events" else values


class EventBeyondTheEnd(Wrong):
    def change(self, name, values, y):
        return np.append(values, [[len(y) / SR + 0.01]], axis=0) if name == "events" else values


# ---------------------------------------------------------------- numbers
class Constant(Wrong):
    def change(self, name, values, y):
        if name == "events":
            return values[:0]
        return np.zeros_like(values)


class Masked(Wrong):
    """Not a number where it is silent, hidden under a mask."""

    def change(self, name, values, y):
        if name != "clip" or y.any():
            return values
        hidden = np.array([0.0, np.nan], dtype=np.float32)
        return np.ma.masked_invalid(hidden)


class LogOfQuietNoise(Wrong):
    def change(self, name, values, y):
        if name != "clip" or not y.any():
            return values
        with np.errstate(divide="ignore"):
            return np.log(np.float32(1e6) * np.square(y).mean(dtype=np.float16)).repeat(2)


class OverflowsInInt16(Wrong):
    def change(self, name, values, y):
        if name != "clip":
            return values
        if np.abs(y).max() > 1:
            raise ValueError("samples beyond 1")
        return values


class NeedsMoreThanItSays(Wrong):
    """Says 0.5 s and takes 0.51 s."""

    def one(self, y, n):
        if len(y) < 0.51 * SR:
            raise ValueError("too short")
        return super().one(y, n)


class Uninitialised(Wrong):
    def change(self, name, values, y):
        if name == "clip":
            room = np.empty(50_000, dtype=np.uint8)
            values[0] += np.float32(room[40_000])
        return values


# ---------------------------------------------------------------- memory of other tracks
class RunningMaximum(Wrong):
    loudest = 0.0

    def one(self, y, n):
        self.loudest = max(self.loudest, float(np.abs(y).max()))
        return super().one((y / (self.loudest or 1.0)).astype(np.float32), n)


class CacheByLength(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        self.seen: dict[int, Features] = {}

    def one(self, y, n):
        if len(y) not in self.seen:
            self.seen[len(y)] = super().one(y, n)
        return self.seen[len(y)]


class ReusesItsBuffer(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        self.buffer = np.empty(2, dtype=np.float32)

    def change(self, name, values, y):
        if name != "clip":
            return values
        self.buffer[:] = values
        return self.buffer


class SharedByInstances(Wrong):
    gain: ClassVar[float] = 1.0

    def close(self) -> None:
        SharedByInstances.gain = 0.5

    def one(self, y, n):
        return super().one((y * np.float32(self.gain)).astype(np.float32), n)


class FirstTrackDecides(Wrong):
    """Normalises by the first track of the process."""

    level: ClassVar[float] = 0.0

    def one(self, y, n):
        FirstTrackDecides.level = FirstTrackDecides.level or float(np.abs(y).max()) or 1.0
        return super().one((y / FirstTrackDecides.level).astype(np.float32), n)


# ---------------------------------------------------------------- surroundings
class ReadsTheWorkingFolder(Wrong):
    def change(self, name, values, y):
        return values + np.float32(len(str(Path.cwd()))) if name == "clip" else values


class ReadsHome(Wrong):
    def change(self, name, values, y):
        return values + np.float32(len(str(Path.home()))) if name == "clip" else values


class ReadsTheHashSeed(Wrong):
    def change(self, name, values, y):
        order = [len(item) for item in DRUMS]
        return values * np.float32(np.dot(order, range(4))) if name == "clip" else values


class ReadsTheTimeZone(Wrong):
    def change(self, name, values, y):
        return values + np.float32(time.timezone) if name == "clip" else values


class DrawsFromNumpy(Wrong):
    """Dither far below the tolerance that it declares."""

    def one(self, y, n):
        return super().one((y + 1e-9 * np.random.standard_normal(len(y))).astype(np.float32), n)


class SeedsNumpy(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        np.random.seed(0)


class SeedsRandom(Wrong):
    def one(self, y, n):
        random.seed(0)
        return super().one(y, n)


class SeedsTorch(Wrong):
    def one(self, y, n):
        import torch

        torch.manual_seed(0)
        return super().one(y, n)


class ChangesFolder(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        os.chdir(tempfile.gettempdir())


class SilencesNumpy(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        np.seterr(all="ignore")


class PatchesNumpy(Wrong):
    original = np.fft.rfft

    def open(self, context: Any) -> None:
        super().open(context)
        np.fft.rfft = lambda *a, **k: PatchesNumpy.original(*a, **k).astype(np.complex64)


class TakesASignal(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        signal.signal(signal.SIGALRM, lambda *_: None)


class SetsUpLogging(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        logging.root.addHandler(logging.NullHandler())


class SetsAVariable(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        os.environ["HOME"] = "/nowhere"


# ---------------------------------------------------------------- blocks
class Streams(Good):
    """Right: carries what a frame needs from block to block."""

    streaming = True

    def stream(self, track: Track) -> Features:
        return self.one(np.concatenate(list(track.blocks())), 0)


class StreamsReadsAll(Streams):
    def stream(self, track: Track) -> Features:
        return self.one(track.y, 0)


class StreamsWithoutState(Streams):
    """Frames that reach into the next block are filled up with zeros."""

    def stream(self, track: Track) -> Features:
        features = self.one(np.concatenate(list(track.blocks())), 0)
        if "clip" in features:
            energy = np.concatenate([frames_of(block) for block in track.blocks()])
            features["clip"] = np.array([energy.mean(), energy.max()], np.float32)
        return features


class StreamsMeanOfMeans(Streams):
    """Blocks are weighted alike, whatever their lengths."""

    def stream(self, track: Track) -> Features:
        features = self.one(np.concatenate(list(track.blocks())), 0)
        if "clip" in features:
            means = [np.square(block).mean() for block in track.blocks()]
            features["clip"] = np.array([np.mean(means), features["clip"][1]], np.float32)
        return features


class StreamsForgetsTheEnd(Streams):
    def stream(self, track: Track) -> Features:
        blocks = list(track.blocks())
        return self.one(np.concatenate(blocks[:-1] or blocks), 0)


class StreamsWithoutStream(Good):
    streaming = True


# ---------------------------------------------------------------- resources
class LeaksPerTrack(Wrong):
    kept: ClassVar[list[np.ndarray]] = []

    def one(self, y, n):
        self.kept.append(np.ones(1 << 18, dtype=np.float32))  # a megabyte
        return super().one(y, n)


class LeavesTemporaryFiles(Wrong):
    def one(self, y, n):
        descriptor, _ = tempfile.mkstemp(dir=tempfile.gettempdir())
        os.close(descriptor)
        return super().one(y, n)


class LeavesAProcess(Wrong):
    process: ClassVar[subprocess.Popen | None] = None

    def open(self, context: Any) -> None:
        super().open(context)
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        LeavesAProcess.process = LeavesAProcess.process or subprocess.Popen(command)


class ThreadsOfTorch(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        import torch

        torch.set_num_threads(3)


class WritesToStderrFromC(Wrong):
    def open(self, context: Any) -> None:
        super().open(context)
        ctypes.CDLL(None).perror(b"model loaded")


class BeginsAtZero(Extractor):
    """Frame 0 begins at sample 0, as `resolve_uncentred` says and `resolve_centred` does not."""

    def extract(self, tracks: Sequence[Track]) -> list[Features]:
        return [Features({"frames": self.one(track.y)}) for track in tracks]

    def one(self, y: np.ndarray) -> np.ndarray:
        count = max(1, 1 + (len(y) - LENGTH) // HOP)
        return framed(y, HOP, LENGTH // 2, count)
