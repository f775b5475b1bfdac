"""The battery of checks that an extractor runs through, inside a guarded child process."""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import hashlib
import itertools
import math
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.engine.work.opening import OpenExtractor
from featx.errors import ExtractionError, listed
from featx.testing.conformance import timing
from featx.testing.conformance.host import Session, compare
from featx.testing.conformance.recording import CheckFailed, CheckSkipped, Recorder
from featx.testing.conformance.stimuli import crowd, standard
from featx.testing.conformance.surroundings import Surroundings, torch_random_state
from featx.testing.conformance.target import Target
from featx.testing.signals import constant, noise, silence
from featx.types import Features, FeatureSpec

if TYPE_CHECKING:
    import psutil

    from featx.types import AnyArray, FloatArray

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

#: Tracks in a row while memory is watched, those before it counts, and what they may add together:
#: a quarter of a megabyte each.
_TRACKS = 72
_WARM_TRACKS = 8
_TRACK_GROWTH = 16 << 20


#: Seconds, and samples and frames in a block: a track that streams is cut into these.
_CUTS = ((0.1, 1, 1), (5.0, 997, 7), (40.0, 65537, 101))

#: For an hour, whole (0.6 GiB of float32 at 44.1 kHz) and in blocks; the rest is room for frames.
_HOUR_MEMORY, _HOUR_IN_BLOCKS = 4 << 30, 512 << 20


def run_battery(
    target: Target, recorder: Recorder, surroundings: Surroundings, *, long: bool
) -> None:
    """Run every behavioural check of an extractor, ``processes`` excepted."""
    session: Session | None = None
    with recorder.check("open"):
        session = Session(target)
        with session.opened():
            pass
    if session is not None:
        _Battery(session, recorder, surroundings).run(long=long)


class _Battery:
    """The checks of one extractor, by name; each raises `CheckFailed` or `CheckSkipped`."""

    def __init__(self, session: Session, recorder: Recorder, surroundings: Surroundings) -> None:
        import psutil

        self.session = session
        self.recorder = recorder
        self.surroundings = surroundings
        self.processes = set(psutil.Process().children())  # before anything is opened
        self.spec = session.spec
        self.tolerance = self.spec.tolerance
        self.sr = session.sr
        self.signals = standard(self.sr, min_duration=self.spec.min_duration)
        self.crowd = crowd(self.sr, n=BATCH, min_duration=self.spec.min_duration)
        self._timed: dict[bytes, Features] = {}

    def run(self, *, long: bool) -> None:
        with self.session.opened() as extractor:
            for name, check in self.checks(extractor, long=long).items():
                with self.recorder.check(name):
                    check()
        for name, check in self.checks_of_instances().items():
            with self.recorder.check(name):
                check()

    def checks(self, extractor: OpenExtractor, *, long: bool) -> dict[str, Callable[[], None]]:
        """Return the checks of one open instance, in order."""
        checks = {
            "outputs": self.check_outputs,
            "repeatable": self.check_repeatable,
            "batch": self.check_batch,
            "order": self.check_order,
            "neighbours": self.check_neighbours,
            "input": self.check_input,
        }
        for name, y in self.edges().items():
            checks[name] = functools.partial(self.check_edge, y=y)
        checks |= {
            "few-samples": self.check_few_samples,
            "stereo": self.check_stereo,
            "frame-count": self.check_frame_count,
            "alignment": self.check_alignment,
            "blocks": self.check_blocks,
            "hour-long": self.check_hour if long else _skip_hour,
        }
        return {name: functools.partial(check, extractor) for name, check in checks.items()}

    def checks_of_instances(self) -> dict[str, Callable[[], None]]:
        """Return the checks that open instances of their own."""
        return {
            "subset": self.check_subset,
            "resources": self.check_resources,
            "surroundings": self.check_surroundings,
        }

    # ------------------------------------------------------------ helpers
    def one(self, extractor: OpenExtractor, y: FloatArray) -> Features:
        return self.session.one(extractor, y)

    def agree(self, a: Features, b: Features, rule: str) -> None:
        difference = compare(a, b, tolerance=self.tolerance)
        if difference:
            raise CheckFailed(f"{rule}, but {difference}.")

    # ------------------------------------------------------------ checks
    def check_outputs(self, extractor: OpenExtractor) -> None:
        results = [self.one(extractor, y) for y in self.signals.values()]
        if not any(self._varies(spec, results) for spec in self.session.prepared.resolved.outputs):
            raise CheckFailed(
                "outputs must depend on the sound, but those of a tone, a chirp, clicks, noise and "
                f"music agree within the tolerance ({self.tolerance:g})."
            )
        if self.session.prepared.resolved.sr is None:
            for sr in _NATIVE_RATES:
                signals = standard(sr, min_duration=self.spec.min_duration)
                self.session.at(sr).one(extractor, signals["music"])

    def _varies(self, spec: FeatureSpec, results: Sequence[Features]) -> bool:
        values = [features[spec.name] for features in results]
        if spec.kind == "events":
            return any(map(len, values))
        rows = np.concatenate([np.atleast_2d(value) for value in values])
        return bool((np.ptp(rows, axis=0) > self.tolerance).any())

    def check_repeatable(self, extractor: OpenExtractor) -> None:
        y = self.signals["music"]
        first = self.one(extractor, y)
        held = copy.deepcopy(first)
        self.one(extractor, self.signals["noise"])
        if compare(held, first, tolerance=0.0):
            raise CheckFailed(
                "a result must not change when the next track is extracted, but it did. Return new "
                "arrays."
            )
        self.agree(first, self.one(extractor, y), "the same input must give the same numbers")
        # as long as the music, and quieter than all that the first instance has heard
        other_y = (0.1 * y[::-1]).astype(np.float32)
        with self.session.opened() as other:
            fresh = self.one(other, other_y)
            self.agree(first, self.one(other, y), "a reopened extractor must give the same numbers")
        rule = "closing an instance must not change another one"
        self.agree(first, self.one(extractor, y), rule)
        rule = "earlier tracks must not change a result"
        self.agree(fresh, self.one(extractor, other_y), rule)

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
        for front_end, kept in zip(fronts, before, strict=True):
            if not np.array_equal(track.spectra(front_end), kept):
                raise CheckFailed(
                    "arrays from Track.spectra must be left unmodified, because other extractors "
                    "share them, got other values. Copy them first."
                )

    def edges(self) -> dict[str, FloatArray]:
        n = round(max(2.0, self.spec.min_duration + 0.05) * self.sr)
        square = np.where(np.arange(n) // 50 % 2, 1.0, -1.0).astype(np.float32)
        frames = [spec.frame_length or 2 for spec in self.session.prepared.resolved.outputs]
        short = max(2, min(frames) // 2)
        rng = np.random.default_rng(4)
        shortest = math.ceil(self.spec.min_duration * self.sr)
        return {
            "shortest": noise(rng=rng, duration=max(1, shortest) / self.sr, sr=self.sr),
            "quiet": noise(rng=rng, duration=n / self.sr, sr=self.sr, amplitude=1e-7),
            "over-range": noise(rng=rng, duration=n / self.sr, sr=self.sr, amplitude=8.0),
            "silence": silence(duration=n / self.sr, sr=self.sr),
            "one-sample": np.array([0.5], dtype=np.float32),
            "sub-window": noise(rng=rng, duration=short / self.sr, sr=self.sr),
            "dc": constant(0.5, duration=n / self.sr, sr=self.sr),
            "full-scale": square,
        }

    def check_edge(self, extractor: OpenExtractor, y: FloatArray) -> None:
        if len(y) < self.spec.min_duration * self.sr:
            raise CheckSkipped(
                f"shorter than min_duration ({self.spec.min_duration:g} s): featx skips it"
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
            raise CheckSkipped("all are too short: featx skips them")

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
        shortest = math.ceil(self.spec.min_duration * self.sr)
        for spec in outputs:
            extract = functools.partial(self._output_of, extractor, spec.name)
            timing.check_counts(spec, extract, shortest=shortest, sr=self.sr)

    def check_alignment(self, extractor: OpenExtractor) -> None:
        unclear, judged = [], 0
        for spec in self.session.prepared.resolved.outputs:
            extract = functools.partial(self._output_of, extractor, spec.name)
            if spec.kind == "frames":
                reason = timing.check_frames(spec, extract, sr=self.sr)
            elif spec.kind == "events":
                reason = timing.check_events(spec, extract, sr=self.sr)
            else:
                continue
            unclear += [reason] if reason else []
            judged += not reason
        if not judged:
            raise CheckSkipped("; ".join(unclear) or "no output is of kind frames or events")

    def _output_of(self, extractor: OpenExtractor, name: str, y: FloatArray) -> AnyArray:
        """Return one output for a signal that may be asked for again, for another output."""
        key = hashlib.blake2b(y.tobytes(), digest_size=16).digest()
        if key not in self._timed:
            self._timed[key] = self.one(extractor, y)
        return self._timed[key][name]

    def check_blocks(self, extractor: OpenExtractor) -> None:
        if not extractor.streaming:
            raise CheckSkipped("the extractor does not declare streaming")
        music = self.signals["music"]
        fade = np.linspace(1.0, 0.1, round(_CUTS[-1][0] * self.sr), dtype=np.float32)
        long = np.resize(music, len(fade)) * fade  # no two segments are equal
        for seconds, samples, frames in _CUTS:
            y = long[: math.ceil(max(seconds, self.spec.min_duration) * self.sr)]
            whole = self.one(extractor, y)
            blocks = self.session.one_in_blocks(extractor, y, samples=samples, frames=frames)
            sizes = f"blocks of {samples} samples or {frames} frames"
            self.agree(whole, blocks, f"stream must give in {sizes} what extract gives")

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
        left = [child.name() for child in process.children() if child not in self.processes]
        if left:
            raise CheckFailed(
                f"no process must be left after close(), got {listed(left)}. End it there."
            )
        self._check_tracks(process)

    def _check_tracks(self, process: psutil.Process) -> None:
        """Watch memory and temporary files over many tracks of one instance."""
        y = self.signals["noise"][: round((self.spec.min_duration + 0.2) * self.sr)]
        temporary = Path(tempfile.gettempdir())
        with self.session.opened() as extractor:
            for number in range(_TRACKS):
                if number == _WARM_TRACKS:
                    gc.collect()
                    memory, files = process.memory_info().rss, len(list(temporary.iterdir()))
                self.one(extractor, y)
            gc.collect()
            grown = process.memory_info().rss - memory
            left = len(list(temporary.iterdir())) - files
        tracks = _TRACKS - _WARM_TRACKS
        if grown > _TRACK_GROWTH:
            raise CheckFailed(
                f"memory must not grow with every track, got {grown >> 20} MiB over {tracks} short "
                "tracks. What is kept between calls?"
            )
        if left > tracks // 2:
            raise CheckFailed(
                f"temporary files must be removed, got {left} more after {tracks} tracks."
            )

    def check_surroundings(self) -> None:
        with self.session.opened() as extractor:
            before = torch_random_state()
            for y in self.signals.values():
                self.one(extractor, y)
            drawn = torch_random_state() != before
        changes = self.surroundings.changes()
        changes += ["the random state of torch (read or reseeded)"] * drawn
        if changes:
            raise CheckFailed(
                f"global state must not change, but the extractor changes {listed(changes[:5])}. "
                "Use a separate generator for random numbers."
            )

    def check_hour(self, extractor: OpenExtractor) -> None:
        import psutil

        process = psutil.Process()
        before = process.memory_info().rss
        rng = np.random.default_rng(8)
        with _peak_memory(process) as peak:
            if extractor.streaming:
                self.session.noise_in_blocks(extractor, 3600)
            else:
                y = rng.standard_normal(3600 * self.sr, dtype=np.float32)
                y *= np.float32(0.1)
                self.one(extractor, y)
        grown = peak[0] - before
        allowed = _HOUR_IN_BLOCKS if extractor.streaming else _HOUR_MEMORY
        if grown > allowed:
            raise CheckFailed(
                f"an hour must stay below {allowed >> 20} MiB, got {grown >> 20} MiB. "
                "Work through the track in segments."
            )


def _skip_hour(extractor: OpenExtractor) -> None:  # noqa: ARG001
    raise CheckSkipped("takes long; select it with --long")


def _refuse_growth(what: str, before: int, after: int, allowed: int) -> None:
    if after - before > allowed:
        cycles = _CYCLES - 1 - _WARM
        raise CheckFailed(
            f"{what} must not grow by more than {allowed} over {cycles} cycles of open and close, "
            f"got {before} and then {after}. Release in close() what open() allocated."
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
