"""The battery of checks that an extractor runs through, inside a guarded child process."""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.engine.work.opening import OpenExtractor
from featx.errors import ExtractionError
from featx.testing.conformance.capture import captured, report_captured, report_guards
from featx.testing.conformance.guards import Guards
from featx.testing.conformance.host import Session, compare, frame_positions
from featx.testing.conformance.recording import CheckFailed, CheckSkipped, Recorder
from featx.testing.conformance.stimuli import crowd, standard
from featx.testing.conformance.target import Target
from featx.testing.signals import constant, noise, silence
from featx.types import Features, FeatureSpec

if TYPE_CHECKING:
    import psutil

    from featx.types import FloatArray

BATCH = 32

#: Every how many-th track of the batch is also extracted alone.
_STRIDE = 3

#: Rates of files, for extractors that take them as they come.
_NATIVE_RATES = (8000, 44100, 96000)

#: Files of fewer samples than any frame, and the rates that they have.
_FEW_SAMPLES = range(1, 8)
_FEW_SAMPLES_RATES = (8000, 44100, 48000)

#: Cycles of open, extract and close; growth is measured after the first few, when caches are warm.
_CYCLES = 8
_WARM = 3
_MEMORY_GROWTH = 32 << 20

#: An hour at 44.1 kHz is 0.6 GiB of float32; the rest is room for frames and intermediate arrays.
_HOUR_MEMORY = 4 << 30


def run_battery(target: Target, recorder: Recorder, guards: Guards, job: Mapping[str, Any]) -> None:
    """Run every behavioural check of an extractor, ``processes`` excepted."""
    with captured() as seen:
        session: Session | None = None
        with recorder.check("open"):
            session = Session(target)
            with session.opened():
                pass
        if session is not None:
            _Battery(session, recorder).run(long=bool(job["long"]))
    report_captured(recorder, seen)
    report_guards(recorder, guards)


class _Battery:
    """The checks of one extractor, by name; each raises `CheckFailed` or `CheckSkipped`."""

    def __init__(self, session: Session, recorder: Recorder) -> None:
        self.session = session
        self.recorder = recorder
        self.spec = session.spec
        self.tolerance = self.spec.tolerance
        self.sr = session.sr
        self.signals = standard(self.sr, min_duration=self.spec.min_duration)
        self.crowd = crowd(self.sr, n=BATCH, min_duration=self.spec.min_duration)

    def run(self, *, long: bool) -> None:
        check = self.recorder.check
        with self.session.opened() as extractor:
            with check("outputs"):
                self.check_outputs(extractor)
            with check("repeatable"):
                self.check_repeatable(extractor)
            with check("batch"):
                self.check_batch(extractor)
            with check("order"):
                self.check_order(extractor)
            with check("neighbours"):
                self.check_neighbours(extractor)
            with check("input"):
                self.check_input(extractor)
            for name, y in self.edges().items():
                with check(name):
                    self.check_edge(extractor, y)
            with check("few-samples"):
                self.check_few_samples(extractor)
            with check("stereo"):
                self.check_stereo(extractor)
            with check("frame-count"):
                self.check_frame_count(extractor)
            with check("hour-long"):
                if not long:
                    raise CheckSkipped("takes long; ask for it with --long")
                self.check_hour(extractor)
        with check("subset"):
            self.check_subset()
        with check("resources"):
            self.check_resources()

    # ------------------------------------------------------------ helpers
    def one(self, extractor: OpenExtractor, y: FloatArray) -> Features:
        return self.session.one(extractor, y)

    def agree(self, a: Features, b: Features, rule: str) -> None:
        difference = compare(a, b, tolerance=self.tolerance)
        if difference:
            raise CheckFailed(f"{rule}, but {difference}.")

    # ------------------------------------------------------------ checks
    def check_outputs(self, extractor: OpenExtractor) -> None:
        for y in self.signals.values():
            self.one(extractor, y)
        if self.session.prepared.resolved.sr is None:
            for sr in _NATIVE_RATES:
                signals = standard(sr, min_duration=self.spec.min_duration)
                self.session.at(sr).one(extractor, signals["music"])

    def check_repeatable(self, extractor: OpenExtractor) -> None:
        y = self.signals["music"]
        first = self.one(extractor, y)
        self.one(extractor, self.signals["noise"])
        self.agree(first, self.one(extractor, y), "the same input must give the same numbers")
        with self.session.opened() as other:
            self.agree(first, self.one(other, y), "a reopened extractor must give the same numbers")

    def check_batch(self, extractor: OpenExtractor) -> None:
        together = self.session.batch(extractor, self.crowd)
        for y, features in list(zip(self.crowd, together, strict=True))[::_STRIDE]:
            self.agree(
                self.one(extractor, y), features, f"a batch of one must equal a batch of {BATCH}"
            )

    def check_order(self, extractor: OpenExtractor) -> None:
        some = self.crowd[:8]
        forwards = self.session.batch(extractor, some)
        backwards = self.session.batch(extractor, some[::-1])
        for a, b in zip(forwards, backwards[::-1], strict=True):
            self.agree(a, b, "the order of tracks must not matter")

    def check_neighbours(self, extractor: OpenExtractor) -> None:
        y = self.signals["noise"]
        alone = self.one(extractor, y)
        loud = np.full(len(self.signals["music"]) * 2, 1.0, dtype=np.float32)
        among = self.session.batch(extractor, [loud, y, self.signals["music"]])[1]
        self.agree(alone, among, "long and loud neighbours must not change a result")

    def check_input(self, extractor: OpenExtractor) -> None:
        y = self.signals["music"]
        track = self.session.track(extractor, y)
        fronts = self.session.resolved(extractor).front_ends
        before = [track.spectra(front_end).copy() for front_end in fronts]
        extractor.extractor.extract([track])
        if not np.array_equal(track.y, y):
            raise CheckFailed("Track.y must be left unmodified, got other samples. Copy it first.")
        for front_end, copy in zip(fronts, before, strict=True):
            if not np.array_equal(track.spectra(front_end), copy):
                raise CheckFailed(
                    "arrays from Track.spectra must be left unmodified, because other extractors "
                    "share them, got other values. Copy them first."
                )

    def edges(self) -> dict[str, FloatArray]:
        n = round(max(2.0, self.spec.min_duration + 0.05) * self.sr)
        square = np.where(np.arange(n) // 50 % 2, 1.0, -1.0).astype(np.float32)
        frames = [spec.frame_length or 2 for spec in self.session.prepared.resolved.outputs]
        short = max(2, min(frames) // 2)
        return {
            "silence": silence(duration=n / self.sr, sr=self.sr),
            "one-sample": np.array([0.5], dtype=np.float32),
            "sub-window": noise(rng=np.random.default_rng(4), duration=short / self.sr, sr=self.sr),
            "dc": constant(0.5, duration=n / self.sr, sr=self.sr),
            "full-scale": square,
        }

    def check_edge(self, extractor: OpenExtractor, y: FloatArray) -> None:
        if len(y) < self.spec.min_duration * self.sr:
            raise CheckSkipped(
                f"shorter than min_duration ({self.spec.min_duration:g} s): the host skips it"
            )
        self.one(extractor, y)

    def check_few_samples(self, extractor: OpenExtractor) -> None:
        taken = 0
        for sr, n in itertools.product(_FEW_SAMPLES_RATES, _FEW_SAMPLES):
            session = self.session.at(sr)
            y = np.linspace(0.5, -0.4, n, dtype=np.float32)
            if session.too_short(extractor, y):
                continue
            taken += 1
            try:
                session.one(extractor, y)
            except ExtractionError as error:
                raise CheckFailed(f"{n} samples at {sr} Hz must have an answer, got {error}") from (
                    error
                )
        if not taken:
            raise CheckSkipped("all are too short: the host skips them")

    def check_stereo(self, extractor: OpenExtractor) -> None:
        import soundfile

        from featx.audio import decode

        left, right = self.signals["music"], self.signals["music"][::-1]
        mean = (left.astype(np.float64) + right) / 2
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "stereo.wav"
            soundfile.write(path, np.stack([left, right], axis=1), self.sr, subtype="FLOAT")
            decoded = decode(path, rates=[self.sr]).waveforms[self.sr]
        self.agree(
            self.one(extractor, mean.astype(np.float32)),
            self.one(extractor, decoded),
            "a stereo file must give what its down-mix gives",
        )

    def check_frame_count(self, extractor: OpenExtractor) -> None:
        outputs = [spec for spec in self.session.prepared.resolved.outputs if spec.kind == "frames"]
        if not outputs:
            raise CheckSkipped("no output is of kind frames")
        for spec in outputs:
            self.check_frames_of(extractor, spec)

    def check_frames_of(self, extractor: OpenExtractor, spec: FeatureSpec) -> None:
        hop, length = spec.hop or Fraction(1), spec.frame_length or 1
        rng = np.random.default_rng(6)
        least = max(length, math.ceil(self.spec.min_duration * self.sr)) + 1
        step = math.ceil(hop)
        counts: dict[int, int] = {}

        def count(n: int) -> int:
            if n not in counts:
                y = rng.uniform(-0.3, 0.3, n).astype(np.float32)
                counts[n] = len(self.one(extractor, y)[spec.name])
            return counts[n]

        for n in (least, least + 1, least + step - 1, least + step, 3 * least + 7, 5 * least + 1):
            self.check_grid(spec, n, count(n), hop, length)
            quiet = self.one(extractor, silence(duration=n / self.sr, sr=self.sr))
            if len(quiet[spec.name]) != count(n):
                raise CheckFailed(
                    f"{spec.name}: the number of frames must depend on the length only, got "
                    f"{count(n)} for noise and {len(quiet[spec.name])} for silence of {n} samples."
                )
            more = 3 * hop.denominator
            longer = n + int(more * hop)
            if count(longer) != count(n) + more:
                raise CheckFailed(
                    f"{spec.name}: {more} hops more ({hop} samples each) must give {more} frames "
                    f"more, got {count(n)} for {n} samples and {count(longer)} for {longer}. "
                    "Is hop given at the resolved rate?"
                )

    def check_grid(
        self, spec: FeatureSpec, n: int, n_frames: int, hop: Fraction, length: int
    ) -> None:
        last, following = frame_positions(hop, spec.first, n_frames)
        if last - Fraction(length, 2) >= n:
            raise CheckFailed(
                f"{spec.name}: every frame must see at least one sample, but the last of "
                f"{n_frames} frames begins at {float(last - Fraction(length, 2)):g} of {n} samples."
            )
        if following + Fraction(length, 2) <= n:
            raise CheckFailed(
                f"{spec.name}: no complete frame may be missing, but {n_frames} frames of {length} "
                f"samples, hop {hop}, first centre {spec.first} leave room for another in {n} "
                "samples. Is first the centre of frame 0?"
            )

    def check_subset(self) -> None:
        if len(self.session.names) == 1:
            raise CheckSkipped("there is one output")
        y = self.signals["noise"]
        with self.session.opened() as extractor:
            everything = self.one(extractor, y)
        for name in self.session.names:
            with self.session.opened([name]) as extractor:
                alone = self.one(extractor, y)
            self.agree(
                Features({name: everything[name]}), alone, "one output must equal that of all"
            )

    def check_resources(self) -> None:
        import psutil

        process = psutil.Process()
        y = self.signals["noise"]
        marks: list[tuple[int, int, int]] = []
        for _ in range(_CYCLES):
            with self.session.opened() as extractor:
                self.one(extractor, y)
            del extractor
            gc.collect()
            marks.append((process.num_fds(), threading.active_count(), process.memory_info().rss))
        (fds, threads, memory), (fds_last, threads_last, memory_last) = marks[_WARM], marks[-1]
        _refuse_growth("open files", fds, fds_last, 0)
        _refuse_growth("threads", threads, threads_last, 0)
        _refuse_growth("bytes of memory", memory, memory_last, _MEMORY_GROWTH)

    def check_hour(self, extractor: OpenExtractor) -> None:
        import psutil

        process = psutil.Process()
        before = process.memory_info().rss
        rng = np.random.default_rng(8)
        y = rng.standard_normal(3600 * self.sr, dtype=np.float32)
        y *= np.float32(0.1)
        with _peak_memory(process) as peak:
            self.one(extractor, y)
        grown = peak[0] - before
        if grown > _HOUR_MEMORY:
            raise CheckFailed(
                f"an hour must stay below {_HOUR_MEMORY >> 20} MiB, got {grown >> 20} MiB. "
                "Work through the track in segments."
            )


def _refuse_growth(what: str, before: int, after: int, allowed: int) -> None:
    if after - before > allowed:
        cycles = _CYCLES - 1 - _WARM
        raise CheckFailed(
            f"{what} must not grow by more than {allowed} over {cycles} cycles of open and close, "
            f"got {before} and then {after}. Release in close() what open() took."
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
