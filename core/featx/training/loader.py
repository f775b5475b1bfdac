"""Batches in order, made ahead by threads; the same ones whatever the number of threads."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from featx.errors import AudioError, TrainingError
from featx.training.augmenting import Augmenter
from featx.training.crops import CropReader
from featx.training.samplers import Crop, Example, Sampler
from featx.training.songs import Failure
from featx.types import AnyArray, FloatArray

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

#: Streams of random numbers; what one draws never depends on another.
ORDER, EXAMPLE, VALIDATION, MODEL, STEP, VIEW = range(6)

#: Examples drawn in place of one that cannot be read, before the training gives up.
_ATTEMPTS = 50


class _UnreadableError(Exception):
    """A file that an example needs cannot be read; the note about it is made."""


def stream(seed: int, *numbers: int) -> np.random.Generator:
    """Return the generator that belongs to a seed and some numbers, and to nothing else."""
    # the count comes first because a SeedSequence takes (1, 2) and (1, 2, 0) for the same
    return np.random.default_rng(np.random.SeedSequence((len(numbers), seed, *numbers)))


def ahead(
    make: Callable[[int], T], first: int, stop: int | None, workers: int
) -> Generator[T, None, None]:
    """Yield ``make(number)`` from ``first`` on, in order, made ahead by ``workers`` threads."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="featx-crops")
    waiting: deque[Future[T]] = deque()
    number = first
    try:
        while True:
            while len(waiting) <= workers and (stop is None or number < stop):
                waiting.append(pool.submit(make, number))
                number += 1
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        for item in waiting:
            item.cancel()
        pool.shutdown(wait=True)


@dataclass(frozen=True)
class LoadedBatch:
    """Arrays by role, and the examples that they were read from."""

    arrays: Mapping[str, AnyArray]
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of the batch, each once."""
        return tuple(dict.fromkeys(path for item in self.examples for path in item.paths))

    def tensors(self, device: str) -> dict[str, torch.Tensor]:
        """Return the arrays as tensors on ``device``."""
        import torch

        pinned = device.startswith("cuda")
        tensors = {}
        for role, array in self.arrays.items():
            tensor = torch.from_numpy(np.ascontiguousarray(array))
            tensors[role] = tensor.pin_memory() if pinned else tensor
        return {role: item.to(device, non_blocking=pinned) for role, item in tensors.items()}


class Loader:
    """Reads batches ahead in threads.

    Everything that is drawn follows from ``seed`` and the number of the example, whatever the
    number of ``workers``. ``augmenter`` changes crops at random.
    """

    def __init__(
        self,
        sampler: Sampler,
        reader: CropReader,
        *,
        batch_size: int,
        seed: int,
        workers: int = 1,
        augmenter: Augmenter | None = None,
    ) -> None:
        self.sampler, self.reader = sampler, reader
        self.batch_size, self.seed, self.workers = batch_size, seed, workers
        self.augmenter = augmenter
        self._failures: dict[str, Failure] = {}
        self._lock = threading.Lock()

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Files that could not be read so far, each once, by id."""
        with self._lock:
            return tuple(self._failures[key] for key in sorted(self._failures))

    def training(self, first_step: int) -> Generator[LoadedBatch, None, None]:
        """Yield the batch of every step from ``first_step`` on, without end.

        An example that cannot be read is replaced by another; which one follows from the seed.
        """
        return ahead(self._training_batch, first_step, None, self.workers)

    def validation(self) -> Iterator[LoadedBatch]:
        """Yield every example once, in order, the same draws each time; unreadable ones missing."""
        count = -(-len(self.sampler) // self.batch_size)
        for batch in ahead(self._validation_batch, 0, count, self.workers):
            if len(batch):
                yield batch

    @functools.lru_cache(maxsize=4)  # noqa: B019  (a loader lives as long as its training)
    def _order(self, epoch: int) -> AnyArray:
        return stream(self.seed, ORDER, epoch).permutation(len(self.sampler))

    def _training_batch(self, step: int) -> LoadedBatch:
        first = step * self.batch_size
        return _stacked([self._replaced(first + slot) for slot in range(self.batch_size)])

    def _replaced(self, number: int) -> tuple[Example, dict[str, AnyArray]]:
        epoch, position = divmod(number, len(self.sampler))
        for attempt in range(_ATTEMPTS):
            rng = stream(self.seed, EXAMPLE, number, attempt)
            if attempt == 0:
                place = int(self._order(epoch)[position])
            else:
                place = int(rng.integers(len(self.sampler)))
            example = self.sampler.example(place, rng)
            arrays = self._read(example, number, attempt, train=True)
            if arrays is not None:
                return example, arrays
        raise TrainingError(
            f"songs must be readable, but {_ATTEMPTS} draws for example {number} failed. "
            f"The last: {self.failures[-1].path}: {self.failures[-1].reason}"
        )

    def _validation_batch(self, number: int) -> LoadedBatch:
        first = number * self.batch_size
        rows = []
        for place in range(first, min(first + self.batch_size, len(self.sampler))):
            example = self.sampler.example(place, stream(self.seed, VALIDATION, place))
            arrays = self._read(example, place, train=False)
            if arrays is not None:
                rows.append((example, arrays))
        return _stacked(rows)

    def _read(self, example: Example, *key: int, train: bool) -> dict[str, AnyArray] | None:
        """Return the arrays of one example, or None and a note about the file that failed."""
        arrays: dict[str, AnyArray] = {}
        count = 0
        try:
            for role, crops in example.crops.items():
                read = []
                for crop in (crops,) if isinstance(crops, Crop) else crops:
                    read.append(self._crop(crop, stream(self.seed, VIEW, *key, count), train))
                    count += 1
                arrays[role] = read[0] if isinstance(crops, Crop) else np.stack(read)
        except _UnreadableError:
            return None
        for role, value in example.targets.items():
            arrays[role] = np.asarray(value)
        return arrays

    def _crop(self, crop: Crop, rng: np.random.Generator, train: bool) -> FloatArray:
        if self.augmenter is None or not (train if crop.augment is None else crop.augment):
            return self._noted(self.reader.read, crop)
        return self.augmenter.read(crop, rng, lambda piece: self._noted(self.reader.raw, piece))

    def _noted(self, read: Callable[[Crop], FloatArray], crop: Crop) -> FloatArray:
        try:
            return read(crop)
        except AudioError as error:
            self._note(crop, error)
            raise _UnreadableError from error

    def _note(self, crop: Crop, error: AudioError) -> None:
        with self._lock:
            if crop.song.track_id in self._failures:
                return
        error = self.reader.verdict(crop.song.path, error)
        failure = Failure.of(crop.song, error)
        with self._lock:
            self._failures.setdefault(crop.song.track_id, failure)


def _stacked(rows: list[tuple[Example, dict[str, Any]]]) -> LoadedBatch:
    roles = rows[0][1] if rows else {}
    arrays = {role: np.stack([arrays[role] for _, arrays in rows]) for role in roles}
    return LoadedBatch(arrays=arrays, examples=tuple(example for example, _ in rows))
