"""Reading and writing one weights file: safetensors whose metadata holds the configuration.

The metadata has the single key ``featx``, a JSON object with ``config``, ``provenance`` and
``content`` (a hash over configuration and tensors). One key, because safetensors writes several in
no fixed order, and equal content must give equal bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from featx import folders
from featx.errors import ParameterError, WeightsError

if TYPE_CHECKING:
    from featx.types import AnyArray

SUFFIX = ".safetensors"

_KEY = "featx"
_KINDS = "fiub"  # floats, integers, unsigned, bool: what safetensors and numpy both have


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where converted weights come from.

    ``source`` is the name of the file that was read, ``source_sha256`` the hash of its bytes,
    ``converter`` the function that read it.
    """

    source: str = ""
    source_sha256: str = ""
    converter: str = ""


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    try:
        return folders.file_sha256(path)
    except OSError as error:
        raise WeightsError(f"{path} must be readable, but {error.strerror or error}.") from error


def load_weights(path: str | Path) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Read a safetensors file and the configuration inside it.

    Files that `save_weights` wrote are checked against the hash they carry; other safetensors
    files are taken as they are, with their text metadata as configuration.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors`` file.

    Returns
    -------
    tensors : dict of str to array
        Writable arrays in the order of their names.
    config : dict
        Plain JSON values.

    Raises
    ------
    WeightsError
        If the file is missing, is not a safetensors file, contradicts its header, or its content
        does not match its hash.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        own = _own_metadata(path, file)
        if own is None:
            return tensors, dict(file.metadata() or {})
    if own.get("content") != _content_hash(tensors, own["config"]):
        raise WeightsError(
            f"{path} must match the hash it carries, but its content has changed. "
            "Delete it, then fetch or import it again."
        )
    return tensors, own["config"]


def read_provenance(path: str | Path) -> Provenance:
    """Return where a weights file comes from, as far as it says; reads the header only."""
    with _opened(path) as file:
        own = _own_metadata(path, file) or {}
    provenance = own.get("provenance", {})
    known = {key: str(provenance[key]) for key in asdict(Provenance()) if key in provenance}
    return Provenance(**known)


def read_config(path: str | Path) -> dict[str, Any]:
    """Return the configuration inside a weights file; reads the header only.

    Empty for safetensors files that `save_weights` did not write.
    """
    with _opened(path) as file:
        own = _own_metadata(path, file)
    return {} if own is None else dict(own["config"])


def save_weights(
    path: str | Path,
    tensors: Mapping[str, AnyArray],
    config: Mapping[str, Any],
    *,
    provenance: Provenance | None = None,
) -> str:
    """Write tensors and configuration as one safetensors file; equal content gives equal bytes.

    Parameters
    ----------
    path : str or Path
        Ends in ``.safetensors``. Written under a temporary name and renamed, so that a reader
        never sees half a file.
    tensors : mapping of str to array
        At least one; floats, integers or bool, all finite.
    config : mapping
        Plain JSON values.
    provenance : Provenance, optional
        Kept with the file and shown by ``featx weights list``.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    ParameterError
        If the suffix, a tensor or the configuration breaks these rules.
    WeightsError
        If the file cannot be written.
    """
    return write_weights(
        Path(path), tensors, config, provenance=provenance or Provenance(), expected=""
    )


def write_weights(
    path: Path,
    tensors: Mapping[str, AnyArray],
    config: Mapping[str, Any],
    *,
    provenance: Provenance,
    expected: str,
) -> str:
    """Do as `save_weights`; a file whose SHA-256 is not ``expected`` (if given) is not kept."""
    if path.suffix != SUFFIX:
        raise ParameterError(f"path must end in {SUFFIX}, got {path.name!r}.")
    arrays = _checked_tensors(tensors)
    try:
        plain = json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ParameterError(f"config must be plain JSON values, but {error}.") from error
    own = {
        "config": plain,
        "content": _content_hash(arrays, plain),
        "provenance": asdict(provenance),
    }
    with replacing(path) as temporary:
        try:
            save_file(arrays, temporary, metadata={_KEY: json.dumps(own, sort_keys=True)})
        except SafetensorError as error:
            raise WeightsError(f"{path} must be writable, but {error}.") from error
        sha256 = file_sha256(temporary)
        if expected and sha256 != expected:
            raise WeightsError(
                f"{path.name} must have SHA-256 {expected}, got {sha256}. "
                f"{provenance.source or 'The source'} is another version of these weights."
            )
    return sha256


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Do `featx.folders.replacing`, in a folder that is made if need be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with folders.replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise WeightsError(f"{path} must be writable, but {error.strerror or error}.") from error


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """Open a safetensors file; the library checks sizes and offsets against the file's length."""
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} must be an existing file.")
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, OSError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} must be a sound safetensors file, but {error}.") from error


def _own_metadata(path: str | Path, file: Any) -> dict[str, Any] | None:
    text = (file.metadata() or {}).get(_KEY)
    if text is None:
        return None
    try:
        own = json.loads(text)
    except ValueError as error:
        raise WeightsError(f"{path} must hold JSON in its metadata, but {error}.") from error
    if not isinstance(own, dict) or not isinstance(own.get("config"), dict):
        raise WeightsError(f"{path} must hold a configuration in its metadata, got none.")
    return own


def _checked_tensors(tensors: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    if not tensors:
        raise ParameterError("tensors must hold at least one array, got none.")
    arrays: dict[str, AnyArray] = {}
    for name in sorted(tensors):
        array = np.asarray(tensors[name])
        if array.dtype.kind not in _KINDS:
            raise ParameterError(
                f"tensor {name!r} must be floats, integers or bool, got dtype {array.dtype}."
            )
        if not np.isfinite(array).all():
            raise ParameterError(f"tensor {name!r} must be finite, got NaN or infinity.")
        # np.ascontiguousarray would give an array without dimensions one
        arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    return arrays


def _content_hash(tensors: Mapping[str, AnyArray], config: Mapping[str, Any]) -> str:
    layout = {name: [array.dtype.str, list(array.shape)] for name, array in tensors.items()}
    digest = hashlib.sha256(json.dumps([config, layout], sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()
