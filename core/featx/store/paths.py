"""Where things lie in a store folder, and how to touch them without leaving it."""

from __future__ import annotations

import json
import os
import stat
import uuid
from pathlib import Path

from featx.errors import StoreError
from featx.remote import is_url
from featx.store.records import is_hex

FORMAT = "featx-store"
FORMAT_VERSION = 1
MARKER = "featx-store.json"
LEDGERS = "ledger"
LEDGER_SUFFIX = ".jsonl"
SHARDS = "shards"
SHARD_SUFFIX = ".h5"
TEMPORARY = ".tmp-"
DAMAGED = "damaged"
LOCK = "lock"

_MARKER_LIMIT = 4096


def shard_path(recipe: str, sha256: str) -> str:
    """Return the path of a shard below the store folder; both arguments become checked names."""
    if not is_hex(recipe, 16) or not is_hex(sha256, 64):
        raise StoreError(f"shard must be named by hexadecimal hashes, got {recipe!r}, {sha256!r}.")
    return f"{SHARDS}/{recipe}/{sha256[:32]}{SHARD_SUFFIX}"


def regular_file(folder: Path, relative: str) -> os.stat_result:
    """Return the status of ``folder/relative``, refusing links and anything but a plain file.

    Raises `StoreError` if a component is a symbolic link, or the file is missing or no regular
    file.
    """
    current = folder
    parts = relative.split("/")
    for number, part in enumerate(parts):
        current /= part
        try:
            status = current.lstat()
        except OSError as error:
            raise StoreError(f"{current} is missing ({error.strerror}).") from error
        is_expected_kind = stat.S_ISREG if number == len(parts) - 1 else stat.S_ISDIR
        if not is_expected_kind(status.st_mode):
            raise StoreError(f"{current} must be a plain file or folder, not a link or device.")
    return status


def plain_folder(folder: Path, relative: str) -> Path:
    """Return ``folder/relative`` unless it is a link, or no folder, which raises `StoreError`."""
    path = folder / relative
    try:
        is_plain = stat.S_ISDIR(path.lstat().st_mode)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    if not is_plain:
        raise StoreError(f"{path} must be a plain folder, not a link or a file.")
    return path


def is_store_folder(path: Path) -> bool:
    """Return whether ``path`` is a folder that says it is a store."""
    return path.is_dir() and (path / MARKER).is_file()


def is_gone(path: str) -> bool:
    """Return whether there is no file at ``path``; one that cannot be reached may be there.

    What lies behind a URL may be there: `featx.remote.missing` asks for many at once.
    """
    if is_url(path):
        return False
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def is_merged_file(path: Path) -> bool:
    """Return whether ``path`` is a file that begins like HDF5."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


def store_id(folder: Path) -> str:
    """Return the identity of the store in ``folder``.

    Raises `StoreError` if there is no store, or one of another format version.
    """
    if not folder.is_dir():
        raise StoreError(f"store must be an existing folder, got {folder}.")
    status = regular_file(folder, MARKER)
    if status.st_size > _MARKER_LIMIT:
        raise StoreError(f"{folder / MARKER} must be small, got {status.st_size} bytes.")
    try:
        marker = json.loads((folder / MARKER).read_bytes())
    except ValueError as error:
        raise StoreError(f"{folder / MARKER} is damaged: {error}.") from error
    if not isinstance(marker, dict) or marker.get("format") != FORMAT:
        raise StoreError(f"{folder} is not a featx store.")
    if marker.get("version") != FORMAT_VERSION:
        raise StoreError(
            f"store version must be {FORMAT_VERSION}, got {marker.get('version')!r} in {folder}. "
            "Use a newer featx."
        )
    if not is_hex(marker.get("id"), 32):
        raise StoreError(f"{folder / MARKER} is damaged: it holds no id.")
    return str(marker["id"])


def create_store(folder: Path) -> None:
    """Make ``folder`` a store unless it is one; safe when several processes do it at once.

    Raises `StoreError` if the folder cannot be made, or holds something else already.
    """
    if is_store_folder(folder):
        store_id(folder)
        return
    try:
        if folder.exists() and any(
            entry.name not in {LEDGERS, SHARDS, DAMAGED, LOCK, MARKER}
            and not entry.name.startswith(TEMPORARY)
            for entry in folder.iterdir()
        ):
            raise StoreError(f"store must be a new or empty folder, got {folder} with other files.")
        for part in (LEDGERS, SHARDS):
            (folder / part).mkdir(parents=True, exist_ok=True)
        marker = {"format": FORMAT, "version": FORMAT_VERSION, "id": uuid.uuid4().hex}
        temporary = folder / f"{TEMPORARY}{uuid.uuid4().hex}"
        try:
            with temporary.open("wb") as stream:
                stream.write(json.dumps(marker).encode() + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            _link_new(temporary, folder / MARKER)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise StoreError(f"store cannot be created in {folder}: {error.strerror}.") from error


def _link_new(source: Path, target: Path) -> None:
    """Give ``source`` the name ``target`` as well, unless another process was first."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # no hard links here: the last of two simultaneous creators wins
        source.replace(target)


def sync_folder(folder: Path) -> None:
    """Make renames and creations in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
