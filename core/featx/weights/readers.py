"""Other people's checkpoints in, plain arrays out; nothing of them is executed."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import WeightsError
from featx.installed import install_extra

if TYPE_CHECKING:
    from featx.types import AnyArray

#: Largest sum of declared array bytes that is read; a header can promise any size.
MAX_BYTES = 8 << 30

#: Several tensors may show one storage, such as tied weights, but not without end.
_REPEATED = 16

_MAX_DEPTH = 32
#: HDF5's own filters, by number: deflate, shuffle, fletcher32, szip, nbit, scaleoffset
_KNOWN_FILTERS = frozenset(range(1, 7))


def read_keras_h5(path: str | Path, *, max_bytes: int = MAX_BYTES) -> dict[str, AnyArray]:
    """Read the arrays of a Keras HDF5 file, whole models and weights files alike.

    The model description and the optimizer are never looked at; custom layers and losses do not
    matter. Links, data outside the file and filters that need plugins are refused.

    Parameters
    ----------
    path : str or Path
        A ``.h5`` file; not ``.keras``.
    max_bytes : int > 0
        Limit on the sum of all arrays.

    Returns
    -------
    dict of str to array
        By path below ``model_weights`` (or below the root, where there is none), such as
        ``conv1d_1/conv1d_1/kernel:0``.

    Raises
    ------
    WeightsError
        If the file is not HDF5, is empty, or contains something that is refused.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} must be an existing file.")
    arrays: dict[str, AnyArray] = {}
    try:
        with h5py.File(path, "r") as file:
            root = _keras_root(path, file)
            left = max_bytes
            for name, dataset in _datasets(path, root, prefix="", seen=set(), depth=0):
                left -= dataset.nbytes
                if left < 0:
                    raise WeightsError(f"{path} must hold at most {max_bytes} bytes of arrays.")
                arrays[name] = dataset[()]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} must be a sound HDF5 file, but {error}.") from error
    if not arrays:
        raise WeightsError(f"{path} must hold arrays, got none.")
    return arrays


def _keras_root(path: Path, file: Any) -> Any:
    import h5py

    link = file.get("model_weights", getlink=True)
    if link is None:
        return file
    if not isinstance(link, h5py.HardLink):
        raise WeightsError(f"{path} must contain its data, but 'model_weights' is a link.")
    return file["model_weights"]


def _datasets(
    path: Path, group: Any, *, prefix: str, seen: set[int], depth: int
) -> Iterator[tuple[str, Any]]:
    """Yield (path, dataset) below ``group``; every object once, no link followed."""
    import h5py

    if depth > _MAX_DEPTH:
        raise WeightsError(f"{path} must nest at most {_MAX_DEPTH} groups, got {prefix!r}.")
    for key in sorted(group):
        name = f"{prefix}{key}"
        if name == "optimizer_weights":
            continue
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise WeightsError(f"{path} must contain its data, but {name!r} is a link.")
        item = group[key]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            raise WeightsError(f"{path} must hold every object once, got {name!r} again.")
        seen.add(address)
        if isinstance(item, h5py.Group):
            yield from _datasets(path, item, prefix=f"{name}/", seen=seen, depth=depth + 1)
        elif isinstance(item, h5py.Dataset):
            _check_dataset(path, name, item)
            yield name, item


def _check_dataset(path: Path, name: str, dataset: Any) -> None:
    if dataset.external or dataset.is_virtual:
        raise WeightsError(f"{path} must contain its data, but {name!r} is in other files.")
    if dataset.dtype.kind not in "fiub":
        raise WeightsError(f"{path} must hold numbers, but {name!r} has dtype {dataset.dtype}.")
    properties = dataset.id.get_create_plist()
    used = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if not used <= _KNOWN_FILTERS:
        raise WeightsError(f"{path} must use HDF5's own filters, but {name!r} has {sorted(used)}.")


def read_torch(path: str | Path) -> dict[str, AnyArray]:
    """Read the tensors of a PyTorch checkpoint with ``weights_only=True``.

    Parameters
    ----------
    path : str or Path
        What ``torch.save`` wrote: a state dict, or nested dicts that hold one.

    Returns
    -------
    dict of str to array
        Every tensor by its key, keys of nested dicts joined by ``/`` (``state_dict/conv.weight``).
        bfloat16 becomes float32. Numbers and strings beside the tensors are skipped.

    Raises
    ------
    WeightsError
        If torch is not installed, the file needs code to be read, or it holds no tensor.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"reading PyTorch checkpoints needs torch. Run: {install_extra('torch')}"
        ) from error
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} must be an existing file.")
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises UnpicklingError, RuntimeError, EOFError and more for foreign files
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"{path} must be a PyTorch checkpoint of tensors, but {reason}."
        ) from error
    tensors = dict(_tensors(checkpoint, torch.Tensor, prefix=""))
    declared = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    room = _REPEATED * path.stat().st_size
    if declared > room:
        raise WeightsError(
            f"{path} must hold what its tensors declare, got {declared} bytes of tensors in a file "
            f"of {path.stat().st_size}."
        )
    arrays = {
        name: (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()
        for name, tensor in tensors.items()
    }
    if not arrays:
        raise WeightsError(f"{path} must hold tensors, got none.")
    return arrays


def _check_archive(path: Path) -> None:
    """Refuse an archive whose parts unpack to more than the file; torch never compresses."""
    if not zipfile.is_zipfile(path):
        return  # the format before torch 1.6 has no parts that unpack
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise WeightsError(f"{path} must be a sound archive, but {error}.") from error
    if unpacked > path.stat().st_size:
        raise WeightsError(
            f"{path} must hold tensors as torch.save writes them, got parts that unpack to "
            f"{unpacked} bytes in a file of {path.stat().st_size}."
        )


def _tensors(value: Any, kind: type, *, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, kind):
        yield prefix.removesuffix("/"), value.detach()  # type: ignore[attr-defined]
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, kind, prefix=f"{prefix}{key}/")
