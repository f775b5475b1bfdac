"""Which shards this user wrote: a keyed hash in the ledger line that nobody else can make."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from featx.folders import cache_folder

_KEY_BYTES = 32


def user_key() -> bytes | None:
    """Return this user's secret, made on first use; None where the cache cannot be written.

    Losing it is harmless: own stores are then checked once like foreign ones.
    """
    path = cache_folder() / "store-key"
    try:
        if path.is_file():
            key = path.read_bytes()
            if len(key) == _KEY_BYTES:
                return key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_KEY_BYTES))
        try:
            os.link(temporary, path)
        except FileExistsError:
            if path.stat().st_size != _KEY_BYTES:
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path.read_bytes()
    except OSError:
        return None


def seal(key: bytes | None, path: Path, sha256: str, status: os.stat_result) -> str:
    """Return the keyed hash that says *this user wrote this very file, here*.

    It covers place, inode and modification time: a file that was copied, moved or touched no longer
    fits and is checked like a stranger's. Empty without a key.
    """
    if key is None:
        return ""
    facts = (os.fspath(path), sha256, status.st_size, status.st_ino, status.st_mtime_ns)
    return hmac.new(key, repr(facts).encode(), hashlib.sha256).hexdigest()[:32]


def seal_fits(
    key: bytes | None, known_seal: str, path: Path, sha256: str, status: os.stat_result
) -> bool:
    """Return whether ``known_seal`` is the `seal` of the file as it is now."""
    return bool(known_seal) and hmac.compare_digest(known_seal, seal(key, path, sha256, status))
