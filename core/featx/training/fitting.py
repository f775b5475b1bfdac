"""Fits: one sample of vectors from all songs, then steps until the method is done."""

from __future__ import annotations

import math
import time
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from featx.errors import AudioError, PluginError, TrainingError, counted, lines
from featx.training.augmenting import Augmenter
from featx.training.checkpoints import State
from featx.training.crops import CropReader
from featx.training.learner import Learner, Limit, TrainingRun
from featx.training.loader import EXAMPLE, STEP, VALIDATION, VIEW, ahead, stream
from featx.training.logs import TRAINING_LOG, Log
from featx.training.method import FitMethod, Fitted
from featx.training.options import FitParams
from featx.training.progress import Standing, TrainingReporter
from featx.training.samplers import Crop, random_start
from featx.training.songs import Failure, Songs, SongSplit
from featx.types import AnyArray, FloatArray

#: Seconds between two lines about how many songs are read.
_LINE_SECONDS = 30.0


class Fitter(Learner):
    """Runs one `FitMethod` on songs whose crops, or the whole of them, ``reader`` reads."""

    def __init__(
        self,
        method: FitMethod,
        songs: SongSplit,
        reader: CropReader,
        *,
        options: FitParams,
        run: TrainingRun,
    ) -> None:
        super().__init__(run, options)
        self.method, self.songs, self.reader, self.options = method, songs, reader, options
        self._drawn = 0
        self._arrays: dict[str, AnyArray] = {}
        self._done = False
        self._judged = False
        self._judges = type(method).evaluate is not FitMethod.evaluate
        if songs.valid and not self._judges:
            run.reporter.note(
                f"{len(songs.valid)} songs are held out, but the method has no metrics."
            )

    def _learn(self, limit: Limit) -> None:
        if not self._ended():
            vectors = self._sample(self.songs.train, self.options.n_vectors, EXAMPLE, limit)
            if vectors is not None:
                self._drawn = len(vectors)
                self._fit(vectors, limit)
        if self._ended() and self._judges and not self._judged and self.songs.valid:
            self._judge(limit)
        self.reason = self.reason or limit.reason

    def _fit(self, vectors: FloatArray, limit: Limit) -> None:
        began = self._saved = time.monotonic()
        log = Log(self.out, step=self.step)
        self.reporter.begin(self.step, self.options.steps)
        try:
            while not self._ended() and not limit.reason:
                self._one_step(vectors, log)
                seconds = time.monotonic() - began
                self._report((self.step - self.first) * len(vectors) / max(seconds, 1e-9))
                self._save_if_due()
            self.save()
        finally:
            log.close()
            self.reporter.end()

    def _one_step(self, vectors: FloatArray, log: Log) -> None:
        fitted = self.method.fit(vectors, self._arrays, stream(self.options.seed, STEP, self.step))
        if not isinstance(fitted, Fitted):
            raise PluginError(f"fit must return a Fitted, got {type(fitted).__name__}.")
        metrics = {name: float(value) for name, value in fitted.metrics.items()}
        if not all(map(math.isfinite, metrics.values())):
            raise TrainingError(f"metrics of step {self.step} must be finite, got {metrics}.")
        self._arrays = {name: np.asarray(array) for name, array in fitted.arrays.items()}
        self._done, self._judged, self.metrics = fitted.done, False, metrics
        self.step += 1
        if metrics:
            log.add(TRAINING_LOG, self.step, metrics)

    def _report(self, rate: float) -> None:
        standing = Standing(
            step=self.step,
            total=self.options.steps,
            epoch=self.epoch,
            lr=None,
            losses=self.metrics,
            rate=rate,
        )
        self.reporter.update(standing)

    def _ended(self) -> bool:
        if self._done:
            self.reason = "done"
        elif self.step >= self.options.steps:
            self.reason = "limit"
        return bool(self.reason)

    @property
    def epoch(self) -> float:
        """Passes over the sample so far."""
        return float(self.step)

    @property
    def examples(self) -> int:
        """Vectors that this run has drawn."""
        return self._drawn

    def _judge(self, limit: Limit) -> None:
        """Add what the method measures on the validation songs to `metrics`."""
        train, valid = (
            sum(song.length for song in songs) for songs in (self.songs.train, self.songs.valid)
        )
        most = math.ceil(self.options.n_vectors * valid / train)
        vectors = self._sample(self.songs.valid, most, VALIDATION, limit)
        if vectors is None:
            self.reason = limit.reason
            return
        measured = self.method.evaluate(self._arrays, vectors)
        self.metrics |= {f"valid_{name}": float(value) for name, value in measured.items()}
        self._judged = True
        self.save()

    def _sample(self, songs: Songs, most: int, number: int, limit: Limit) -> FloatArray | None:
        """Return vectors of all songs; None where ``limit`` is reached before."""
        vectors, failures = draw_vectors(
            self.method,
            songs,
            self.reader,
            most=most,
            seed=(self.options.seed, number),
            workers=self.workers,
            reporter=self.reporter,
            limit=limit,
            augment=number == EXAMPLE,
        )
        self._failures |= {item.track_id: item for item in failures}
        return vectors

    def _state(self) -> tuple[dict[str, dict[str, AnyArray]], dict[str, Any]]:
        return {"fit": self._arrays}, {"done": self._done, "judged": self._judged}

    def _restore(self, state: State) -> None:
        self._arrays = dict(state.parts.get("fit", {}))
        self._done, self._judged = state.plain["done"], state.plain["judged"]

    def export(self) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Return what the method exports of the last step."""
        return self.method.export(self._arrays)


def draw_vectors(
    method: FitMethod,
    songs: Songs,
    reader: CropReader,
    *,
    most: int,
    seed: tuple[int, ...],
    workers: int,
    reporter: TrainingReporter,
    limit: Limit | None = None,
    augment: bool = True,
) -> tuple[FloatArray | None, list[Failure]]:
    """Draw up to ``most`` vectors from songs, in proportion to their lengths.

    Returns them as a read-only float32 array of shape (n, dim), in the order of the songs, or None
    where ``limit`` was reached before the end; and the songs that could not be read. If no song
    gives a vector, this raises `TrainingError`, and for anything but finite vectors of one size
    `PluginError`.
    """
    limit = limit or Limit()
    ends = list(accumulate((song.length for song in songs), initial=0))
    shares = [b - a for a, b in pairwise(end * most // max(ends[-1], 1) for end in ends)]
    length = method.crops().length
    augmenter = Augmenter(reader, songs) if augment and reader.augmentation else None

    def read(number: int) -> FloatArray | Failure:
        rng = stream(*seed, number)
        song, reading = songs[number], Crop(songs[number], 0)

        def raw(crop: Crop) -> FloatArray:
            nonlocal reading
            reading = crop
            return reader.raw(crop)

        crop = Crop(song, random_start(song, length, rng) if length else 0)
        try:
            changes = stream(*seed, number, VIEW)  # the same vectors, whatever is changed
            values = augmenter.read(crop, changes, raw) if augmenter else reader.read(crop)
        except AudioError as error:
            failed = reading.song
            return Failure.of(failed, reader.verdict(failed.path, error))
        vectors = _checked(method.vectors(values))
        chosen = rng.choice(len(vectors), min(shares[number], len(vectors)), replace=False)
        return vectors[np.sort(chosen)]

    sample: FloatArray | None = None
    failures: list[Failure] = []
    count, written = 0, time.monotonic()
    for number, vectors in enumerate(ahead(read, 0, len(songs), workers)):
        if limit.reason:
            return None, failures
        if isinstance(vectors, Failure):
            failures.append(vectors)
            continue
        if sample is None:
            sample = np.empty((sum(shares), vectors.shape[1]), np.float32)
        if vectors.shape[1] != sample.shape[1]:
            raise PluginError(
                f"vectors must have one size, got {sample.shape[1]} and {vectors.shape[1]}."
            )
        sample[count : count + len(vectors)] = vectors
        count += len(vectors)
        if time.monotonic() - written >= _LINE_SECONDS:
            written = time.monotonic()
            reporter.note(f"{number + 1} of {len(songs)} songs read, {count} vectors drawn")
    if sample is None or count == 0:
        reasons = lines(f"{item.path}: {item.reason}" for item in failures)
        raise TrainingError(f"songs must give at least one vector, got none.{reasons}")
    reporter.note(
        f"{count} vectors of {sample.shape[1]} numbers from {counted(len(songs), 'song')}"
    )
    sample = sample[:count]
    sample.flags.writeable = False
    return sample, failures


def _checked(vectors: Any) -> FloatArray:
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2:
        raise PluginError(
            f"vectors must return a two-dimensional array, got shape {np.shape(vectors)}."
        )
    if not np.isfinite(vectors).all():
        raise PluginError("vectors must return finite numbers, got NaN or infinity.")
    return vectors.astype(np.float32, copy=False)
