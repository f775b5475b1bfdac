"""What neural extractors share: segments, fixed batches, strict loading, quiet inference.

Models map tensors to tensors; this module stands between them and numpy. torch is an extra and
imported inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from featx.errors import ParameterError, WeightsError

if TYPE_CHECKING:
    import torch

    from featx.types import AnyArray, FloatArray

    ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)

__all__ = ["build", "inference", "load_tensors", "map_segments", "split_segments"]


def split_segments(x: FloatArray, *, length: int) -> FloatArray:
    """Cut ``x`` into complete, non-overlapping segments along its first axis.

    The last partial segment is dropped. If none is complete, ``x`` is repeated from its start
    until one is, so that every non-empty input has an answer.

    Parameters
    ----------
    x : float32 array, shape (n, ...), n >= 1
        A waveform or a time-first representation; left untouched.
    length : int > 0
        Samples or frames in a segment.

    Returns
    -------
    float32 array, shape (max(1, n // length), length, ...)
        A view of ``x`` unless it had to be repeated.

    Raises
    ------
    ParameterError
        If ``length`` is not positive or ``x`` is empty.
    """
    if length < 1:
        raise ParameterError(f"length must be an integer > 0, got {length}.")
    if x.ndim < 1 or len(x) == 0:
        raise ParameterError(f"x must hold at least one sample or frame, got shape {x.shape}.")
    n_segments = len(x) // length
    if n_segments == 0:
        return x[np.arange(length) % len(x)][np.newaxis]
    return x[: n_segments * length].reshape(n_segments, length, *x.shape[1:])


def map_segments(
    function: Callable[[torch.Tensor], Sequence[torch.Tensor]],
    segments: FloatArray,
    *,
    batch_size: int,
    device: str = "cpu",
) -> tuple[FloatArray, ...]:
    """Apply ``function`` to the segments of one track in batches of one fixed size.

    The last batch is filled up with zeros and the rows for them are thrown away, so that every
    call has the same shape and a result depends neither on neighbours nor on how many there are.

    Parameters
    ----------
    function : callable
        Takes a float32 tensor ``(batch_size, ...)`` on ``device``, returns tensors whose first
        axis is the batch.
    segments : float32 array, shape (n, ...), n >= 1
        From `split_segments`.
    batch_size : int > 0
        Rows per call.
    device : str
        torch device.

    Returns
    -------
    tuple of float32 arrays, each with first axis n
    """
    import torch

    parts: list[tuple[FloatArray, ...]] = []
    for start in range(0, len(segments), batch_size):
        rows = segments[start : start + batch_size]
        batch = np.zeros((batch_size, *segments.shape[1:]), dtype=np.float32)
        batch[: len(rows)] = rows
        outputs = function(torch.from_numpy(batch).to(device))
        parts.append(tuple(output[: len(rows)].cpu().numpy() for output in outputs))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


@contextmanager
def inference(*, threads: int) -> Iterator[None]:
    """Run torch without gradients, in full float32, on ``threads`` threads; restore afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    exact = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    try:
        with torch.inference_mode(), exact:
            yield
    finally:
        torch.set_num_threads(before)


def build(factory: Callable[[], ModuleT]) -> ModuleT:
    """Construct a module without memory or random numbers, for `load_tensors` to fill.

    torch layers initialise themselves from the global random state; on the ``meta`` device that
    costs nothing and leaves the state of the host program alone.
    """
    import torch

    with torch.device("meta"):
        return factory()


def load_tensors(
    model: ModuleT, tensors: Mapping[str, AnyArray], *, name: str, device: str = "cpu"
) -> ModuleT:
    """Give ``model`` its parameters and buffers, every one of them, and set it to evaluation.

    Parameters
    ----------
    model : torch.nn.Module
        As `build` returns it, or any module whose state is to be replaced.
    tensors : mapping of str to array
        Keys and shapes of the state dict. Batch counters of normalisation layers may be missing.
    name : str
        What to call the weights in an error.
    device : str
        Where the model shall live.

    Raises
    ------
    WeightsError
        If a tensor is missing, unknown, of another shape, or not finite.
    """
    import torch

    wanted: dict[str, Any] = {
        key: tuple(value.shape)
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    given = {
        key: value for key, value in tensors.items() if not key.endswith("num_batches_tracked")
    }
    for problem, keys in (("lack", wanted.keys() - given), ("have unknown", given.keys() - wanted)):
        if keys:
            raise WeightsError(
                f"weights {name!r} {problem} tensor {min(keys)!r} ({len(keys)} in all). "
                "They belong to another model or configuration."
            )
    for key, value in given.items():
        if tuple(value.shape) != wanted[key]:
            raise WeightsError(
                f"weights {name!r}: tensor {key!r} must have shape {wanted[key]}, "
                f"got {tuple(value.shape)}."
            )
        if not np.all(np.isfinite(value)):
            raise WeightsError(f"weights {name!r}: tensor {key!r} must be finite, got NaN or inf.")
    state = {
        key: torch.from_numpy(np.array(value, dtype=np.float32, order="C"))
        for key, value in given.items()
    }
    model.load_state_dict(state, strict=True, assign=True)
    return model.requires_grad_(False).to(device).eval()
