"""The battery of checks that an extractor runs through, inside a guarded child process."""

from __future__ import annotations

import copy
import functools
import hashlib
import itertools
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.engine.work.opening import OpenExtractor
from featx.errors import ExtractionError, listed
from featx.testing.conformance import resources, timing
from featx.testing.conformance.host import Session, compare
from featx.testing.conformance.recording import CheckFailed, CheckSkipped, Recorder
from featx.testing.conformance.stimuli import crowd, standard
from featx.testing.conformance.surroundings import (
    Surroundings,
    move_torch_random_state,
    torch_random_state,
)
from featx.testing.conformance.target import Target
from featx.testing.signals import constant, noise, silence
from featx.types import Features, FeatureSpec

if TYPE_CHECKING:
    from featx.interfaces import Resolved
    from featx.types import AnyArray, FloatArray

BATCH = 32

#: Every how many-th track of the batch is also extracted alone.
_STRIDE = 3

#: Rates of files, for extractors that take them as they come.
_NATIVE_RATES = (8000, 44100, 96000)

#: Tracks of the batch whose order is reversed.
_ORDERED = 4

#: Seconds of music where the same sound is extracted several times over.
_PIECE = 2.0

#: Files of fewer samples than any frame, and the rates that they have.
_FEW_SAMPLES = range(1, 8)
_FEW_SAMPLES_RATES = (8000, 44100, 48000)

#: Seconds, and samples and frames in a block: a track that streams is cut into these.
_CUTS = ((0.1, 1, 1), (5.0, 997, 7), (40.0, 65537, 101))


def run_battery(
    target: Target, recorder: Recorder, surroundings: Surroundings, *, folder: Path, long: bool
) -> None:
    """Run every behavioural check of an extractor; ``folder`` is for what ``processes`` writes."""
    session: Session | None = None
    with recorder.check("open"):
        session = Session(target)
        with session.opened():
            pass
    if session is not None:
        _Battery(session, recorder, surroundings).run(long=long)
        check_processes(target, recorder, folder=folder)


def check_processes(target: Target, recorder: Recorder, *, folder: Path) -> None:
    """Run the check ``processes``."""
    with recorder.check("processes"):
        from featx.testing.conformance.pair import compare_processes

        compare_processes(target, folder)


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
        self.piece = self.signals["music"][
            : math.ceil(max(_PIECE, self.spec.min_duration + 0.05) * self.sr)
        ]
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
                y = noise(rng=np.random.default_rng(3), duration=len(self.piece) / self.sr, sr=sr)
                self.session.at(sr).one(extractor, y)

    def _varies(self, spec: FeatureSpec, results: Sequence[Features]) -> bool:
        values = [features[spec.name] for features in results]
        if spec.kind == "events":
            return any(map(len, values))
        rows = np.concatenate([np.atleast_2d(value) for value in values])
        return bool((np.ptp(rows, axis=0) > self.tolerance).any())

    def check_repeatable(self, extractor: OpenExtractor) -> None:
        y = self.piece
        first = self.one(extractor, y)
        held = copy.deepcopy(first)
        self.one(extractor, self.signals["noise"])
        if compare(held, first, tolerance=0.0):
            raise CheckFailed(
                "a result must not change when the next track is extracted, but it did. Return new "
                "arrays."
            )
        self.agree(first, self.one(extractor, y), "the same input must give the same numbers")
        # as long as the piece, and quieter than all that the first instance has heard
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
        some = self.crowd[:_ORDERED]
        forwards = self.session.batch(extractor, some)
        backwards = self.session.batch(extractor, some[::-1])
        for a, b in zip(forwards, backwards[::-1], strict=True):
            self.agree(a, b, "the order of tracks must not matter")

    def check_neighbours(self, extractor: OpenExtractor) -> None:
        y = self.signals["noise"]
        alone = self.one(extractor, y)
        loud = np.full(2 * len(self.piece), 1.0, dtype=np.float32)
        among = self.session.batch(extractor, [loud, y, self.piece])[1]
        self.agree(alone, among, "long and loud neighbours must not change a result")

    def check_input(self, extractor: OpenExtractor) -> None:
        y = self.piece
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
        lengths: list[tuple[Resolved, int]] = []
        for sr, n in itertools.product(_FEW_SAMPLES_RATES, _FEW_SAMPLES):
            session = self.session.at(sr)
            y = np.linspace(0.5, -0.4, n, dtype=np.float32)
            if session.too_short(extractor, y):
                continue
            length = session.resolved(extractor), len(session.track(extractor, y).y)
            if length in lengths:  # files of two rates that the extractor cannot tell apart
                continue
            lengths.append(length)
            try:
                session.one(extractor, y)
            except ExtractionError as error:
                raise CheckFailed(f"{n} samples at {sr} Hz must have an answer, got {error}") from (
                    error
                )
        if not lengths:
            raise CheckSkipped("all are too short: featx skips them")

    def check_stereo(self, extractor: OpenExtractor) -> None:
        import soundfile

        from featx.audio import decode

        left, right = self.piece, self.piece[::-1]
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
        longest = timing.samples_of_longest(outputs, self.sr)
        for spec in outputs:
            extract = functools.partial(self._output_of, extractor, spec.name)
            timing.check_counts(spec, extract, shortest=shortest, longest=longest, sr=self.sr)

    def check_alignment(self, extractor: OpenExtractor) -> None:
        unclear, judged = [], 0
        longest = timing.samples_of_longest(self.session.prepared.resolved.outputs, self.sr)
        for spec in self.session.prepared.resolved.outputs:
            extract = functools.partial(self._output_of, extractor, spec.name)
            if spec.kind == "frames":
                reason = timing.check_frames(spec, extract, n=longest, sr=self.sr)
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

    def check_hour(self, extractor: OpenExtractor) -> None:
        resources.check_hour(self.session, extractor)

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
        y = self.signals["noise"][: round((self.spec.min_duration + 0.2) * self.sr)]
        resources.check_resources(self.session, y, known=self.processes)

    def check_surroundings(self) -> None:
        with self.session.opened() as extractor:
            move_torch_random_state()  # it may be what the extractor sets it to already
            before = torch_random_state()
            for name in ("noise", "clicks"):
                self.one(extractor, self.signals[name])
            drawn = torch_random_state() != before
        changes = self.surroundings.changes()
        changes += ["the random state of torch (read or reseeded)"] * drawn
        if changes:
            raise CheckFailed(
                f"global state must not change, but the extractor changes {listed(changes[:5])}. "
                "Use a separate generator for random numbers."
            )


def _skip_hour(extractor: OpenExtractor) -> None:  # noqa: ARG001
    raise CheckSkipped("takes long; select it with --long")
