"""Parameters of networks: built without memory, seeded, loaded strictly; inference without noise.

torch is an extra and imported inside functions only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from featx.errors import ParameterError, WeightsError, listed
from featx.types import AnyArray, FloatArray

if TYPE_CHECKING:
    import torch

    ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)

#: Normalisation layers count batches while training; inference does not need it.
_COUNTER = "num_batches_tracked"


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
    """Construct a module without drawing random numbers, for `load_tensors` to fill.

    torch layers initialise themselves from the global random state; on the ``meta`` device that
    costs nothing and leaves the state of the host program alone. A module with buffers outside
    its state dict (``persistent=False``) needs their values and is constructed on the CPU instead;
    the random state is restored afterwards.
    """
    import torch

    with torch.device("meta"):
        model = factory()
    stored = model.state_dict().keys()
    if any(name not in stored for name, _ in model.named_buffers()):
        with torch.random.fork_rng(devices=[]):
            model = factory()
    return model


def initial_tensors(
    model: torch.nn.Module, generator: torch.Generator, *, glorot: Collection[str] = ()
) -> dict[str, FloatArray]:
    """Draw fresh parameters: He-uniform convolutions, Glorot-uniform matrices.

    Only ``generator`` is drawn from, in the order of the state dict. Vectors are not drawn: biases
    are 0 and normalisation is the identity, as in Keras.

    Parameters
    ----------
    model : torch.nn.Module
        As `build` returns it.
    generator : torch.Generator
        On the CPU.
    glorot : collection of str
        Convolutions whose names contain one of these are drawn Glorot-uniform too.

    Returns
    -------
    dict of str to float32 array
        For `load_tensors`.

    Raises
    ------
    ParameterError
        If the state dict holds a buffer that is no statistic of a normalisation layer.
    """
    parameters = {name for name, _ in model.named_parameters()}
    drawn = {}
    for key, value in model.state_dict().items():
        if key.endswith(_COUNTER):
            continue
        if key not in parameters and not key.endswith(("running_mean", "running_var")):
            raise ParameterError(
                f"buffer {key!r} must be registered with persistent=False or come with weights: "
                "its values are not drawn."
            )
        drawn[key] = _initial(key, tuple(value.shape), generator, glorot)
    return drawn


def _initial(
    key: str, shape: tuple[int, ...], generator: torch.Generator, glorot: Collection[str]
) -> FloatArray:
    import torch

    if len(shape) < 2:
        ones = key.endswith((".weight", "running_var"))
        return np.full(shape, 1.0 if ones else 0.0, dtype=np.float32)
    fans = math.prod(shape[1:])
    if len(shape) == 2 or any(part in key for part in glorot):
        fans += shape[0] * math.prod(shape[2:])
    limit = math.sqrt(6.0 / fans)
    drawn: FloatArray = ((2.0 * torch.rand(shape, generator=generator) - 1.0) * limit).numpy()
    return drawn


def seeded(
    factory: Callable[[], ModuleT],
    generator: torch.Generator,
    *,
    glorot: Collection[str] = (),
    device: str = "cpu",
) -> ModuleT:
    """Return an untrained module in evaluation mode, its parameters drawn by `initial_tensors`."""
    model = build(factory)
    drawn = initial_tensors(model, generator, glorot=glorot)
    return load_tensors(model, drawn, name="seeded", device=device)


def state_tensors(model: torch.nn.Module) -> dict[str, AnyArray]:
    """Return parameters and buffers by name, for `featx.save_weights` and `load_tensors`."""
    return {
        key: value.detach().cpu().numpy()
        for key, value in model.state_dict().items()
        if not key.endswith(_COUNTER)
    }


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

    shapes: dict[str, Any] = {
        key: tuple(value.shape)
        for key, value in model.state_dict().items()
        if not key.endswith(_COUNTER)
    }
    tensors = {key: value for key, value in tensors.items() if not key.endswith(_COUNTER)}
    for problem, keys in (
        ("lack", shapes.keys() - tensors),
        ("have unknown", tensors.keys() - shapes),
    ):
        if keys:
            raise WeightsError(
                f"weights {name!r} {problem} tensor {min(keys)!r} ({len(keys)} in all). "
                "They belong to another model or configuration."
            )
    for key, value in tensors.items():
        if tuple(value.shape) != shapes[key]:
            raise WeightsError(
                f"weights {name!r}: tensor {key!r} must have shape {shapes[key]}, "
                f"got {tuple(value.shape)}."
            )
        if not np.all(np.isfinite(value)):
            raise WeightsError(f"weights {name!r}: tensor {key!r} must be finite, got NaN or inf.")
    state = {
        key: torch.from_numpy(np.array(value, dtype=np.float32, order="C"))
        for key, value in tensors.items()
    }
    model.load_state_dict(state, strict=True, assign=True)
    check_device(device)
    return model.requires_grad_(False).to(device).eval()


def check_device(device: str) -> None:
    """Raise `ParameterError` unless torch can use ``device`` here."""
    import torch

    kind, _, number = device.partition(":")
    count = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }.get(kind, 1)
    if int(number or 0) >= count:
        there = ["cpu", *(f"cuda:{n}" for n in range(count) if kind == "cuda")]
        raise ParameterError(
            f"device must be one that torch {torch.__version__} can use here, one of "
            f"{listed(there)}, got {device!r}. featx doctor lists them; install a torch for CUDA "
            "if this machine has such a device."
        )
