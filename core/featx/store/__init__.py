"""The feature store: immutable HDF5 shards, ledgers, and what reads, checks and exports them.

Names are resolved on first use: a plan that only reads ledgers imports neither numpy nor h5py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx.store.catalogue import LedgerView, read_ledger
    from featx.store.exporting import export
    from featx.store.locking import lock_store
    from featx.store.merging import merge
    from featx.store.reading import Store, open_store
    from featx.store.records import Recipe, ShardInfo, TrackRecord, Unit
    from featx.store.verification import VerifyReport, verify
    from featx.store.writer import StoreWriter

#: public name -> module of this package that defines it
_HOMES = {
    "LedgerView": "catalogue",
    "Recipe": "records",
    "ShardInfo": "records",
    "StoreWriter": "writer",
    "TrackRecord": "records",
    "Unit": "records",
    "VerifyReport": "verification",
    "Store": "reading",
    "export": "exporting",
    "lock_store": "locking",
    "merge": "merging",
    "open_store": "reading",
    "read_ledger": "catalogue",
    "verify": "verification",
}

__all__ = [
    "LedgerView",
    "Recipe",
    "ShardInfo",
    "Store",
    "StoreWriter",
    "TrackRecord",
    "Unit",
    "VerifyReport",
    "export",
    "lock_store",
    "merge",
    "open_store",
    "read_ledger",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx.store' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"featx.store.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
