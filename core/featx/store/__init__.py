"""The feature store: immutable HDF5 shards, ledgers, and what reads, checks and exports them.

Names are resolved on first use: a plan that only reads ledgers imports neither numpy nor h5py.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
