"""A gradient method, songs and a device, made into a `Trainer`."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import torch

from featx.errors import ParameterError, listed
from featx.training.augmenting import Augmenter
from featx.training.crops import CropReader
from featx.training.learner import TrainingRun
from featx.training.loader import MODEL, Loader, stream
from featx.training.method import GradientMethod
from featx.training.options import UNCHANGED, GradientParams
from featx.training.songs import SongSplit
from featx.training.trainer import Trainer

# parameters of mallopt(3), and the values that glibc starts with
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_GLIBC_TRIM, _GLIBC_MMAPS = 128 * 1024, 65536
_NEVER = 2**31 - 1


def check_device(device: str) -> None:
    """Raise `ParameterError` for a device that torch does not know or does not find."""
    kind = device.partition(":")[0]
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if kind not in available:
        raise ParameterError(f"device must be one of {listed(available)}, got {device!r}.")
    if not available[kind]:
        raise ParameterError(f"device must be available to torch, got {device!r}.")


@contextlib.contextmanager
def torch_settings(threads: int, device: str) -> Iterator[None]:
    """Set threads and determinism, and give torch's random state back afterwards."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    # kernels of accelerators without a deterministic form would raise; the promise is the CPU's
    torch.use_deterministic_algorithms(device == "cpu")
    cuda = [torch.device(device).index or 0] if device.startswith("cuda") else []
    try:
        with torch.random.fork_rng(devices=cuda), pages_kept():
            yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict)


def make_trainer(
    method: GradientMethod,
    songs: SongSplit,
    reader: CropReader,
    *,
    options: GradientParams,
    run: TrainingRun,
) -> Trainer:
    """Return the trainer of a method; draws the module from the seed."""
    samplers = method.samplers(songs.train, songs.valid)
    if samplers[1] is None and songs.valid:
        run.reporter.note(
            f"{len(songs.valid)} songs are held out, but method {run.identity['method']!r} cannot "
            f"validate by them: {method.validates_by}."
        )
    for name in samplers[0].frozen:
        if getattr(options, name) != getattr(UNCHANGED, name):
            raise ParameterError(
                f"{name} must be {getattr(UNCHANGED, name)}, because the targets of method "
                f"{run.identity['method']!r} would not follow, got {getattr(options, name)}."
            )
    augmenter = Augmenter(reader, songs.train) if reader.augmentation else None
    loaders = [
        None
        if sampler is None
        else Loader(
            sampler,
            reader,
            batch_size=options.batch_size,
            seed=options.seed,
            workers=run.workers,
            augmenter=augmenter,
        )
        for sampler in samplers
    ]
    assert loaders[0] is not None
    drawn = int(stream(options.seed, MODEL).integers(2**62))
    torch.manual_seed(drawn)  # for parts that draw without a generator, such as losses
    model = method.build(torch.Generator().manual_seed(drawn))
    return Trainer(method, model, loaders[0], loaders[1], options=options, run=run)


@contextlib.contextmanager
def pages_kept() -> Iterator[None]:
    """Keep freed memory inside the process; does nothing where the C library is not glibc.

    Every step frees and asks for the same large arrays. The C library hands those above a threshold
    back to the kernel, which clears each page anew: for SampleCNN a third of the time of a step.
    """
    mallopt = _mallopt()
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        mallopt(_MMAP_MAX, _GLIBC_MMAPS)
        mallopt(_TRIM_THRESHOLD, _GLIBC_TRIM)
        ctypes.CDLL(None).malloc_trim(0)


def _mallopt() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library.mallopt if hasattr(library, "gnu_get_libc_version") else None
