"""Runs one extractor by the host's own code, so that passing the kit means running in featx."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from featx.audio import resample
from featx.engine.planning.preparing import prepare_extractors
from featx.engine.recomputing import array_difference
from featx.engine.work.opening import OpenExtractor, check_outputs
from featx.engine.work.tracks import HostTrack, Recording, cut
from featx.errors import ExtractionError
from featx.interfaces import Blocks
from featx.registry import Registered, Registry
from featx.registry.specs import spec_from_json
from featx.testing.conformance.target import Target
from featx.types import Features

if TYPE_CHECKING:
    from featx.frontend import FrontEnd
    from featx.interfaces import ExtractorSpec, Resolved
    from featx.types import FloatArray

#: Rate given to extractors that take whatever rate a file has.
NATIVE_SR = 22050


class Session:
    """One extractor with fixed parameters, opened as often as needed.

    Parameters
    ----------
    target : Target
        What to run.
    """

    def __init__(self, target: Target) -> None:
        self.spec: ExtractorSpec = spec_from_json("extractor", target.spec)
        item = Registered(
            full_name=target.full_name,
            distribution=target.distribution,
            plugin=target.plugin,
            spec=self.spec,
        )
        (self.prepared,) = prepare_extractors(
            Registry([], extractors=[item]),
            [target.full_name],
            params={target.full_name: dict(target.params)} if target.params else None,
            weights=target.weights or None,
            device=target.device,
        )
        self.names = tuple(output.name for output in self.prepared.resolved.outputs)
        self.sr: int = self.prepared.resolved.sr or NATIVE_SR

    def at(self, sr: int) -> Session:
        """Return the same session for files of another native rate."""
        other = copy.copy(self)
        other.sr = sr
        return other

    @contextmanager
    def opened(self, features: Sequence[str] = ()) -> Iterator[OpenExtractor]:
        """Open a fresh instance, and close it at the end."""
        prepared = dataclasses.replace(self.prepared, features=tuple(features) or self.names)
        opened = OpenExtractor(prepared, threads=1, seed=0)
        try:
            yield opened
        finally:
            opened.extractor.close()  # unlike the host, which lets a failure here pass

    def resolved(self, opened: OpenExtractor) -> Resolved:
        """Return the resolution at `sr`."""
        return opened.resolved(self.sr)

    def too_short(self, opened: OpenExtractor, y: FloatArray) -> str:
        """Return why the host skips a waveform at `sr`, or ``""``."""
        return opened.too_short(self._recording(opened, y))

    def one(self, opened: OpenExtractor, y: FloatArray) -> Features:
        """Extract from one waveform at `sr`, exactly as a run does."""
        outputs = opened.extract(self._recording(opened, y))
        return Features(outputs.values)

    def one_in_blocks(
        self, opened: OpenExtractor, y: FloatArray, *, samples: int, frames: int
    ) -> Features:
        """Extract from one waveform at `sr` as from a long file, in blocks of these lengths."""
        whole = self._recording(opened, y)
        return Features(opened.extract(CutRecording(whole, samples=samples, frames=frames)).values)

    def noise_in_blocks(self, opened: OpenExtractor, seconds: int) -> Features:
        """Extract from noise that is made while it is read."""

        def stream(sr: int) -> Blocks:
            def second(t: int) -> FloatArray:
                noise = np.random.default_rng([8, t]).standard_normal(sr, np.float32)
                return noise * np.float32(0.1)

            return Blocks(seconds * sr, lambda: map(second, range(seconds)))

        recording = Recording({}, native_sr=self.sr, duration=seconds, stream=stream)
        return Features(opened.extract(recording).values)

    def batch(self, opened: OpenExtractor, waveforms: Sequence[FloatArray]) -> list[Features]:
        """Extract from several waveforms at `sr` in one call."""
        tracks = [self.track(opened, y) for y in waveforms]
        results = opened.extractor.extract(tracks)
        if len(results) != len(tracks):
            raise ExtractionError(
                "bad-output",
                f"extract must return one Features per track ({len(tracks)}), got {len(results)}.",
            )
        specs = tuple(self.resolved(opened).output(name) for name in opened.prepared.features)
        return [
            Features(check_outputs([values], specs, track.duration))
            for values, track in zip(results, tracks, strict=True)
        ]

    def track(self, opened: OpenExtractor, y: FloatArray) -> HostTrack:
        """Return the track that the extractor is given for ``y``."""
        return HostTrack(self._recording(opened, y), resolved=self.resolved(opened))

    def _recording(self, opened: OpenExtractor, y: FloatArray) -> Recording:
        waveforms = self._waveforms(opened, y)
        return Recording(waveforms, native_sr=self.sr, duration=len(y) / self.sr)

    def _waveforms(self, opened: OpenExtractor, y: FloatArray) -> dict[int, FloatArray]:
        waveforms = {self.sr: frozen(y)}
        for rate in opened.rates() - {None, self.sr}:
            if rate is not None:
                waveforms[rate] = frozen(resample(y, sr_in=self.sr, sr_out=rate))
        return waveforms


class CutRecording(Recording):
    """A recording that holds nothing, and whose samples and frames come in any blocks."""

    def __init__(self, whole: Recording, *, samples: int, frames: int) -> None:
        super().__init__(
            {},
            native_sr=whole.native_sr,
            duration=whole.duration,
            stream=lambda sr: cut(whole.waveform(sr), samples),
        )
        self._whole, self._frames = whole, frames

    def spectra_blocks(self, fe: FrontEnd, sr: int) -> Blocks:
        """Return the frames of the whole, cut."""
        return cut(self._whole.spectra(fe, sr), self._frames)


def frozen(y: FloatArray) -> FloatArray:
    """Return a copy of ``y`` in memory that cannot be made writable again."""
    return np.frombuffer(np.asarray(y, dtype=np.float32).tobytes(), dtype=np.float32)


def compare(a: Features, b: Features, *, tolerance: float) -> str:
    """Return '' if ``a`` and ``b`` agree within ``tolerance``, else what differs most."""
    for name in a:
        difference = array_difference(name, a[name], b[name], tolerance=tolerance)
        if difference:
            return difference
    return ""


def frame_positions(hop: Fraction, first: Fraction, n_frames: int) -> tuple[Fraction, Fraction]:
    """Return the centres of the last frame, and of the one that would follow, in samples."""
    return first + (n_frames - 1) * hop, first + n_frames * hop
